package outbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Open opens the outbox in a directory, or begins a new one at sequence 1, and
// repairs what a crash left behind: see the package's documentation. Its errors
// wrap ErrCorrupt, ErrForeign or ErrVersion when it can't use what it finds.
func Open(opts Options) (*Outbox, error) {
	if opts.Dir == "" {
		return nil, errors.New("outbox: open: no directory given")
	}
	if opts.SegmentBytes < 0 {
		return nil, fmt.Errorf("outbox: open %s: segments of %d bytes", opts.Dir, opts.SegmentBytes)
	}
	if opts.SegmentBytes == 0 {
		opts.SegmentBytes = DefaultSegmentBytes
	}
	o := &Outbox{opts: opts, log: opts.Logger}
	if o.log == nil {
		o.log = slog.New(slog.DiscardHandler)
	}
	o.writer = writer{codec: newCodec(), index: indexer{next: headerLen}}
	if err := o.recover(); err != nil {
		_ = closeFiles(o.state.segments) // the reason to report is the other one
		return nil, fmt.Errorf("outbox: open %s: %w", opts.Dir, err)
	}
	return o, nil
}

// recover builds the state from the directory.
func (o *Outbox) recover() error {
	if err := os.MkdirAll(o.opts.Dir, 0o700); err != nil {
		return err
	}
	point, err := loadSyncPoint(o.opts.Dir, o.opts.Tag)
	if err != nil {
		return err
	}
	firsts, err := o.tidy()
	if err != nil {
		return err
	}
	if point != (syncPoint{}) && !slices.Contains(firsts, point.segment) {
		return fmt.Errorf("%w: %s: offset 0: segment is missing", ErrCorrupt, segmentPath(o.opts.Dir, point.segment))
	}
	o.synced = point
	for i, first := range firsts {
		if first < point.segment {
			if err := o.adopt(first); err != nil {
				return err
			}
			continue
		}
		whole, err := o.inspect(first, firsts[i+1:], i == 0)
		if err != nil {
			return err
		}
		if !whole {
			break
		}
	}
	if len(o.state.segments) > 0 {
		return o.resume()
	}
	s, err := o.createSegment(1)
	if err != nil {
		return err
	}
	o.state.segments = []*segment{s}
	return nil
}

// resume makes the last segment that was found the one that is written.
func (o *Outbox) resume() error {
	for _, s := range o.state.segments[:len(o.state.segments)-1] {
		s.index = nil
	}
	active := o.state.active()
	if n := len(active.index); n > 0 {
		o.writer.index = indexer{next: active.index[n-1].off + indexEvery}
	}
	// Its index is memory; a file, from before a tail was cut off, may be wrong.
	if err := os.Remove(indexPath(active.path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// tidy removes what an interrupted write left and lists the segments by their
// first sequence.
func (o *Outbox) tidy() ([]uint64, error) {
	entries, err := os.ReadDir(o.opts.Dir) // sorted by name, and so by sequence
	if err != nil {
		return nil, err
	}
	var firsts []uint64
	for _, e := range entries {
		if first, ok := firstOf(e.Name()); ok {
			firsts = append(firsts, first)
		}
	}
	for _, e := range entries {
		base, isIndex := strings.CutSuffix(e.Name(), indexExt)
		first, known := firstOf(base + segmentExt)
		orphan := isIndex && known && !slices.Contains(firsts, first)
		if !orphan && !strings.HasSuffix(e.Name(), tempExt) {
			continue
		}
		if err := os.Remove(filepath.Join(o.opts.Dir, e.Name())); err != nil {
			return nil, err
		}
	}
	return firsts, nil
}

// adopt takes over a full segment that is known to be on the disk. Its records
// are checked when they are read.
func (o *Outbox) adopt(first uint64) error {
	path := segmentPath(o.opts.Dir, first)
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := readHeader(f, o.opts.Tag, first)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	o.state.segments = append(o.state.segments, &segment{first: first, path: path, size: size})
	return nil
}

// readHeader checks the header of a segment's file and returns the file's size.
func readHeader(f *os.File, tag uint16, first uint64) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	head := make([]byte, headerLen)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	return info.Size(), checkHeader(head[:n], tag, first)
}

// inspect takes over a segment that may have a torn tail. newer are the first
// sequences of those after it; whole is false when the outbox ends in this one.
func (o *Outbox) inspect(first uint64, newer []uint64, oldest bool) (whole bool, err error) {
	path := segmentPath(o.opts.Dir, first)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false, err
	}
	s, found, err := o.examine(f, path, first)
	if err != nil {
		_ = f.Close() // nothing was written
		// Of a file that was just being made not even the header need be there.
		// The oldest one can't be that, unless it is the very first.
		if errors.Is(err, errNoHeader) && (!oldest || first == 1) {
			return false, o.cut(path, 0, err, append([]uint64{first}, newer...))
		}
		return false, err
	}
	o.state.segments = append(o.state.segments, s)
	o.state.last = found.next - 1
	if len(newer) > 0 && found.bad == nil && found.next == newer[0] {
		o.saveIndex(path, first, s.size, found.index)
		return true, nil
	}
	if len(newer) > 0 && found.next > newer[0] {
		return false, fmt.Errorf("%w: %s: offset %d: sequence %d is also in the next segment",
			ErrCorrupt, path, found.end, found.next-1)
	}
	torn := s.size - found.end
	if torn == 0 && len(newer) == 0 {
		return false, nil
	}
	if torn > 0 {
		if err := s.file.Truncate(found.end); err != nil {
			return false, fmt.Errorf("cut %s back to %d: %w", path, found.end, err)
		}
		s.size = found.end
	}
	return false, o.cut(path, torn, found.bad, newer)
}

// errNoHeader is what examine says of a new file without a valid header.
var errNoHeader = errors.New("segment has no header")

// examine scans a segment and compares it with the sync point.
func (o *Outbox) examine(f *os.File, path string, first uint64) (*segment, scanned, error) {
	size, err := readHeader(f, o.opts.Tag, first)
	if errors.Is(err, ErrCorrupt) && first != o.synced.segment {
		return nil, scanned{}, fmt.Errorf("%w: %s: %w", errNoHeader, path, err)
	}
	if err != nil {
		return nil, scanned{}, fmt.Errorf("%s: %w", path, err)
	}
	found, err := scan(f, first, size)
	if err != nil {
		return nil, scanned{}, fmt.Errorf("%s: %w", path, err)
	}
	if first == o.synced.segment && (found.end < o.synced.off || found.next <= o.synced.last) {
		return nil, scanned{}, corrupt(path, found.end, found.bad, found.next)
	}
	s := &segment{first: first, path: path, size: size, file: f, index: found.index}
	if o.opts.wrap != nil {
		s.file = o.opts.wrap(f)
	}
	return s, found, nil
}

// cut removes the newer segments, the newest first, and says so.
func (o *Outbox) cut(path string, torn int64, reason error, newer []uint64) error {
	for _, first := range slices.Backward(newer) {
		gone := segment{path: segmentPath(o.opts.Dir, first)}
		info, err := os.Stat(gone.path)
		if err != nil {
			return err
		}
		torn += info.Size()
		if err := gone.remove(); err != nil {
			return err
		}
	}
	o.log.Warn("outbox: cut off a torn tail that was not yet flushed; its records have to be appended again",
		"file", path, "last", o.state.last, "bytes", torn, "segments", len(newer), "reason", reason)
	return nil
}
