package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// small makes segments of about ten records.
const small = 400

func payload(seq uint64) []byte {
	return fmt.Appendf(nil, "record %d %s", seq, "xxxxxxxxxxxxxxxxxxxx"[:seq%20])
}

func payloads(first uint64, n int) [][]byte {
	ps := make([][]byte, n)
	for i := range ps {
		ps[i] = payload(first + uint64(i))
	}
	return ps
}

func openAt(t testing.TB, opts Options) *Outbox {
	t.Helper()
	o, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	return o
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}

// appendTo appends payload(seq) up to a sequence, three records a call.
func appendTo(t testing.TB, o *Outbox, last uint64) {
	t.Helper()
	for next := o.Last() + 1; next <= last; next = o.Last() + 1 {
		must(t, o.Append(next, payloads(next, int(min(3, last-next+1)))))
	}
}

// wantRange checks First, Last and every record between, by Read and by Get.
func wantRange(t testing.TB, o *Outbox, first, last uint64) {
	t.Helper()
	if o.First() != first || o.Last() != last {
		t.Fatalf("holds %d to %d, want %d to %d", o.First(), o.Last(), first, last)
	}
	var b Batch
	for next := first; next <= last; next = b.Next() {
		must(t, o.Read(next, 0, 0, &b))
		if len(b.Payloads) == 0 {
			t.Fatalf("read %d: nothing", next)
		}
		for i, p := range b.Payloads {
			if want := payload(next + uint64(i)); !bytes.Equal(p, want) {
				t.Fatalf("record %d is %q, want %q", next+uint64(i), p, want)
			}
		}
	}
	for seq := first; seq <= last; seq++ {
		p, err := o.Get(seq)
		must(t, err)
		if !bytes.Equal(p, payload(seq)) {
			t.Fatalf("get %d: %q", seq, p)
		}
	}
}

// logged collects warnings.
func logged(t *testing.T) (*slog.Logger, *bytes.Buffer) {
	t.Helper()
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelWarn})), &b
}

func segmentFiles(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"+segmentExt))
	must(t, err)
	return names
}

func TestNewOutboxIsEmptyAndBeginsAtOne(t *testing.T) {
	o := openAt(t, Options{Dir: filepath.Join(t.TempDir(), "a", "b")})
	wantRange(t, o, 1, 0)
	var b Batch
	must(t, o.Read(1, 0, 0, &b))
	if len(b.Payloads) != 0 || b.Next() != 1 {
		t.Fatalf("read of an empty outbox: %d records, next %d", len(b.Payloads), b.Next())
	}
	wantErr(t, o.Read(2, 0, 0, &b), ErrGap)
	wantErr(t, o.Read(0, 0, 0, &b), ErrTrimmed)
	_, err := o.Get(1)
	wantErr(t, err, ErrGap)
}

func TestRecordsSurviveReopening(t *testing.T) {
	for _, name := range []string{"closed", "killed"} {
		t.Run(name, func(t *testing.T) {
			opts := Options{Dir: t.TempDir(), Tag: 3, SegmentBytes: small}
			o := openAt(t, opts)
			appendTo(t, o, 100)
			if name == "closed" {
				must(t, o.Close())
			}
			o = openAt(t, opts)
			wantRange(t, o, 1, 100)
			appendTo(t, o, 150)
			wantRange(t, o, 1, 150)
		})
	}
}

func TestAppendRefusesGapsAndBadRecords(t *testing.T) {
	o := openAt(t, Options{Dir: t.TempDir()})
	appendTo(t, o, 5)
	wantErr(t, o.Append(7, payloads(7, 1)), ErrGap)
	wantErr(t, o.Append(0, payloads(0, 1)), ErrGap)
	wantErr(t, o.Append(6, [][]byte{payload(6), nil}), ErrRecordSize)
	wantErr(t, o.Append(6, [][]byte{payload(6), make([]byte, MaxRecord+1)}), ErrRecordSize)
	must(t, o.Append(6, nil))
	wantRange(t, o, 1, 5)
}

