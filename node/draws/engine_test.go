package draws

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"tombola/allocator"
)

func TestALoneDrawIsProposedAtOnce(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(1), lot(1, 10))
	w.lead()
	a := w.draw("ada", "")
	if a.Failure != NoFailure || a.Verdict != allocator.Granted || a.Slice != 1 || a.Seq != 1 || a.Repeat {
		t.Fatalf("answer %+v", a)
	}
	if entries, verifies, _ := w.log.counts(); !slices.Equal(entries, []int{1}) || verifies != 0 {
		t.Fatalf("entries %v, %d verifications", entries, verifies)
	}
}

func TestDrawsGatherWhileAnEntryIsUnderWay(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(1), lot(1, 100))
	w.lead()
	w.log.hold()
	all := []*Draw{w.submit("ada", "", patience)}
	w.arrived()
	for range 10 {
		all = append(all, w.submit("bob", "", patience))
	}
	w.let(fate{applied: true})
	for i, d := range all {
		if a := d.Wait(); a.Verdict != allocator.Granted || a.Seq != uint64(i+1) {
			t.Fatalf("draw %d: %+v", i, a)
		}
		d.Release()
	}
	if entries, _, _ := w.log.counts(); !slices.Equal(entries, []int{1, 10}) {
		t.Fatalf("entries of %v commands, want one for the first and one for all others", entries)
	}
}

func TestRepeatsAndRefusalsNeedNoEntryAndShareOneVerification(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(1), lot(1, 1))
	w.lead()
	ada := atHome(1, 0)
	first := w.draw(ada, "r1")
	w.heard(dry(1))

	w.log.hold()
	leader := w.submit(ada, "r1", patience)
	w.arrived()
	all := []*Draw{leader}
	for range 5 {
		all = append(all, w.submit(ada, "r1", patience), w.submit("bob", "", patience))
	}
	w.let(fate{applied: true})
	for i, d := range all {
		a := d.Wait()
		if i == 0 || i%2 == 1 {
			if a.Verdict != allocator.Granted || !a.Repeat || a.Seq != first.Seq || a.At != first.At {
				t.Fatalf("repeat %d: %+v", i, a)
			}
		} else if a.Failure != NoFailure || a.Verdict != allocator.SoldOut {
			t.Fatalf("refusal %d: %+v", i, a)
		}
		d.Release()
	}
	if entries, verifies, _ := w.log.counts(); len(entries) != 1 || verifies != 2 {
		t.Fatalf("%d entries and %d verifications, want 1 and 2", len(entries), verifies)
	}
}

func TestNothingIsRefusedByAServerThatMayNotLead(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(1), dry(1))
	w.lead()
	w.log.fail(errNotLeader)
	d := w.submit("ada", "", patience)
	if got := w.sentBack(); got != d || d.Answer.Failure != NoFailure || d.Answer.Verdict != 0 {
		t.Fatalf("rerouted %p with %+v, want %p", got, d.Answer, d)
	}
}

func TestARefusalBesideAnEntryThatFailedIsRoutedAgain(t *testing.T) {
	for _, err := range []error{errNotLeader, errUnknown} {
		unknown := errors.Is(err, errUnknown)
		w := newWorld(t)
		w.heard(prize(1), lot(1, 10))
		w.lead()
		ada := atHome(1, 0)
		w.draw(ada, "r1")
		w.log.hold()
		w.submit("bob", "", patience)
		w.arrived()
		granted, repeat := w.submit("cyd", "", patience), w.submit(ada, "r1", patience)
		w.log.fail(err)
		w.let(fate{applied: true})
		if got := w.sentBack(); unknown && got != repeat || got != granted && got != repeat {
			t.Fatalf("%v: another draw was rerouted", err)
		}
		if unknown {
			if a := granted.Wait(); a.Failure != UnknownOutcome {
				t.Fatalf("proposed: %+v", a)
			}
		} else if got := w.sentBack(); got != granted && got != repeat {
			t.Fatalf("%v: another draw was rerouted", err)
		}
	}
}

func TestADrawOfAnotherSlicesUserIsRoutedHome(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(1), lot(1, 10))
	w.lead()
	d := w.submit(atHome(2, 0), "r1", patience)
	if got := w.sentBack(); got != d || !d.Homed {
		t.Fatalf("rerouted %p, homed %v", got, d.Homed)
	}
}

func TestMoreDrawsThanMayWaitAreShed(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxQueued, c.MaxParked = 2, 1 })
	w.heard(prize(1), lot(1, 3))
	w.lead()
	w.log.hold()
	all := []*Draw{w.submit("ada", "", patience)}
	w.arrived()
	for range 2 {
		all = append(all, w.submit("bob", "", patience))
	}
	if a := w.draw("cyd", ""); a.Failure != Overloaded {
		t.Fatalf("beyond the queue: %+v", a)
	}
	w.let(fate{applied: true})
	for _, d := range all {
		if a := d.Wait(); a.Verdict != allocator.Granted {
			t.Fatalf("in the queue: %+v", a)
		}
		d.Release()
	}
	// The purse is empty now: one draw may wait for tokens.
	w.submit("dan", "", patience)
	w.parked(1)
	if a := w.draw("eve", ""); a.Failure != Overloaded {
		t.Fatalf("beyond the parked: %+v", a)
	}
}

