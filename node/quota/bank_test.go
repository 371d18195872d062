package quota

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"tombola/allocator"
)

func TestChangesAreAnsweredInTheirOrder(t *testing.T) {
	w := newWorld(t).lead()
	hold := make(chan struct{})
	w.set(func(w *world) { w.held = hold })
	var all sync.WaitGroup
	ask := func(id string, want allocator.PrizeNo) {
		all.Go(func() {
			out, err := w.change(create(id, 10))
			if err != nil || out.Verdict != allocator.ChangeCreated || out.Prize != want {
				t.Errorf("%s: %+v, %v", id, out, err)
			}
		})
	}
	ask("first", 1)
	<-w.arrived
	for i := range 5 {
		ask(fmt.Sprintf("prize-%d", i), allocator.PrizeNo(i+2))
		w.await("it waits", func() bool {
			w.b.mu.Lock()
			defer w.b.mu.Unlock()
			return len(w.b.changes) == i+1
		})
	}
	w.set(func(w *world) { w.held = nil })
	close(hold)
	all.Wait()
	if n := w.applied(); n != 2 {
		t.Fatalf("%d entries, want one for the first and one for all that came meanwhile", n)
	}
}

func TestAChangeIsToldToEverySliceUntilItIsConfirmed(t *testing.T) {
	w := newWorld(t).lead()
	w.created(10)
	for s := range allocator.SliceNo(slices) {
		for range 3 {
			if word := w.word(s+1, allocator.WordDefine); word.Define.ID != "tea" || word.Version != 1 {
				t.Fatalf("%+v", word)
			}
		}
	}
	w.b.Hear([]allocator.Note{{Slice: 1, Prize: 1, Version: 1, Empty: true}, {Slice: 2, Prize: 1, Version: 1, Empty: true}})
	w.await("nothing is left to say", func() (quiet bool) {
		w.Read(func(b *allocator.Bank) { quiet = len(b.Busy()) == 0 })
		return quiet
	})
}

func TestASliceThatNeedsTokensGetsThemUntilItSaysThatItHasThem(t *testing.T) {
	w := newWorld(t).lead()
	w.created(10)
	w.b.Hear([]allocator.Note{empty(1, 3), empty(2, 0)})
	word := w.word(1, allocator.WordLot)
	if word.N != 1 || word.Tokens != 3 {
		t.Fatalf("%+v", word)
	}
	if again := w.word(1, allocator.WordLot); again != word {
		t.Fatalf("%+v, want %+v again", again, word)
	}
	w.b.Hear([]allocator.Note{{Slice: 1, Prize: 1, Version: 1, Lots: 1}})
	w.await("the lot is closed", func() (closed bool) {
		w.Read(func(b *allocator.Bank) {
			st, _ := b.State(1)
			closed = st.Accounts[0].Lines[0].Open == 0
		})
		return closed
	})
}

func TestWhatIsKnownAlreadyCausesNoEntryButIsAnswered(t *testing.T) {
	w := newWorld(t).lead()
	w.created(16)
	note := empty(1, 16)
	w.b.Hear([]allocator.Note{note, empty(2, 0)})
	w.word(1, allocator.WordLot)
	w.b.Hear([]allocator.Note{{Slice: 1, Prize: 1, Version: 1, Lots: 1, Empty: true}})
	if word := w.word(1, allocator.WordDry); word.Version != 1 {
		t.Fatalf("%+v", word)
	}
	w.b.Hear([]allocator.Note{
		{Slice: 1, Prize: 1, Version: 1, Lots: 1, Empty: true, Dry: true}, {Slice: 2, Prize: 1, Version: 1, Empty: true, Dry: true},
	})
	w.await("nothing is left to say", func() (quiet bool) {
		w.Read(func(b *allocator.Bank) { quiet = len(b.Busy()) == 0 })
		return quiet
	})
	// A note from before all this comes late.
	before := w.applied()
	for len(w.words) > 0 {
		<-w.words
	}
	w.b.Hear([]allocator.Note{{Slice: 2, Prize: 1}})
	if word := w.word(2, allocator.WordDefine); word.Version != 1 {
		t.Fatalf("%+v", word)
	}
	if n := w.applied(); n != before {
		t.Fatalf("%d entries for what was known", n-before)
	}
}