func TestLargestRecord(t *testing.T) {
	opts := Options{Dir: t.TempDir()}
	o := openAt(t, opts)
	large := bytes.Repeat([]byte("z"), MaxRecord)
	must(t, o.Append(1, [][]byte{payload(1), large, payload(3), large, large}))
	for range 2 {
		for seq, want := range map[uint64][]byte{1: payload(1), 2: large, 3: payload(3), 5: large} {
			got, err := o.Get(seq)
			must(t, err)
			if !bytes.Equal(got, want) {
				t.Fatalf("record %d differs", seq)
			}
		}
		o = openAt(t, opts) // as after a kill: scanned
	}
}

func TestReplayedRecordsAreSkippedAndCompared(t *testing.T) {
	o := openAt(t, Options{Dir: t.TempDir(), SegmentBytes: small})
	appendTo(t, o, 60)
	size := o.Size()
	must(t, o.Append(1, payloads(1, 60)))
	must(t, o.Append(55, payloads(55, 6)))
	if o.Size() != size {
		t.Fatal("a replay was written")
	}
	must(t, o.Append(58, payloads(58, 10))) // in part
	wantRange(t, o, 1, 67)

	other := payloads(20, 5)
	other[3] = []byte("something else")
	wantErr(t, o.Append(20, other), ErrCorrupt)
	wantRange(t, o, 1, 67)

	must(t, o.Trim(30))
	must(t, o.Append(1, other)) // trimmed: nothing to compare with
	must(t, o.Append(1, payloads(1, 70)))
	wantRange(t, o, o.First(), 70)
}

func TestRotationKeepsSegmentsNearTheirSize(t *testing.T) {
	dir := t.TempDir()
	o := openAt(t, Options{Dir: dir, SegmentBytes: small})
	appendTo(t, o, 200)
	names := segmentFiles(t, dir)
	if len(names) < 10 {
		t.Fatalf("%d segments", len(names))
	}
	var size int64
	for _, name := range names {
		info, err := os.Stat(name)
		must(t, err)
		size += info.Size()
		if info.Size() > small {
			t.Errorf("%s has %d bytes", name, info.Size())
		}
	}
	if o.Size() != size {
		t.Errorf("Size() = %d, files have %d", o.Size(), size)
	}
	must(t, o.Append(201, payloads(201, 100))) // larger than a segment: one write all the same
	if n := len(segmentFiles(t, dir)); n != len(names)+1 {
		t.Errorf("one Append made %d segments", n-len(names))
	}
	wantRange(t, o, 1, 300)
}

func TestBacklogTakesNoMemoryAndFewFiles(t *testing.T) {
	opts := Options{Dir: t.TempDir(), SegmentBytes: small}
	for range 2 {
		o := openAt(t, opts)
		appendTo(t, o, o.Last()+500) // without a Sync
		open, indexed := 0, 0
		for _, s := range o.state.segments {
			if s.file != nil {
				open++
			}
			if s.index != nil {
				indexed++
			}
		}
		if open > maxUnflushed+1 || indexed > 1 {
			t.Fatalf("of %d segments %d are open and %d have their index in memory", len(o.state.segments), open, indexed)
		}
	}
}

