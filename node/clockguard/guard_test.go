package clockguard

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tombola/allocator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is one guard and the clocks of its server and the others, all of them
// faked. No time passes unless a test says so.
type world struct {
	t *testing.T
	g *Guard

	mu    sync.Mutex
	truth time.Time
	mono  time.Duration
	wrong time.Duration            // of this server's wall clock
	peers map[string]time.Duration // how wrong the others' are
	gone  map[string]bool          // those that do not answer
	trip  time.Duration            // how long question and answer take
	on    func()                   // happens while a question is on its way
	found error
}

func newWorld(t *testing.T, peers int) *world {
	w := &world{
		t: t, truth: time.Date(2026, 11, 22, 23, 59, 59, 0, time.UTC), mono: time.Hour,
		peers: make(map[string]time.Duration), gone: make(map[string]bool), trip: time.Millisecond,
	}
	var names []string
	for i := range peers {
		names = append(names, "p"+strconv.Itoa(i+1))
		w.peers[names[i]] = 0
	}
	w.g = New(Config{
		Read: w.read, Peers: names, Ask: w.ask, Found: func(err error) { w.found = err }, Logger: slog.New(slog.DiscardHandler),
	})
	return w
}

func (w *world) read() Reading {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Reading{Wall: w.truth.Add(w.wrong), Mono: w.mono}
}

// pass lets time go by, on the monotonic clock as well unless suspended.
func (w *world) pass(d time.Duration, suspended bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.truth = w.truth.Add(d)
	if !suspended {
		w.mono += d
	}
}

func (w *world) ask(_ context.Context, server string) (time.Time, error) {
	w.pass(w.trip/2, false)
	w.mu.Lock()
	on := w.on
	w.on = nil
	said, gone := w.truth.Add(w.peers[server]), w.gone[server]
	w.mu.Unlock()
	if on != nil {
		on()
	}
	w.pass(w.trip/2, false)
	if gone {
		return time.Time{}, errors.New("nobody there")
	}
	return said, nil
}

func (w *world) step(by time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong += by
}

// compare has the clocks compared once.
func (w *world) compare() *world {
	w.t.Helper()
	w.g.compare(w.t.Context())
	if problem := w.g.Problem(); !errors.Is(w.found, problem) {
		w.t.Fatalf("found %v, told %v", problem, w.found)
	}
	return w
}

// counts fails the test unless the clock counts, or does not for a reason.
func (w *world) counts(when string, reason error) {
	w.t.Helper()
	now, ok := w.g.Now()
	if ok != (reason == nil) || !errors.Is(w.g.Problem(), reason) {
		w.t.Fatalf("%s: usable %t, %v; want %v", when, ok, w.g.Problem(), reason)
	}
	w.mu.Lock()
	off := now.Sub(w.truth).Abs()
	w.mu.Unlock()
	if ok && off > Limit+Step {
		w.t.Fatalf("%s: the time is off by %s", when, off)
	}
}

func TestNothingIsDatedBeforeTheFirstComparison(t *testing.T) {
	w := newWorld(t, 2)
	w.counts("at the start", ErrUnknown)
	w.gone["p1"], w.gone["p2"] = true, true
	w.compare().counts("nobody answers", ErrUnknown)
	w.gone["p2"] = false
	w.compare().counts("one agrees", nil)
}

// jumps are steps that nobody may be given the time after.
func jumps() []time.Duration {
	var all []time.Duration
	for _, by := range []time.Duration{2 * time.Second, 5 * time.Minute, 3 * time.Hour, 25 * time.Hour, 400 * 24 * time.Hour} {
		all = append(all, by, -by)
	}
	return all
}

func TestTheFirstReadingAfterAJumpIsNotUsed(t *testing.T) {
	for _, by := range jumps() {
		w := newWorld(t, 2).compare()
		w.counts("at first", nil)
		w.step(by)
		w.counts("jumped", ErrStepped)
		if w.found != nil {
			t.Fatal("a doubt is no finding yet")
		}
		select {
		case <-w.g.wake:
		default:
			t.Fatal("the others are not asked at once")
		}
		w.compare().counts("the others disagree", ErrOff)
		if got := w.g.Offset(); (got - by).Abs() > 10*time.Millisecond {
			t.Fatalf("the offset is %s, want %s", got, by)
		}
		w.step(-by)
		w.counts("back, and not compared yet", ErrOff)
		w.compare().counts("back", nil)
	}
}