func TestAnEntryIsBounded(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(1), lot(1, 1<<20))
	w.lead()
	w.log.hold()
	all := []*Draw{w.submit("ada", "", patience)}
	w.arrived()
	for range maxEntryDraws + 100 {
		all = append(all, w.submit("bob", "", patience))
	}
	w.let(fate{applied: true})
	for i, d := range all {
		if a := d.Wait(); a.Seq != uint64(i+1) {
			t.Fatalf("draw %d: %+v", i, a)
		}
		d.Release()
	}
	if entries, _, _ := w.log.counts(); !slices.Equal(entries, []int{1, maxEntryDraws, 100}) {
		t.Fatalf("entries of %v", entries)
	}
}

func TestOrdersAreAnsweredWithTheirOutcome(t *testing.T) {
	w := newWorld(t)
	void := func(seq uint64) (allocator.Outcome, error) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return w.e.Order(ctx, func(e *allocator.EntryWriter) { e.Void(seq, true) })
	}
	if _, err := void(1); !errors.Is(err, ErrNotLeading) {
		t.Fatalf("before it leads: %v", err)
	}
	w.heard(prize(1), lot(1, 10))
	w.lead()
	granted := w.draw("ada", "")
	if out, err := void(granted.Seq); err != nil || out.Verdict != allocator.Voided {
		t.Fatalf("void: %+v, %v", out, err)
	}
	if out, err := void(granted.Seq); err != nil || out.Verdict != allocator.Already {
		t.Fatalf("void again: %+v, %v", out, err)
	}
	// The token goes back to the bank by itself.
	w.note("the return of the voided token", func(n *allocator.Note) bool { return n.Returns == 1 && n.Open == 1 })
	w.log.fail(errNotLeader)
	if _, err := void(granted.Seq); !errors.Is(err, ErrNotLeading) {
		t.Fatalf("when the log takes nothing: %v", err)
	}
	w.log.fail(errUnknown)
	if _, err := void(granted.Seq); !errors.Is(err, errUnknown) || errors.Is(err, ErrNotLeading) {
		t.Fatalf("when the outcome is unknown: %v", err)
	}
}

func TestAnOrderThatNobodyWaitsForDoesNoHarm(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(1), lot(1, 10))
	w.lead()
	w.log.hold()
	d := w.submit("ada", "", patience)
	w.arrived()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := w.e.Order(ctx, func(e *allocator.EntryWriter) { e.Sunk(1) }); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	w.let(fate{applied: true})
	d.Wait()
	if a := w.draw("bob", ""); a.Verdict != allocator.Granted {
		t.Fatalf("%+v", a)
	}
}

// busy answers each answer with another draw.
type busy struct {
	e      *Engine
	enough atomic.Bool
}

func (b *busy) Answered(d *Draw) {
	d.Release()
	if !b.enough.Load() {
		b.e.Submit(New(1, []byte("bob"), nil, Now()+int64(patience), b))
	}
}

func TestRatesAndAsksGoOnUnderLoad(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(1), lot(1, 1<<40), prize(1, func(d *allocator.Definition) { d.No, d.ID = 2, "q" }))
	w.lead()
	starving := New(2, []byte("ada"), nil, Now()+int64(patience), nil)
	w.e.Submit(starving)

	// Each answer brings the next draw, so that there is always something to do.
	b := &busy{e: w.e}
	w.e.Submit(New(1, []byte("bob"), nil, Now()+int64(patience), b))
	for i := range 5 {
		w.note("the ask, again", func(n *allocator.Note) bool { return n.Prize == 2 && n.Need == 1 })
		t.Logf("ask %d", i+1)
	}
	rate := func() (r float64) {
		w.e.mu.Lock()
		defer w.e.mu.Unlock()
		return w.e.tables[1].rate
	}
	w.await("the rate is known", func() bool { return rate() > 0 })
	b.enough.Store(true)
	w.e.Hear([]allocator.Word{{Kind: allocator.WordDry, Prize: 2, Version: 1}})
	if a := starving.Wait(); a.Verdict != allocator.SoldOut {
		t.Fatalf("%+v", a)
	}
}

func TestALogThatTakesNothingIsNotHammered(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(1), lot(1, 10))
	// The router sends a draw back to an engine that still seems to lead.
	w.back = func(d *Draw) {
		if w.e.Leading() {
			w.e.Submit(d)
		} else {
			d.Fail(NoLeader)
		}
	}
	w.lead()
	w.log.fail(errNotLeader)
	began := time.Now()
	d := w.submit("ada", "", 20*pause)
	if a := d.Wait(); a.Failure != Timeout {
		t.Fatalf("%+v", a)
	}
	_, _, attempts := w.log.counts()
	if most := int(time.Since(began)/pause) + 2; attempts > most {
		t.Fatalf("%d attempts in %s, want at most %d", attempts, time.Since(began), most)
	}
}
