package forward

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
)

func TestALengthAloneTakesNoMemory(t *testing.T) {
	claim := beginFrame(nil, frameCall)
	binary.BigEndian.PutUint32(claim, maxBody)
	in := newFrameReader(bytes.NewReader(append(claim, "little"...)), maxCallBytes)
	if _, err := in.next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("%v", err)
	}
	if cap(in.buf) > keepBuffer {
		t.Errorf("%d bytes were allocated", cap(in.buf))
	}
}

func TestFramesOfAllSizesAreReadWhole(t *testing.T) {
	for _, size := range []int{0, 1, 4095, 4096, keepBuffer - 1, keepBuffer, keepBuffer + 1, 3*keepBuffer + 7, maxBody} {
		body := make([]byte, size)
		for i := range body {
			body[i] = byte(i % 251)
		}
		wire := append(beginFrame(nil, frameCall), body...)
		endFrame(wire, 0, 0)
		in := newFrameReader(bytes.NewReader(append(wire, wire...)), maxCallBytes)
		for range 2 {
			if f, err := in.next(); err != nil || !bytes.Equal(f.payload, body) {
				t.Fatalf("%d bytes: read %d, %v", size, len(f.payload), err)
			}
		}
	}
}
