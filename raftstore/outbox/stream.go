package outbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	streamMagic   = "TOBR"
	streamHeadLen = 4 + 2 + 2 + 8 + 8 + sumLen
	// A chunk of a stream: length of its records in bytes, their number and the
	// CRC-32C of these two, then the records as they are in a segment.
	chunkHeadLen = 4 + 4 + sumLen
	chunkBytes   = 256 << 10
	maxChunk     = chunkBytes + maxFrame
)

// StreamTo writes the records from and to, both included, to w, for Load. It
// reads a piece at a time and may run beside Append. An empty range, to ==
// from-1, is written too: it tells the reader where the sequence stands.
//
// Its errors wrap those of Read, and whatever w says.
func (o *Outbox) StreamTo(w io.Writer, from, to uint64) error {
	if from == 0 || to < from-1 {
		return fmt.Errorf("outbox: stream: no range %d to %d", from, to)
	}
	if last := o.Last(); to > last {
		return fmt.Errorf("%w: stream to %d after %d", ErrGap, to, last)
	}
	head := append(make([]byte, 0, streamHeadLen), streamMagic...)
	head = binary.LittleEndian.AppendUint16(head, formatVersion)
	head = binary.LittleEndian.AppendUint16(head, o.opts.Tag)
	head = binary.LittleEndian.AppendUint64(head, from)
	head = binary.LittleEndian.AppendUint64(head, to)
	head = binary.LittleEndian.AppendUint32(head, crc32.Checksum(head, castagnoli()))
	if _, err := w.Write(head); err != nil {
		return fmt.Errorf("outbox: stream: %w", err)
	}
	var b Batch
	for from <= to {
		if err := o.Read(from, int(min(to-from+1, chunkBytes)), chunkBytes, &b); err != nil {
			return err
		}
		if len(b.Payloads) == 0 { // reset to an earlier sequence meanwhile
			return fmt.Errorf("%w: stream to %d after %d", ErrGap, to, from-1)
		}
		head = binary.LittleEndian.AppendUint32(head[:0], uint32(len(b.raw)))
		head = binary.LittleEndian.AppendUint32(head, uint32(len(b.Payloads)))
		head = binary.LittleEndian.AppendUint32(head, crc32.Checksum(head, castagnoli()))
		if _, err := w.Write(head); err != nil {
			return fmt.Errorf("outbox: stream: %w", err)
		}
		if _, err := w.Write(b.raw); err != nil {
			return fmt.Errorf("outbox: stream: %w", err)
		}
		from = b.Next()
	}
	return nil
}

// Load appends the records of a stream, as Append does, and waits for the disk.
// A stream that begins above Last()+1 comes from a history that this outbox
// missed a part of: it is Reset to the stream's first sequence. Load reads
// exactly the stream, so that more may follow in r, and checks everything
// before it uses it; records before a fault in the stream may have been
// appended. A Load that a crash interrupts can be done again.
//
// Its errors wrap ErrCorrupt, ErrForeign, ErrVersion, those of Append, and what
// r says.
func (o *Outbox) Load(r io.Reader) error {
	o.writeMu.Lock()
	defer o.writeMu.Unlock()
	last, err := o.writable()
	if err != nil {
		return err
	}
	d := decoder{r: r, codec: newCodec()}
	if err := d.begin(o.opts.Tag); err != nil {
		return fmt.Errorf("outbox: load: %w", err)
	}
	if d.next > last+1 {
		o.log.Info("outbox: begins again where the snapshot does", "next", d.next, "last", last)
		if err := o.reset(d.next); err != nil {
			return err
		}
	}
	for d.next <= d.last {
		first := d.next
		payloads, err := d.chunk()
		if err != nil {
			return fmt.Errorf("outbox: load from %d: %w", first, err)
		}
		if err := o.append(first, payloads); err != nil {
			return err
		}
	}
	return o.Sync()
}

// decoder reads a stream. It trusts no length before it has checked it.
type decoder struct {
	r        io.Reader
	codec    codec
	next     uint64
	last     uint64
	buf      []byte
	payloads [][]byte
}

// begin reads the stream's header.
func (d *decoder) begin(tag uint16) error {
	var b [streamHeadLen]byte
	if _, err := io.ReadFull(d.r, b[:]); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	if string(b[:4]) != streamMagic ||
		binary.LittleEndian.Uint32(b[streamHeadLen-sumLen:]) != crc32.Checksum(b[:streamHeadLen-sumLen], castagnoli()) {
		return fmt.Errorf("%w: not a stream of records", ErrCorrupt)
	}
	if v := binary.LittleEndian.Uint16(b[4:]); v != formatVersion {
		return fmt.Errorf("%w: %d", ErrVersion, v)
	}
	if got := binary.LittleEndian.Uint16(b[6:]); got != tag {
		return fmt.Errorf("%w: tag %d, want %d", ErrForeign, got, tag)
	}
	d.next, d.last = binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:])
	if d.next == 0 || d.last < d.next-1 || d.last == ^uint64(0) {
		return fmt.Errorf("%w: no range %d to %d", ErrCorrupt, d.next, d.last)
	}
	return nil
}

// chunk reads the next chunk. The payloads are valid until the next call.
func (d *decoder) chunk() ([][]byte, error) {
	var head [chunkHeadLen]byte
	if _, err := io.ReadFull(d.r, head[:]); err != nil {
		return nil, fmt.Errorf("chunk header: %w", noEOF(err))
	}
	length, count := binary.LittleEndian.Uint32(head[:]), binary.LittleEndian.Uint32(head[4:])
	if binary.LittleEndian.Uint32(head[8:]) != crc32.Checksum(head[:8], castagnoli()) ||
		length > maxChunk || count == 0 || uint64(count) > d.last-d.next+1 {
		return nil, fmt.Errorf("%w: chunk of %d records in %d bytes", ErrCorrupt, count, length)
	}
	if cap(d.buf) < int(length) {
		d.buf = make([]byte, length)
	}
	d.buf = d.buf[:length]
	if _, err := io.ReadFull(d.r, d.buf); err != nil {
		return nil, fmt.Errorf("chunk: %w", noEOF(err))
	}
	d.payloads = d.payloads[:0]
	rest := d.buf
	for range count {
		from, to, n, err := d.codec.decode(rest, d.next)
		if err != nil {
			return nil, fmt.Errorf("%w: record %d: %w", ErrCorrupt, d.next, err)
		}
		d.payloads = append(d.payloads, rest[from:to:to])
		rest = rest[n:]
		d.next++
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%w: %d bytes after record %d", ErrCorrupt, len(rest), d.next-1)
	}
	return d.payloads, nil
}

// noEOF turns an end at a boundary into one in the middle: the stream promised
// more.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