func TestAJumpOnTheWayOfAComparisonIsNotLost(t *testing.T) {
	for _, by := range jumps() {
		w := newWorld(t, 2).compare()
		w.on = func() { w.step(by); w.counts("jumped", ErrStepped); w.step(-by) }
		w.compare().counts("what was asked before the jump says nothing", ErrStepped)
		w.compare().counts("compared again", nil)
	}
}

func TestSmallStepsAreComparedByTheNextRound(t *testing.T) {
	w := newWorld(t, 2).compare()
	for i := range 3 { // 400 ms at a time would go unnoticed for ever
		w.step(400 * time.Millisecond)
		w.counts("a small step", nil)
		want := error(nil)
		if i == 2 {
			want = ErrOff
		}
		w.compare().counts("compared", want)
	}
	w.step(-400 * time.Millisecond)
	w.compare().counts("still at the limit", ErrOff)
	w.step(-400 * time.Millisecond)
	w.compare().counts("near", nil)
}

func TestAJumpOfAPeerIsItsOwn(t *testing.T) {
	for _, by := range jumps() {
		w := newWorld(t, 2).compare()
		w.peers["p1"] = by
		w.compare().counts("one of the others jumped", nil)
		w.gone["p2"] = true
		w.compare().counts("and the third is gone, but was right a moment ago", nil)
		w.step(by)
		if w.compare(); w.g.Problem() != nil {
			t.Fatalf("what two of three say is the time: %v", w.g.Problem())
		}
	}
}

func TestTwoThatDisagreeAreBothStopped(t *testing.T) {
	w := newWorld(t, 2)
	w.gone["p2"] = true
	w.peers["p1"] = 1500 * time.Millisecond
	w.compare().counts("nobody knows which is right", ErrOff)
	w.gone["p2"] = false
	w.compare().counts("a third decides", nil)
	w.gone["p2"] = true
	w.pass(Keep-time.Minute, false)
	w.compare().counts("its clock counts for a while", nil)
	w.pass(2*time.Minute, false)
	w.compare().counts("and then no more", ErrOff)
}

func TestClocksThatAreSetTogetherAreRight(t *testing.T) {
	for _, by := range jumps() {
		w := newWorld(t, 4).compare()
		w.step(by)
		for p := range w.peers {
			w.peers[p] = by
		}
		w.counts("jumped", ErrStepped)
		w.truth, w.wrong = w.truth.Add(by), 0
		for p := range w.peers {
			w.peers[p] = 0
		}
		w.compare().counts("all agree", nil)
	}
}

func TestASuspendedServerAsksAgain(t *testing.T) {
	w := newWorld(t, 2).compare()
	w.pass(time.Hour, true)
	w.counts("woken up", ErrStepped)
	w.gone["p2"] = true
	w.compare().counts("its clock is right, what was said before has aged", nil)
	w.gone["p2"] = false

	// Suspended while the question is on its way, it can't tell how long it took.
	w = newWorld(t, 1)
	w.on = func() { w.pass(time.Hour, true) }
	w.compare().counts("an answer from long ago", ErrUnknown)
	w.compare().counts("a new one", nil)
}

func TestASlowAnswerSaysNothing(t *testing.T) {
	w := newWorld(t, 1)
	w.trip = maxTrip + time.Millisecond
	w.compare().counts("slow", ErrUnknown)
	w.trip = maxTrip
	w.compare().counts("not as slow", nil)
}

