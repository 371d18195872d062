package outbox

import (
	"bytes"
	"errors"
	"fmt"
)

const (
	// maxUnflushed is how many full segments may wait for a Sync. It bounds what
	// is scanned after a crash, and the open files.
	maxUnflushed = 4
	// keepBuffer is the largest buffer that is kept for the next Append.
	keepBuffer = 4 << 20
)

// writer is what Append reuses from call to call.
type writer struct {
	codec codec
	buf   []byte
	index indexer
	marks []mark
	// torn is set when a failed write may have left bytes after the segment's
	// last whole record.
	torn   bool
	replay Batch
}

// Append adds records, the first of which has sequence first, with one write
// and without waiting for the disk. Records that are there already are compared
// with what is kept, and skipped; those that were trimmed are skipped. It keeps
// nothing of payloads.
//
// Its errors wrap ErrGap when first is above Last()+1, ErrRecordSize,
// ErrCorrupt when a repeated record differs, and ErrClosed. After any of them,
// and after a failed write, the outbox is as it was before.
func (o *Outbox) Append(first uint64, payloads [][]byte) error {
	o.writeMu.Lock()
	defer o.writeMu.Unlock()
	return o.append(first, payloads)
}

// append is Append for a caller that holds writeMu.
func (o *Outbox) append(first uint64, payloads [][]byte) error {
	last, err := o.writable()
	if err != nil {
		return err
	}
	if first == 0 || first > last+1 {
		return fmt.Errorf("%w: append %d after %d", ErrGap, first, last)
	}
	total, err := frames(first, payloads)
	if err != nil {
		return err
	}
	if known := last + 1 - first; known > 0 {
		n := min(known, uint64(len(payloads)))
		if err := o.compare(first, payloads[:n]); err != nil {
			return err
		}
		payloads = payloads[n:]
		total, _ = frames(first+n, payloads)
	}
	if len(payloads) == 0 {
		return nil
	}
	active, err := o.room(last+1, total)
	if err != nil {
		return err
	}
	return o.write(active, last+1, payloads)
}

// writable returns the last sequence, or why nothing can be written.
func (o *Outbox) writable() (uint64, error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if o.state.closed {
		return 0, ErrClosed
	}
	return o.state.last, o.state.failed
}

// frames returns how many bytes the records take in a segment, at most.
func frames(first uint64, payloads [][]byte) (int64, error) {
	var total int64
	for i, p := range payloads {
		if len(p) == 0 || len(p) > MaxRecord {
			return 0, fmt.Errorf("%w: sequence %d has %d bytes", ErrRecordSize, first+uint64(i), len(p))
		}
		total += int64(maxHead + len(p) + sumLen)
	}
	return total, nil
}

// compare checks records that are appended again against what is kept.
func (o *Outbox) compare(first uint64, payloads [][]byte) error {
	b := &o.writer.replay
	for len(payloads) > 0 {
		if kept := o.First(); first < kept {
			n := min(kept-first, uint64(len(payloads)))
			first, payloads = first+n, payloads[n:]
			continue
		}
		err := o.Read(first, len(payloads), 0, b)
		if errors.Is(err, ErrTrimmed) {
			continue // trimmed since we asked
		}
		if err != nil {
			return err
		}
		for i, kept := range b.Payloads {
			if !bytes.Equal(kept, payloads[i]) {
				return fmt.Errorf("%w: %s: offset %d: sequence %d was appended again with other content",
					ErrCorrupt, b.at.path, b.offset(i), first)
			}
			first++
		}
		payloads = payloads[len(b.Payloads):]
	}
	return nil
}

// room returns the segment that the next records go to, a new one when the
// newest is full. What an earlier write left behind is cut off first.
func (o *Outbox) room(next uint64, total int64) (*segment, error) {
	o.mu.RLock()
	active := o.state.active()
	o.mu.RUnlock()
	// Only the holder of writeMu changes the newest segment, so it may be read
	// without mu from here on.
	if o.writer.torn {
		if err := active.file.Truncate(active.size); err != nil {
			return nil, fmt.Errorf("outbox: cut %s back to %d: %w", active.path, active.size, err)
		}
		o.writer.torn = false
	}
	if active.size == headerLen || active.size+total <= o.opts.SegmentBytes {
		return active, nil
	}
	fresh, err := o.createSegment(next)
	if err != nil {
		return nil, fmt.Errorf("outbox: new segment at %d: %w", next, err)
	}
	o.saveIndex(active.path, active.first, active.size, active.index)
	o.writer.index = indexer{next: headerLen}
	o.mu.Lock()
	active.index = nil
	o.state.segments = append(o.state.segments, fresh)
	unflushed := 0
	for _, s := range o.state.segments {
		if s.file != nil {
			unflushed++
		}
	}
	o.mu.Unlock()
	if unflushed > maxUnflushed+1 {
		return fresh, o.Sync()
	}
	return fresh, nil
}

// write puts the records at the end of the newest segment and shows them to
// the readers.
func (o *Outbox) write(active *segment, first uint64, payloads [][]byte) error {
	w := &o.writer
	w.buf, w.marks = w.buf[:0], w.marks[:0]
	index := w.index
	for i, p := range payloads {
		seq := first + uint64(i)
		w.marks = index.add(w.marks, seq, active.size+int64(len(w.buf)))
		w.buf = w.codec.encode(w.buf, seq, p)
	}
	n, err := active.file.WriteAt(w.buf, active.size)
	if err != nil {
		w.torn = n > 0
		if cut := active.file.Truncate(active.size); cut == nil {
			w.torn = false
		}
		return fmt.Errorf("outbox: append %d to %s: %w", first, active.path, err)
	}
	w.index = index
	o.mu.Lock()
	active.size += int64(len(w.buf))
	active.index = append(active.index, w.marks...)
	o.state.last = first + uint64(len(payloads)) - 1
	o.state.wake()
	o.mu.Unlock()
	if cap(w.buf) > keepBuffer {
		w.buf = nil
	}
	return nil
}
