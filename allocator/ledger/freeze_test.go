package ledger

import (
	"errors"
	"io"
	"math"
	"testing"
)

func TestAFrozenViewStaysWhatItWas(t *testing.T) {
	l := filled(t, 5000)
	f := l.Freeze()
	want := string(encoded(t, f))

	mustVoid(t, l, 17, true)
	mustAppend(t, l, entry(l.Last()+1, 1, 4000, 9000))
	l.Forget(1, 700)
	for i := range 1000 {
		mustAppend(t, l, entry(l.Last()+1, 2, i, 10_000+i))
	}
	if got := string(encoded(t, f)); got != want {
		t.Error("the view has changed")
	}
	if old := mustDecode(t, []byte(want)); old.Len() != 5000 || old.Count(1, id(17)) != 1 {
		t.Error("the view is not what the ledger was")
	}
	f.Release()
}

func TestSeveralViewsKeepTheirOwnState(t *testing.T) {
	l := New()
	var views []*Frozen
	for i := range 4 {
		for range 700 {
			n := int(l.Last()) + 1
			mustAppend(t, l, entry(uint64(n), 1, n%900, n))
		}
		if i == 3 {
			views[1].Release() // one in the middle
		}
		views = append(views, l.Freeze())
	}
	l.Forget(1, math.MaxInt)
	for i, f := range views {
		if i == 1 {
			continue
		}
		if got := mustDecode(t, encoded(t, f)).Len(); got != 700*(i+1) {
			t.Errorf("view %d holds %d grants", i, got)
		}
	}
}

func TestReleasingAViewEndsTheCopying(t *testing.T) {
	l := filled(t, 100)
	before := l.grants.dirs[0][0]

	f := l.Freeze()
	mustVoid(t, l, 1, false)
	copied := l.grants.dirs[0][0]
	if copied == before {
		t.Fatal("a shared chunk was written to")
	}
	mustVoid(t, l, 2, false)
	if l.grants.dirs[0][0] != copied {
		t.Error("a chunk was copied twice for one view")
	}
	f.Release()

	g := l.Freeze()
	g.Release()
	mustVoid(t, l, 3, false)
	if l.grants.dirs[0][0] != copied {
		t.Error("a chunk was copied for a view that was released")
	}
	if len(l.views.open) != 0 {
		t.Errorf("%d released views are kept", len(l.views.open))
	}
}

func TestAReleasedViewCannotBeEncoded(t *testing.T) {
	f := New().Freeze()
	f.Release()
	f.Release()
	if err := f.Encode(io.Discard); !errors.Is(err, ErrReleased) {
		t.Errorf("got %v", err)
	}
}

// The race detector watches this one.
func TestAViewIsEncodedAndReleasedWhileTheLedgerChanges(t *testing.T) {
	l := filled(t, 3000)
	for range 5 {
		want := string(snapshot(t, l))
		f := l.Freeze()
		got := make(chan string)
		go func() {
			b := encoded(t, f)
			f.Release()
			got <- string(b)
		}()
		for i := range 500 {
			n := int(l.Last()) + 1
			mustAppend(t, l, entry(uint64(n), 1+uint32(i%2), n%4000, n))
			l.Forget(1, 1)
		}
		if <-got != want {
			t.Fatal("the view is not what the ledger was")
		}
	}
}

func TestReadersMayRunAtTheSameTime(t *testing.T) {
	l := filled(t, 1000)
	f := l.Freeze()
	f.Release()
	done := make(chan bool)
	for range 4 {
		go func() {
			ok := true
			for i := 1; i <= 1000; i++ {
				_, found := l.Find(req(i))
				_, there := l.Grant(uint64(i))
				ok = ok && found && there && l.Count(1, id(i)) == 1
			}
			done <- ok
		}()
	}
	for range 4 {
		if !<-done {
			t.Error("a reader missed something")
		}
	}
}