func TestWithEvenManyTheFartherMiddleCounts(t *testing.T) {
	second := time.Second
	for _, c := range []struct {
		own    time.Duration
		others []time.Duration
		want   time.Duration
	}{
		{0, []time.Duration{0, 0}, 0},
		{0, []time.Duration{3 * second}, -3 * second},
		{3 * second, []time.Duration{0}, 3 * second},
		{0, []time.Duration{0, 0, 9 * second}, 0},
		{0, []time.Duration{0, 9 * second, 9 * second}, -9 * second},
		{9 * second, []time.Duration{0, 0, 0}, 9 * second},
		{second, []time.Duration{0, 2 * second}, 0},
		{2 * second, []time.Duration{0, second}, second},
	} {
		if got := fromMedian(c.own, append([]time.Duration{c.own}, c.others...)); got != c.want {
			t.Errorf("%s beside %v: %s, want %s", c.own, c.others, got, c.want)
		}
	}
}

func TestOneServerAloneBelievesItsClock(t *testing.T) {
	w := newWorld(t, 0)
	s := w.g.Stamp(time.Time{}, slog.New(slog.DiscardHandler))
	w.counts("at the start", nil)
	for _, by := range jumps() {
		before := allocator.MicrosOf(w.read().Wall)
		w.step(by)
		now, ok := w.g.Now()
		if at, dated := s.Next(before); !ok || !dated || at != allocator.MicrosOf(now) {
			t.Fatalf("set by %s: %s, %t", by, now, ok)
		}
	}
}

func TestAGroupThatIsAheadOfTheTimeIsLeftAlone(t *testing.T) {
	w := newWorld(t, 2).compare()
	log := slog.New(slog.DiscardHandler)
	s := w.g.Stamp(time.Time{}, log)
	last := allocator.MicrosOf(w.truth.Add(3 * time.Second))
	if _, ok := s.Next(last); ok || s.Problem() == nil || s.Ahead() != 3*time.Second {
		t.Fatalf("an entry is dated 3 s before the last: %v, %s", s.Problem(), s.Ahead())
	}
	w.counts("that says nothing about the clock", nil)
	if _, ok := w.g.Stamp(w.truth.Add(time.Minute), log).Next(last); !ok {
		t.Fatal("an operator's word does not help")
	}
	if _, ok := w.g.Stamp(w.truth.Add(-time.Minute), log).Next(last); ok {
		t.Fatal("an operator's word counts for ever")
	}
	w.pass(time.Second, false)
	if now, ok := s.Next(last); !ok || now != allocator.MicrosOf(w.truth) || s.Problem() != nil {
		t.Fatalf("a small step back: %v, %t", now, ok)
	}
	w.step(time.Hour)
	if _, ok := s.Next(last); ok {
		t.Fatal("dated by a clock that does not count")
	}
}

func TestRunAsksAtOnceWhenAReadingIsInDoubt(t *testing.T) {
	w := newWorld(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.g.Run(ctx) }()
	defer func() { cancel(); <-done }()
	await(t, func() bool { _, ok := w.g.Now(); return ok })
	w.step(time.Hour)
	await(t, func() bool { w.g.Now(); return errors.Is(w.g.Problem(), ErrOff) })
	w.step(-time.Hour)
	await(t, func() bool { _, ok := w.g.Now(); return ok })
}

func TestAFileSetsTheWallClockAndNotTheOther(t *testing.T) {
	file := filepath.Join(t.TempDir(), "clock")
	c := NewClock()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a lot")
	if err := c.Misset(ctx, file, func(f func()) { running.Go(f) }, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("accepted")
	}
	write("+25h\n")
	if err := c.Misset(ctx, file, func(f func()) { running.Go(f) }, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	off := func() time.Duration { return time.Until(c.Wall()).Round(time.Hour) }
	if off() != 25*time.Hour {
		t.Fatalf("off by %s", off())
	}
	before := c.Read()
	write("-3h")
	await(t, func() bool { return off() == -3*time.Hour })
	after := c.Read()
	if after.Mono < before.Mono || after.Mono-before.Mono > time.Minute {
		t.Fatalf("the monotonic clock went from %s to %s", before.Mono, after.Mono)
	}
	if by := (after.base() - before.base()).Round(time.Hour); by != -28*time.Hour {
		t.Fatalf("the wall clock stepped by %s", by)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return off() == 0 })
}

func await(t *testing.T, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); {
		if time.Now().After(end) {
			t.Fatal("waited in vain")
		}
		<-time.After(time.Millisecond)
	}
}