func TestAwaitWakesWithTheEntryThatItWaitsFor(t *testing.T) {
	w := newWorld(t).lead()
	w.created(10)
	looks := make(chan struct{}, 100)
	held := make(chan error, 1)
	go func() {
		held <- w.b.Await(t.Context(), func(b *allocator.Bank) bool {
			st, _ := b.State(1)
			looks <- struct{}{}
			return st.Operation.State == allocator.OperationDone
		})
	}()
	<-looks
	select {
	case err := <-held:
		t.Fatalf("done before the slices confirmed: %v", err)
	default:
	}
	w.b.Hear([]allocator.Note{empty(1, 0)})
	<-looks
	w.b.Hear([]allocator.Note{empty(2, 0)})
	if err := <-held; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.b.Await(ctx, func(*allocator.Bank) bool { return false }); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestWhoStopsLeadingSaysSo(t *testing.T) {
	w := newWorld(t)
	if _, err := w.change(create("tea", 10)); !errors.Is(err, ErrNotLeading) {
		t.Fatalf("before it leads: %v", err)
	}
	w.lead()
	hold := make(chan struct{})
	w.set(func(w *world) { w.held, w.failing = hold, errNotLeader })
	under, waiting, awaiting := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	go func() { _, err := w.change(create("tea", 10)); under <- err }()
	<-w.arrived
	go func() { _, err := w.change(create("milk", 10)); waiting <- err }()
	looked := make(chan struct{}, 10)
	go func() {
		awaiting <- w.b.Await(t.Context(), func(*allocator.Bank) bool { looked <- struct{}{}; return false })
	}()
	<-looked
	w.await("it waits", func() bool {
		w.b.mu.Lock()
		defer w.b.mu.Unlock()
		return len(w.b.changes) == 1
	})
	w.stop()
	close(hold)
	<-w.ended
	if err := <-under; !errors.Is(err, errNotLeader) {
		t.Fatalf("under way: %v", err)
	}
	if err := <-waiting; !errors.Is(err, ErrNotLeading) {
		t.Fatalf("waiting: %v", err)
	}
	if err := <-awaiting; !errors.Is(err, ErrNotLeading) {
		t.Fatalf("awaiting: %v", err)
	}
	w.b.Hear([]allocator.Note{empty(1, 1)})
	w.set(func(w *world) { w.held, w.failing = nil, nil })
	w.lead()
	w.created(10)
}

func TestWordsAreRepeatedUnderLoad(t *testing.T) {
	w := newWorld(t).lead()
	w.created(10)
	// Slice 1 answers every word with a note that calls for another one, so
	// that there is always something to do.
	old := allocator.Note{Slice: 1, Prize: 1}
	w.echo.Store(&old)
	defer w.echo.Store(nil)
	w.b.Hear([]allocator.Note{old})
	for range 5 {
		w.word(2, allocator.WordDefine)
	}
}

func TestAPrizeThatIsOverIsArchivedOnceItsRetentionHasPassed(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	w.now = now
	w.lead()
	w.created(10)
	end := allocator.Change{
		Prize: "tea", Actor: "test", Set: allocator.FieldStatus, To: allocator.Definition{Status: allocator.StatusDeleted},
	}
	if out, err := w.change(end); err != nil || out.Verdict != allocator.ChangeDone {
		t.Fatalf("%+v, %v", out, err)
	}
	archived := func() (yes bool) {
		w.Read(func(b *allocator.Bank) {
			def, _ := b.Definition(1)
			yes = def.Archived
		})
		return yes
	}
	l := &loop{b: w.b}
	l.archive()
	if archived() {
		t.Fatal("archived before its retention has passed")
	}
	w.set(func(w *world) { w.now = now.Add(time.Hour + time.Second) })
	l.archive()
	if !archived() {
		t.Fatal("not archived")
	}
	if word := w.word(1, allocator.WordDefine); !word.Define.Archived {
		w.await("the slices hear of it", func() bool { return w.word(1, allocator.WordDefine).Define.Archived })
	}
	before := w.applied()
	l.archive()
	if n := w.applied(); n != before {
		t.Fatal("archived again")
	}
}

func TestTheBankDecidesNothingByAClockThatCannotBeTrusted(t *testing.T) {
	w := newWorld(t)
	w.set(func(w *world) { w.off = true })
	w.lead()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := w.b.Change(ctx, create("milk", 10)); !errors.Is(err, ErrNotLeading) {
		t.Fatalf("a change that was not begun is certainly not done: %v", err)
	}
	done := make(chan error, 1)
	go func() { _, err := w.change(create("tea", 10)); done <- err }()
	w.await("the change waits", func() bool {
		w.b.mu.Lock()
		defer w.b.mu.Unlock()
		return len(w.b.changes) == 1
	})
	l := &loop{b: w.b}
	l.archive()
	if l.round() || w.applied() > 0 {
		t.Fatal("something was proposed")
	}
	w.set(func(w *world) { w.off = false })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	w.Read(func(b *allocator.Bank) {
		if _, ok := b.Lookup("milk"); ok {
			t.Error("the change that was taken back was made")
		}
	})
}
