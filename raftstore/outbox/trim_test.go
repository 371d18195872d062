package outbox

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTrimDeletesWholeSegmentsOnly(t *testing.T) {
	opts := Options{Dir: t.TempDir(), SegmentBytes: small}
	o := openAt(t, opts)
	appendTo(t, o, 100)
	second := o.state.segments[1].first
	must(t, o.Trim(second-1))
	wantRange(t, o, 1, 100)
	must(t, o.Trim(second))
	wantRange(t, o, second, 100)
	must(t, o.Trim(1000)) // the newest stays
	active := o.state.active().first
	wantRange(t, o, active, 100)
	var b Batch
	wantErr(t, o.Read(active-1, 0, 0, &b), ErrTrimmed)
	if n := len(segmentFiles(t, opts.Dir)); n != 1 {
		t.Fatalf("%d segment files left", n)
	}
	o = openAt(t, opts)
	wantRange(t, o, active, 100)
	if left, _ := filepath.Glob(filepath.Join(opts.Dir, "*"+indexExt)); len(left) > 0 {
		t.Fatalf("indexes left: %v", left)
	}
}

func TestTrimUnderAReader(t *testing.T) {
	o := openAt(t, Options{Dir: t.TempDir(), SegmentBytes: small})
	appendTo(t, o, 100)
	var b Batch
	must(t, o.Read(1, 2, 0, &b))
	kept := string(b.Payloads[1])
	must(t, o.Trim(50))
	if kept != string(b.Payloads[1]) {
		t.Error("the batch changed")
	}
	wantErr(t, o.Read(b.Next(), 2, 0, &b), ErrTrimmed)
	if len(b.Payloads) != 0 {
		t.Error("a failed read left records in the batch")
	}
	must(t, o.Read(o.First(), 2, 0, &b))
}

func TestOlderThanServesARetentionByTime(t *testing.T) {
	o := openAt(t, Options{Dir: t.TempDir(), SegmentBytes: small})
	appendTo(t, o, 100)
	now := time.Now()
	for _, s := range o.state.segments[:3] {
		must(t, os.Chtimes(s.path, now, now.Add(-48*time.Hour)))
	}
	before, err := o.OlderThan(now.Add(-24 * time.Hour))
	must(t, err)
	if want := o.state.segments[3].first; before != want {
		t.Fatalf("older than a day: before %d, want %d", before, want)
	}
	before, err = o.OlderThan(now.Add(time.Hour))
	must(t, err)
	if want := o.state.active().first; before != want {
		t.Fatalf("the newest segment counts as old: before %d, want %d", before, want)
	}
}

func TestResetBeginsAgain(t *testing.T) {
	opts := Options{Dir: t.TempDir(), SegmentBytes: small}
	o := openAt(t, opts)
	appendTo(t, o, 100)
	for _, next := range []uint64{500, 20, 1} {
		must(t, o.Reset(next))
		wantRange(t, o, next, next-1)
		wantErr(t, o.Append(next+1, payloads(next+1, 1)), ErrGap)
		must(t, o.Append(next, payloads(next, 30)))
		wantRange(t, o, next, next+29)
	}
	must(t, o.Reset(77))
	o = openAt(t, opts)
	wantRange(t, o, 77, 76)
	if o.Reset(0) == nil {
		t.Error("reset to 0 was accepted")
	}
}
