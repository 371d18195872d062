package outbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	headerLen     = 20
	formatVersion = 1
	segmentMagic  = "TOBS"
	segmentExt    = ".seg"
	indexExt      = ".idx"
	tempExt       = ".tmp"
	seqDigits     = 20
)

// file is what the outbox needs of an open segment file.
type file interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Close() error
}

// segment is one file of records. Outbox.mu guards its fields, but for first
// and path, which never change.
type segment struct {
	first uint64
	path  string
	size  int64
	// file is open while anything in it may still have to be flushed; nil after.
	file file
	// index is the sparse index, of the segment being written only.
	index []mark
}

// mark says where a record begins.
type mark struct {
	seq uint64
	off int64
}

func segmentPath(dir string, first uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%0*d%s", seqDigits, first, segmentExt))
}

func indexPath(segment string) string {
	return strings.TrimSuffix(segment, segmentExt) + indexExt
}

// firstOf reads a segment's first sequence from its file name.
func firstOf(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentExt)
	if !ok || len(digits) != seqDigits {
		return 0, false
	}
	first, err := strconv.ParseUint(digits, 10, 64)
	return first, err == nil && first > 0
}

func encodeHeader(tag uint16, first uint64) []byte {
	b := append(make([]byte, 0, headerLen), segmentMagic...)
	b = binary.LittleEndian.AppendUint16(b, formatVersion)
	b = binary.LittleEndian.AppendUint16(b, tag)
	b = binary.LittleEndian.AppendUint64(b, first)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli()))
}

// checkHeader says whether b begins with the header of a segment of tag and
// first. Its errors wrap ErrCorrupt, ErrVersion or ErrForeign.
func checkHeader(b []byte, tag uint16, first uint64) error {
	if len(b) < headerLen || string(b[:4]) != segmentMagic ||
		binary.LittleEndian.Uint32(b[headerLen-4:]) != crc32.Checksum(b[:headerLen-4], castagnoli()) {
		return fmt.Errorf("%w: no segment header at offset 0", ErrCorrupt)
	}
	if v := binary.LittleEndian.Uint16(b[4:]); v != formatVersion {
		return fmt.Errorf("%w: %d", ErrVersion, v)
	}
	if got := binary.LittleEndian.Uint16(b[6:]); got != tag {
		return fmt.Errorf("%w: tag %d, want %d", ErrForeign, got, tag)
	}
	if got := binary.LittleEndian.Uint64(b[8:]); got != first {
		return fmt.Errorf("%w: header says first sequence %d at offset 8", ErrCorrupt, got)
	}
	return nil
}

// createSegment makes the file of an empty segment.
func (o *Outbox) createSegment(first uint64) (*segment, error) {
	path := segmentPath(o.opts.Dir, first)
	f, err := o.openFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return nil, err
	}
	if _, err := f.WriteAt(encodeHeader(o.opts.Tag, first), 0); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return &segment{first: first, path: path, size: headerLen, file: f}, nil
}

func (o *Outbox) openFile(path string, flag int) (file, error) {
	f, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return nil, err
	}
	if o.opts.wrap != nil {
		return o.opts.wrap(f), nil
	}
	return f, nil
}

// remove deletes a segment and its index; one that is gone already is fine.
func (s *segment) remove() error {
	for _, path := range []string{indexPath(s.path), s.path} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// syncDir makes created, renamed and removed names durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// writeAtomic replaces the file at path, so that a reader, or a crash, sees the
// old content or the new one. With durable it also waits for the disk; the
// directory is the caller's to flush.
func writeAtomic(path string, content []byte, durable bool) error {
	temp := path + tempExt
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil && durable {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return nil
}
