package forward

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// errMalformed is wrapped by the errors of all decoders: the other side does
// not speak this protocol, or not this version of it.
var errMalformed = errors.New("malformed frame")

// version is the version of all frames.
const version = 1

// The kinds of frames.
const (
	frameDraws   = 1
	frameAnswers = 2
	frameCall    = 3
	frameReply   = 4
	framePost    = 5
	framePing    = 6
	framePong    = 7
)

const headerSize = 8

// Limits of frames.
const (
	maxBatch      = 4096    // draws or answers in a frame
	maxBatchBytes = 1 << 20 // a full frame of the longest draws has 0.9 MB
	maxBody       = 16 << 20
	maxCallBytes  = maxBody + 1024 // a body with what goes before it
	readBuffer    = 64 << 10
	keepBuffer    = 1 << 20 // larger buffers of one frame are not kept
	keepBatch     = 4 << 20 // nor are larger ones of several frames
)

// beginFrame appends a header, to be completed by endFrame.
func beginFrame(b []byte, kind byte) []byte {
	return append(b, 0, 0, 0, 0, version, kind, 0, 0)
}

// endFrame completes the header of the frame that starts at start.
func endFrame(b []byte, start, count int) {
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-headerSize))
	binary.BigEndian.PutUint16(b[start+6:], uint16(count))
}

// batch collects draws or answers into as many frames as they need. The zero
// value with a kind is ready to use.
type batch struct {
	kind  byte
	buf   []byte
	start int // where the open frame starts
	n     int // how many the open frame has
}

// room begins a frame where one is needed; the caller appends one draw or
// answer to buf afterwards and calls added.
func (b *batch) room() {
	if b.n == maxBatch {
		b.seal()
	}
	if b.n == 0 {
		b.start = len(b.buf)
		b.buf = beginFrame(b.buf, b.kind)
	}
}

func (b *batch) added() { b.n++ }

// seal completes the open frame, if there is one.
func (b *batch) seal() {
	if b.n > 0 {
		endFrame(b.buf, b.start, b.n)
		b.n = 0
	}
}

// sign adds an empty frame: a sign of life.
func (b *batch) sign() {
	b.seal()
	b.buf = beginFrame(b.buf, b.kind)
	endFrame(b.buf, len(b.buf)-headerSize, 0)
}

// reset empties b and keeps its buffer, unless that grew out of measure.
func (b *batch) reset() {
	b.n = 0
	if cap(b.buf) > keepBatch {
		b.buf = nil
	}
	b.buf = b.buf[:0]
}

// frame is one frame as read; its payload is valid until the next read.
type frame struct {
	kind    byte
	count   int
	payload []byte
}

// frameReader reads frames of limited size.
type frameReader struct {
	from  *bufio.Reader
	limit int
	head  [headerSize]byte
	buf   []byte
}

func newFrameReader(from io.Reader, limit int) *frameReader {
	return &frameReader{from: bufio.NewReaderSize(from, readBuffer), limit: limit}
}

// next reads one frame. io.EOF means that the stream ended between frames.
func (r *frameReader) next() (frame, error) {
	if _, err := io.ReadFull(r.from, r.head[:]); err != nil {
		return frame{}, err
	}
	if v := r.head[4]; v != version {
		return frame{}, fmt.Errorf("%w: version %d, this server speaks %d", errMalformed, v, version)
	}
	size := int(binary.BigEndian.Uint32(r.head[:]))
	if size > r.limit {
		return frame{}, fmt.Errorf("%w: %d bytes, the limit is %d", errMalformed, size, r.limit)
	}
	payload, err := r.payload(size)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return frame{}, err
	}
	return frame{kind: r.head[5], count: int(binary.BigEndian.Uint16(r.head[6:])), payload: payload}, nil
}

// payload reads size bytes. Memory for more than keepBuffer is taken as they
// come: a length is only a claim.
func (r *frameReader) payload(size int) ([]byte, error) {
	if first := min(size, keepBuffer); cap(r.buf) < first || cap(r.buf) > keepBuffer {
		r.buf = make([]byte, max(first, min(2*cap(r.buf), keepBuffer), 4096))
	}
	for have := 0; ; {
		upTo := min(size, cap(r.buf))
		if _, err := io.ReadFull(r.from, r.buf[have:upTo]); err != nil {
			return nil, err
		}
		if have = upTo; have == size {
			return r.buf[:size], nil
		}
		bigger := make([]byte, min(size, 2*cap(r.buf)))
		copy(bigger, r.buf[:have])
		r.buf = bigger
	}
}
