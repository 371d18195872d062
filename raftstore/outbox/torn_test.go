package outbox

import (
	"os"
	"testing"
)

// What was not yet flushed may come back from a crash with a hole anywhere, as
// the system writes pages in any order. What is before the hole stays, all
// after it is cut off with a warning, and the log brings it again.
func TestATornMiddleIsFoundWhereverItIs(t *testing.T) {
	dir := t.TempDir()
	o := openAt(t, Options{Dir: dir, SegmentBytes: small})
	appendTo(t, o, 20)
	must(t, o.Sync())
	appendTo(t, o, 45)
	type hole struct {
		segment *segment
		off     int64 // -1: the whole file is gone
	}
	var holes []hole
	for _, s := range o.state.segments {
		if s.first < o.synced.segment {
			continue
		}
		from := int64(0)
		if s.first == o.synced.segment {
			from = o.synced.off
		} else {
			holes = append(holes, hole{s, -1})
		}
		for off := from; off < s.size; off += 3 {
			holes = append(holes, hole{s, off})
		}
	}
	if len(holes) < 100 {
		t.Fatalf("only %d places", len(holes))
	}
	for _, h := range holes {
		log, warnings := logged(t)
		opts := Options{Dir: copyDir(t, dir), SegmentBytes: small, Logger: log}
		path := segmentPath(opts.Dir, h.segment.first)
		if h.off < 0 {
			must(t, os.Remove(path))
		} else {
			flip(t, path, h.off)
		}
		again, err := Open(opts)
		must(t, err)
		last := again.Last()
		// The newest segment gone as a whole is no hole, but an earlier end.
		if newest := o.state.active().first == h.segment.first; (warnings.Len() > 0) == (newest && h.off < 0) {
			t.Fatalf("byte %d of segment %d: warned %q", h.off, h.segment.first, warnings)
		}
		if last < 20 || last > 44 || last+1 < h.segment.first {
			t.Fatalf("byte %d of segment %d: the outbox ends at %d", h.off, h.segment.first, last)
		}
		wantRange(t, again, 1, last)
		appendTo(t, again, 60)
		wantRange(t, again, 1, 60)
		must(t, again.Close())
	}
}
