package outbox

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func stream(t testing.TB, o *Outbox, from, to uint64) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, o.StreamTo(&b, from, to))
	return b.Bytes()
}

func TestStreamCarriesARangeToAnotherOutbox(t *testing.T) {
	a := openAt(t, Options{Dir: t.TempDir(), SegmentBytes: small})
	appendTo(t, a, 100)
	for _, c := range []struct {
		name         string
		have         uint64 // what the receiver holds before
		from, to     uint64
		first, final uint64 // what it holds after
	}{
		{"into an empty one", 0, 1, 100, 1, 100},
		{"the tail, into an empty one", 0, 40, 100, 40, 100},
		{"goes on where it ends", 39, 40, 100, 1, 100},
		{"overlaps", 70, 40, 100, 1, 100},
		{"is all there", 100, 40, 90, 1, 100},
		{"a part is missing between", 20, 40, 100, 40, 100},
		{"empty range", 20, 21, 20, 1, 20},
		{"empty range further on", 20, 41, 40, 41, 40},
	} {
		t.Run(c.name, func(t *testing.T) {
			opts := Options{Dir: t.TempDir(), SegmentBytes: small}
			b := openAt(t, opts)
			appendTo(t, b, c.have)
			r := bytes.NewReader(append(stream(t, a, c.from, c.to), "what follows"...))
			must(t, b.Load(iotest.HalfReader(r)))
			wantRange(t, b, c.first, c.final)
			if rest, _ := io.ReadAll(r); string(rest) != "what follows" {
				t.Fatalf("left of the reader: %q", rest)
			}
			b = openAt(t, opts)
			wantRange(t, b, c.first, c.final)
		})
	}
}

func TestStreamOfManyChunks(t *testing.T) {
	a := openAt(t, Options{Dir: t.TempDir(), SegmentBytes: 300 << 10})
	for next := uint64(1); next <= 50000; next = a.Last() + 1 {
		must(t, a.Append(next, payloads(next, 2500)))
	}
	large := bytes.Repeat([]byte("y"), MaxRecord)
	must(t, a.Append(50001, [][]byte{large}))
	b := openAt(t, Options{Dir: t.TempDir()})
	must(t, b.Load(bytes.NewReader(stream(t, a, 10, 50001))))
	for _, seq := range []uint64{10, 11, 30000, 50000} {
		p, err := b.Get(seq)
		must(t, err)
		if !bytes.Equal(p, payload(seq)) {
			t.Fatalf("record %d is %q", seq, p)
		}
	}
	p, err := b.Get(50001)
	must(t, err)
	if !bytes.Equal(p, large) {
		t.Fatal("the large record differs")
	}
}

func TestStreamRefusesWhatIsNotThere(t *testing.T) {
	o := openAt(t, Options{Dir: t.TempDir(), SegmentBytes: small})
	appendTo(t, o, 50)
	wantErr(t, o.StreamTo(io.Discard, 40, 51), ErrGap)
	must(t, o.Trim(30))
	wantErr(t, o.StreamTo(io.Discard, 1, 50), ErrTrimmed)
	for _, r := range [][2]uint64{{0, 5}, {5, 3}} {
		if o.StreamTo(io.Discard, r[0], r[1]) == nil {
			t.Errorf("range %v was accepted", r)
		}
	}
}

func TestLoadRefusesDamage(t *testing.T) {
	a := openAt(t, Options{Dir: t.TempDir(), Tag: 4})
	appendTo(t, a, 8)
	good := stream(t, a, 1, 8)
	t.Run("any byte", func(t *testing.T) {
		for i := range good {
			b := openAt(t, Options{Dir: t.TempDir(), Tag: 4})
			bad := slices.Clone(good)
			bad[i] ^= 0x10
			err := b.Load(bytes.NewReader(bad))
			if err == nil {
				t.Fatalf("byte %d: no error", i)
			}
			wantRange(t, b, 1, b.Last())
			must(t, b.Close())
		}
	})
	t.Run("any length", func(t *testing.T) {
		for n := range good {
			b := openAt(t, Options{Dir: t.TempDir(), Tag: 4})
			err := b.Load(bytes.NewReader(good[:n]))
			if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
				t.Fatalf("%d bytes: %v", n, err)
			}
			must(t, b.Close())
		}
	})
	t.Run("another tag", func(t *testing.T) {
		b := openAt(t, Options{Dir: t.TempDir(), Tag: 5})
		wantErr(t, b.Load(bytes.NewReader(good)), ErrForeign)
	})
	t.Run("another history", func(t *testing.T) {
		b := openAt(t, Options{Dir: t.TempDir(), Tag: 4})
		must(t, b.Append(1, [][]byte{[]byte("not record 1")}))
		wantErr(t, b.Load(bytes.NewReader(good)), ErrCorrupt)
	})
	t.Run("a reader's error", func(t *testing.T) {
		b := openAt(t, Options{Dir: t.TempDir(), Tag: 4})
		wantErr(t, b.Load(io.MultiReader(strings.NewReader(string(good[:40])), iotest.ErrReader(io.ErrClosedPipe))), io.ErrClosedPipe)
	})
}