func TestReadKeepsItsLimits(t *testing.T) {
	o := openAt(t, Options{Dir: t.TempDir()})
	must(t, o.Append(1, payloads(1, 20000))) // several marks of the index
	var b Batch
	for _, from := range []uint64{1, 2, 777, 9999, 19999} {
		must(t, o.Read(from, 2, 0, &b))
		if len(b.Payloads) != 2 || !bytes.Equal(b.Payloads[1], payload(from+1)) {
			t.Fatalf("two from %d: %q", from, b.Payloads)
		}
		must(t, o.Read(from, 0, 1, &b))
		if len(b.Payloads) != 1 {
			t.Fatalf("one byte from %d: %d records, want the one that there must be", from, len(b.Payloads))
		}
	}
	must(t, o.Read(1, 0, 1000, &b))
	if len(b.raw) > 1000 || len(b.Payloads) < 20 {
		t.Fatalf("1000 bytes: %d records in %d bytes", len(b.Payloads), len(b.raw))
	}
	must(t, o.Read(1, 15000, 10<<20, &b))
	if len(b.Payloads) != 15000 {
		t.Fatalf("15000 wanted, %d read", len(b.Payloads))
	}
	for i, p := range b.Payloads {
		if !bytes.Equal(p, payload(uint64(i+1))) {
			t.Fatalf("record %d is %q", i+1, p)
		}
	}
	wantRange(t, o, 1, 20000)
}

func TestWaitWakesOnAppendResetCloseAndContext(t *testing.T) {
	o := openAt(t, Options{Dir: t.TempDir()})
	appendTo(t, o, 3)
	must(t, o.Wait(t.Context(), 2))

	wait := func(ctx context.Context, after uint64) <-chan error {
		done := make(chan error, 1)
		go func() { done <- o.Wait(ctx, after) }()
		return done
	}
	first, second := wait(t.Context(), 3), wait(t.Context(), 4)
	must(t, o.Append(4, payloads(4, 1)))
	must(t, <-first)
	select {
	case err := <-second:
		t.Fatalf("woken too early: %v", err)
	default:
	}
	must(t, o.Append(5, payloads(5, 1)))
	must(t, <-second)

	third := wait(t.Context(), 5)
	must(t, o.Reset(100))
	must(t, <-third)

	ctx, cancel := context.WithCancel(t.Context())
	fourth := wait(ctx, 99)
	cancel()
	wantErr(t, <-fourth, context.Canceled)

	fifth := wait(t.Context(), 99)
	must(t, o.Close())
	wantErr(t, <-fifth, ErrClosed)
}

func TestCloseIsIdempotentAndFinal(t *testing.T) {
	o := openAt(t, Options{Dir: t.TempDir()})
	appendTo(t, o, 3)
	must(t, o.Close())
	must(t, o.Close())
	wantErr(t, o.Append(4, payloads(4, 1)), ErrClosed)
	wantErr(t, o.Read(1, 0, 0, new(Batch)), ErrClosed)
	wantErr(t, o.Sync(), ErrClosed)
	wantErr(t, o.Trim(3), ErrClosed)
	wantErr(t, o.Reset(3), ErrClosed)
	wantErr(t, o.Load(&bytes.Buffer{}), ErrClosed)
	wantErr(t, o.Wait(t.Context(), 1), ErrClosed)
}

func TestReadersBesideAWriterATrimmerAndSync(t *testing.T) {
	const last = 4000
	o := openAt(t, Options{Dir: t.TempDir(), SegmentBytes: 4000})
	ctx := t.Context()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			var b Batch
			for next := uint64(1); next <= last; {
				if err := o.Wait(ctx, next-1); err != nil {
					t.Error(err)
					return
				}
				err := o.Read(next, 50, 0, &b)
				if errors.Is(err, ErrTrimmed) {
					next = o.First()
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				for i, p := range b.Payloads {
					if !bytes.Equal(p, payload(next+uint64(i))) {
						t.Errorf("record %d is %q", next+uint64(i), p)
						return
					}
				}
				next = b.Next()
			}
		})
	}
	wg.Go(func() {
		for seq := uint64(0); seq < last; seq += 500 {
			if o.Wait(ctx, seq) != nil {
				return
			}
			if err := errors.Join(o.Sync(), o.Trim(seq/2)); err != nil {
				t.Error(err)
			}
		}
	})
	appendTo(t, o, last)
	wg.Wait()
	wantRange(t, o, o.First(), last)
}
