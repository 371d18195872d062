package outbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
)

const (
	// DefaultReadBytes is how much a Read takes when its caller sets no limit.
	DefaultReadBytes = 1 << 20
	// readSlack makes up for records above the average.
	readSlack = 4 << 10
)

// Batch is what a Read fills. Its zero value is ready; reuse it to save memory,
// and to go on in a segment without a search. One goroutine at a time.
type Batch struct {
	// First is the sequence of the first record.
	First uint64
	// Payloads are the records, in order. They alias the batch's buffer: they
	// are valid until the batch is used again.
	Payloads [][]byte

	buf   []byte
	spans []span
	raw   []byte // the records as they are in the file
	codec codec

	at     *segment // where the next record is
	seq    uint64
	off    int64
	rawOff int64 // the offset of raw in the file
}

// span is where a payload lies in the buffer.
type span struct{ from, to int }

// Next returns the sequence after the batch's last record: where to read on.
func (b *Batch) Next() uint64 { return b.First + uint64(len(b.Payloads)) }

// offset returns where the i-th payload is in the segment's file.
func (b *Batch) offset(i int) int64 {
	off := b.rawOff
	for _, p := range b.Payloads[:i] {
		off += int64(len(p) + sumLen + headBytes(len(p)))
	}
	return off
}

// headBytes returns how long the length before a payload of n bytes is.
func headBytes(n int) int {
	switch {
	case n < 1<<7:
		return 1
	case n < 1<<14:
		return 2
	}
	return maxHead
}

// clear empties the batch.
func (b *Batch) clear(from uint64) {
	b.First, b.Payloads, b.spans, b.raw = from, b.Payloads[:0], b.spans[:0], nil
	if b.codec.table == nil {
		b.codec = newCodec()
	}
}

// view is what a reader may see of a segment, whatever is written meanwhile.
type view struct {
	segment *segment
	path    string
	first   uint64
	last    uint64
	size    int64
	file    file // nil when the reader has to open its own
	index   []mark
	full    bool
}

// Read fills b with records from sequence from on: at most maxRecords, and at
// most maxBytes of the file, but always one record if there is one; zero means
// no limit for the number and DefaultReadBytes for the bytes. It may stop short
// of the limits at the end of a segment, so read on from b.Next() until that is
// above Last(). Nothing there yet, from == Last()+1, is an empty batch.
//
// Its errors wrap ErrTrimmed when from is below First, ErrGap when it is above
// Last()+1, ErrCorrupt and ErrClosed; b is then empty.
func (o *Outbox) Read(from uint64, maxRecords, maxBytes int, b *Batch) error {
	if maxRecords <= 0 {
		maxRecords = int(^uint(0) >> 1)
	}
	if maxBytes <= 0 {
		maxBytes = DefaultReadBytes
	}
	for {
		b.clear(from)
		v, ok, err := o.view(from)
		if err != nil || !ok {
			return err
		}
		err = o.readView(&v, maxRecords, maxBytes, b)
		if err == nil {
			return nil
		}
		b.clear(from)
		b.at = nil
		// A segment that was trimmed, reset or closed under our hands is no
		// fault of its own: look again.
		if !o.moved(&v) {
			return err
		}
	}
}

// Get returns a copy of one record. Its errors are those of Read, and ErrGap
// for any sequence above Last.
func (o *Outbox) Get(seq uint64) ([]byte, error) {
	var b Batch
	if err := o.Read(seq, 1, 1, &b); err != nil {
		return nil, err
	}
	if len(b.Payloads) == 0 {
		return nil, fmt.Errorf("%w: get %d", ErrGap, seq)
	}
	return slices.Clone(b.Payloads[0]), nil
}

// view finds the segment that holds a sequence; ok is false when nothing is
// there yet.
func (o *Outbox) view(seq uint64) (v view, ok bool, err error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	st := &o.state
	switch {
	case st.closed:
		return v, false, ErrClosed
	case seq < st.segments[0].first:
		return v, false, fmt.Errorf("%w: %d is before %d", ErrTrimmed, seq, st.segments[0].first)
	case seq > st.last+1:
		return v, false, fmt.Errorf("%w: read %d after %d", ErrGap, seq, st.last)
	case seq == st.last+1:
		return v, false, nil
	}
	i := sort.Search(len(st.segments), func(i int) bool { return st.segments[i].first > seq }) - 1
	s := st.segments[i]
	v = view{segment: s, path: s.path, first: s.first, last: st.last, size: s.size, file: s.file, index: s.index}
	if i+1 < len(st.segments) {
		v.last, v.full = st.segments[i+1].first-1, true
	}
	return v, true, nil
}

