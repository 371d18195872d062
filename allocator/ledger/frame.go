package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A snapshot is the magic, which ends in the format's version, and then frames:
//
//	length of the body  uint32, little endian
//	checksum            uint32, little endian: CRC-32C of the magic and of all
//	                    bodies up to and with this one
//	body                its first byte is the section
//
// Every frame carries the checksum of all that came before it, so nothing is
// believed, and no memory is taken for it, before it has been checked; the last
// frame's checksum covers the whole. Items never straddle frames.
const (
	magic = "TBLEDGR\x01"

	frameHead = 8
	// frameFill is the length at which the writer sends a body off, frameMax the
	// longest that a reader accepts.
	frameFill = 60 << 10
	frameMax  = 64 << 10
)

// The sections of a snapshot, in their order. Those of users and grants have as
// many frames as they need, the others one.
const (
	sectionHead   = 1 // last sequence, number of users, number of grants
	sectionUsers  = 2
	sectionGrants = 3
	sectionEnd    = 4 // empty
)

var (
	// ErrCorrupt is wrapped by Decode's errors about a snapshot that is damaged,
	// cut short or contradicts itself.
	ErrCorrupt = errors.New("ledger: corrupt snapshot")
	// ErrVersion means that the input is no snapshot of a ledger, or one of a
	// version that this program doesn't know.
	ErrVersion = errors.New("ledger: not a snapshot of a known version")
)

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// frameWriter collects bodies and writes them as frames.
type frameWriter struct {
	w     io.Writer
	table *crc32.Table
	sum   uint32
	buf   []byte // room for a frame's head, then the body
}

func newFrameWriter(w io.Writer) (*frameWriter, error) {
	if _, err := io.WriteString(w, magic); err != nil {
		return nil, err
	}
	t := castagnoli()
	return &frameWriter{
		w:     w,
		table: t,
		sum:   crc32.Checksum([]byte(magic), t),
		buf:   make([]byte, frameHead, frameMax+frameHead),
	}, nil
}

// begin starts a body of the section.
func (f *frameWriter) begin(section byte) {
	f.buf = append(f.buf[:frameHead], section)
}

// split writes the body if it is long enough, and goes on with the same section.
func (f *frameWriter) split() error {
	if len(f.buf) < frameFill {
		return nil
	}
	section := f.buf[frameHead]
	if err := f.end(); err != nil {
		return err
	}
	f.begin(section)
	return nil
}

// end writes the body.
func (f *frameWriter) end() error {
	body := f.buf[frameHead:]
	f.sum = crc32.Update(f.sum, f.table, body)
	binary.LittleEndian.PutUint32(f.buf, uint32(len(body)))
	binary.LittleEndian.PutUint32(f.buf[4:], f.sum)
	_, err := f.w.Write(f.buf)
	return err
}

// frameReader reads frames and checks them. It reads nothing beyond the
// frames that are asked for.
type frameReader struct {
	r     io.Reader
	table *crc32.Table
	sum   uint32
	buf   []byte
}

func newFrameReader(r io.Reader) (*frameReader, error) {
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, cut(err)
	}
	if string(head) != magic {
		return nil, fmt.Errorf("%w: it begins with %q", ErrVersion, head)
	}
	t := castagnoli()
	return &frameReader{r: r, table: t, sum: crc32.Checksum(head, t), buf: make([]byte, frameMax)}, nil
}

// next returns the next frame's section and the rest of its body, which is good
// until the next call.
func (f *frameReader) next() (section byte, body []byte, err error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return 0, nil, cut(err)
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n < 1 || n > frameMax {
		return 0, nil, fmt.Errorf("%w: frame of %d bytes", ErrCorrupt, n)
	}
	body = f.buf[:n]
	if _, err := io.ReadFull(f.r, body); err != nil {
		return 0, nil, cut(err)
	}
	f.sum = crc32.Update(f.sum, f.table, body)
	if f.sum != binary.LittleEndian.Uint32(head[4:]) {
		return 0, nil, fmt.Errorf("%w: wrong checksum", ErrCorrupt)
	}
	return body[0], body[1:], nil
}

// cut says that the input ended too early, or passes the reader's own error on.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: cut short: %w", ErrCorrupt, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("ledger: read snapshot: %w", err)
}

// cursor takes numbers from a body. After a number that isn't there, bad is set
// and everything it returns is zero.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) uint() uint64 {
	v, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *cursor) int() int64 {
	v, n := binary.Varint(c.b)
	if n <= 0 {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *cursor) byte() byte {
	if len(c.b) < 1 {
		c.bad = true
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

func (c *cursor) hash() Hash {
	if len(c.b) < 16 {
		c.bad, c.b = true, nil
		return Hash{}
	}
	h := Hash{binary.LittleEndian.Uint64(c.b), binary.LittleEndian.Uint64(c.b[8:])}
	c.b = c.b[16:]
	return h
}

func appendHash(b []byte, h Hash) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, h[0]), h[1])
}
