package outbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// MaxRecord is the size of the largest record, in bytes.
const MaxRecord = 1 << 20

const (
	sumLen  = 4
	maxHead = 3 // bytes of the longest length
	// maxFrame is the most that a record takes in a file: length, payload, sum.
	maxFrame = maxHead + MaxRecord + sumLen
	// scanChunk is how much of a file a scan reads at once.
	scanChunk = 256 << 10
)

// What may be wrong with the bytes of a record. They are reasons, to be wrapped
// in ErrCorrupt or taken as the end of a torn tail.
var (
	errShort  = errors.New("record ends too early")
	errLength = errors.New("impossible record length")
	errSum    = errors.New("checksum does not match")
)

// codec reads and writes records. It holds the scratch space that lets a
// checksum begin with the sequence without allocating, so it has one user at a
// time.
type codec struct {
	table *crc32.Table
	seq   [8]byte
}

func newCodec() codec { return codec{table: castagnoli()} }

// castagnoli returns the table of CRC-32C, which the standard library keeps.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func (c *codec) sum(seq uint64, payload []byte) uint32 {
	binary.LittleEndian.PutUint64(c.seq[:], seq)
	return crc32.Update(crc32.Update(0, c.table, c.seq[:]), c.table, payload)
}

// encode appends the record to dst.
func (c *codec) encode(dst []byte, seq uint64, payload []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(payload)))
	dst = append(dst, payload...)
	return binary.LittleEndian.AppendUint32(dst, c.sum(seq, payload))
}

// decode reads the record that b begins with and returns where its payload lies
// in b and how long the record is. Its errors are errShort, when b may be the
// beginning of a record, errLength and errSum.
func (c *codec) decode(b []byte, seq uint64) (from, to, n int, err error) {
	length, head := binary.Uvarint(b)
	switch {
	case head == 0 && len(b) < maxHead:
		return 0, 0, 0, errShort
	case head <= 0 || length == 0 || length > MaxRecord || head != headBytes(int(length)):
		return 0, 0, 0, errLength
	}
	from, to = head, head+int(length)
	n = to + sumLen
	if len(b) < n {
		return 0, 0, 0, errShort
	}
	if binary.LittleEndian.Uint32(b[to:]) != c.sum(seq, b[from:to]) {
		return 0, 0, 0, errSum
	}
	return from, to, n, nil
}

// scanned is what a scan found in a segment.
type scanned struct {
	next  uint64 // the sequence after the last whole record
	end   int64  // the offset after it
	bad   error  // why the scan ended before the end of the file, nil if it did not
	index []mark // the sparse index of what is whole
}

// scan reads the records of a segment of the given size, whose first record has
// sequence first. It uses the same memory however large the segment is. An
// error means that the file could not be read, which says nothing about what is
// in it.
func scan(r io.ReaderAt, first uint64, size int64) (scanned, error) {
	var (
		c     = newCodec()
		s     = scanned{next: first, end: headerLen}
		idx   = indexer{next: headerLen}
		buf   []byte
		chunk = int64(scanChunk)
	)
	for s.end < size {
		start, want := s.end, min(chunk, size-s.end)
		if int64(cap(buf)) < want {
			buf = make([]byte, want)
		}
		buf = buf[:want]
		if n, err := r.ReadAt(buf, start); n < len(buf) {
			return s, fmt.Errorf("read at offset %d: %w", start, err)
		}
		s.bad = nil
		for rest := buf; len(rest) > 0; {
			_, _, n, err := c.decode(rest, s.next)
			if err != nil {
				s.bad = err
				break
			}
			s.index = idx.add(s.index, s.next, s.end)
			s.next++
			s.end += int64(n)
			rest = rest[n:]
		}
		switch {
		case s.bad == nil:
		case !errors.Is(s.bad, errShort), want == size-start:
			return s, nil
		case s.end == start:
			chunk = maxFrame // the record is longer than a chunk
		default:
			chunk = scanChunk // the record goes on in the next chunk
		}
	}
	return s, nil
}
