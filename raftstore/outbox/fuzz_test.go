package outbox

import (
	"bytes"
	"testing"
)

// seedRecords returns the bytes of a few records as a segment holds them.
func seedRecords() []byte {
	c := newCodec()
	var b []byte
	for seq := uint64(1); seq <= 5; seq++ {
		b = c.encode(b, seq, payload(seq))
	}
	return b
}

// FuzzScan scans arbitrary bytes after a segment's header: it must find exactly
// the records that are whole, and say what is wrong with the rest.
func FuzzScan(f *testing.F) {
	good := seedRecords()
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add(append(bytes.Clone(good), make([]byte, 50)...))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x01})
	f.Add([]byte{0x80, 0x80, 0x40})
	f.Add([]byte{0x85, 0x00, 1, 2, 3, 4, 5})
	f.Fuzz(func(t *testing.T, b []byte) {
		file := append(encodeHeader(0, 1), b...)
		s, err := scan(bytes.NewReader(file), 1, int64(len(file)))
		must(t, err)
		if (s.bad == nil) != (s.end == int64(len(file))) {
			t.Fatalf("ends at %d of %d: %v", s.end, len(file), s.bad)
		}
		var again []byte
		c := newCodec()
		rest := b
		for seq := uint64(1); seq < s.next; seq++ {
			from, to, n, err := c.decode(rest, seq)
			must(t, err)
			again = c.encode(again, seq, rest[from:to])
			rest = rest[n:]
		}
		if _, _, _, err := c.decode(rest, s.next); err == nil {
			t.Fatalf("record %d is whole and was not found", s.next)
		}
		if !bytes.HasPrefix(b, again) || s.end != int64(headerLen+len(again)) {
			t.Fatalf("%d records of %d bytes are not what the file began with", s.next-1, len(again))
		}
	})
}

// FuzzLoad loads arbitrary bytes: an error, or records that can be streamed out
// again, never a panic.
func FuzzLoad(f *testing.F) {
	o, err := Open(Options{Dir: f.TempDir()})
	must(f, err)
	must(f, o.Append(1, payloads(1, 5)))
	good := stream(f, o, 1, 5)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(good[:streamHeadLen])
	f.Add(stream(f, o, 6, 5))
	f.Add(stream(f, o, 3, 5))
	must(f, o.Close())
	f.Fuzz(func(t *testing.T, b []byte) {
		// The disk is slow and not what is tested: decode first.
		d := decoder{r: bytes.NewReader(b), codec: newCodec()}
		if d.begin(0) != nil {
			return
		}
		first, last := d.next, d.last
		for d.next <= d.last {
			if _, err := d.chunk(); err != nil {
				return
			}
		}
		o := openAt(t, Options{Dir: t.TempDir()})
		must(t, o.Load(bytes.NewReader(b)))
		if o.First() != first || o.Last() != last {
			t.Fatalf("holds %d to %d, want %d to %d", o.First(), o.Last(), first, last)
		}
		var out bytes.Buffer
		must(t, o.StreamTo(&out, first, last))
	})
}

// FuzzSmallFiles gives arbitrary bytes to the decoders of the other files.
func FuzzSmallFiles(f *testing.F) {
	f.Add(encodeHeader(0, 1))
	f.Add(encodeIndex(0, 1, 100, []mark{{1, 20}, {3, 60}}))
	f.Add(encodeSyncPoint(0, syncPoint{segment: 1, off: 90, last: 4}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if checkHeader(b, 0, 1) == nil && !bytes.HasPrefix(b, encodeHeader(0, 1)) {
			t.Error("another header was accepted")
		}
		if index, ok := decodeIndex(b, 0, 1, 100); ok && !bytes.Equal(b, encodeIndex(0, 1, 100, index)) {
			t.Error("another index was accepted")
		}
		if p, err := decodeSyncPoint(b, 0); err == nil && !bytes.Equal(b, encodeSyncPoint(0, p)) {
			t.Error("another sync point was accepted")
		}
	})
}