// listed reports whether the segment is still part of the outbox.
func (o *Outbox) listed(s *segment) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return !o.state.closed && slices.Contains(o.state.segments, s)
}

// moved reports whether a view no longer shows what is there.
func (o *Outbox) moved(v *view) bool {
	if !o.listed(v.segment) {
		return true
	}
	o.mu.RLock()
	defer o.mu.RUnlock()
	return v.file != nil && v.segment.file != v.file
}

// readView fills b from one segment.
func (o *Outbox) readView(v *view, maxRecords, maxBytes int, b *Batch) error {
	if v.file == nil {
		f, err := os.Open(v.path)
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%w: %s: offset 0: %w", ErrCorrupt, v.path, err)
		}
		if err != nil {
			return fmt.Errorf("outbox: read %d: %w", b.First, err)
		}
		defer f.Close()
		shared := *v
		shared.file = f
		return o.fill(&shared, maxRecords, maxBytes, b)
	}
	return o.fill(v, maxRecords, maxBytes, b)
}

// fill reads and checks records of a segment whose file is open.
func (o *Outbox) fill(v *view, maxRecords, maxBytes int, b *Batch) error {
	at := mark{seq: b.seq, off: b.off}
	if b.at != v.segment || b.seq != b.First {
		index := v.index
		if v.full {
			var err error
			if index, err = o.loadIndex(v); err != nil {
				return err
			}
		}
		at = seek(index, v.first, b.First)
	}
	var (
		seq     = at.seq
		base    = at.off // offset of buf[0]
		pos     = 0
		bytes   = 0
		raw     = -1
		average = max(1, (v.size-headerLen)/int64(v.last-v.first+1))
		want    = readSize(b.First-seq, maxRecords, maxBytes, average)
	)
	b.buf = b.buf[:0]
	for seq <= v.last && len(b.spans) < maxRecords {
		from, to, n, err := b.codec.decode(b.buf[pos:], seq)
		if errors.Is(err, errShort) && base+int64(len(b.buf)) < v.size {
			if raw < 0 { // nothing to keep of what was skipped
				base += int64(pos)
				b.buf = b.buf[:copy(b.buf, b.buf[pos:])]
				pos = 0
			}
			if b.buf, err = readMore(v, b.buf, base, want); err != nil {
				return err
			}
			want = max(want, scanChunk)
			continue
		}
		if err != nil {
			return corrupt(v.path, base+int64(pos), err, seq)
		}
		if seq >= b.First {
			if raw < 0 {
				raw = pos
			} else if bytes+n > maxBytes {
				break
			}
			bytes += n
			b.spans = append(b.spans, span{pos + from, pos + to})
		}
		pos += n
		seq++
	}
	for _, s := range b.spans {
		b.Payloads = append(b.Payloads, b.buf[s.from:s.to:s.to])
	}
	b.raw, b.rawOff = b.buf[raw:pos], base+int64(raw)
	b.at, b.seq, b.off = v.segment, seq, base+int64(pos)
	return nil
}

// readSize estimates how many bytes to read for so many records, after so many
// that have to be skipped.
func readSize(skip uint64, maxRecords, maxBytes int, average int64) int64 {
	want := int64(maxBytes)
	if int64(maxRecords) < want/average {
		want = int64(maxRecords) * average
	}
	skipped := min(int64(skip), 2*indexEvery/average+1) * average
	return skipped + want + want/8 + readSlack
}

// readMore appends up to n bytes of the segment to buf, whose first byte is at
// offset base of it.
func readMore(v *view, buf []byte, base, n int64) ([]byte, error) {
	off := base + int64(len(buf))
	n = min(n, v.size-off)
	have := len(buf)
	buf = slices.Grow(buf, int(n))[:have+int(n)]
	got, err := v.file.ReadAt(buf[have:], off)
	switch {
	case int64(got) == n:
		return buf, nil
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w: %s: offset %d: segment ends before %d", ErrCorrupt, v.path, off+int64(got), v.size)
	}
	return nil, fmt.Errorf("outbox: read %s at offset %d: %w", v.path, off, err)
}
