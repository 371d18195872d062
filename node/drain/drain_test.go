package drain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tombola/allocator"
	"tombola/persist"
	"tombola/raftstore/outbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

var errAway = errors.New("connection refused")

// fakeSink is a database with one stream. before and after are asked around
// each write; what after returns is a lost reply.
type fakeSink struct {
	mu            sync.Mutex
	last          uint64
	rows          []uint64 // sequences, in order of arrival
	ids           map[string]int
	away          error
	before, after func() error
	asked         chan struct{} // if not nil, told of each question for the checkpoint
}

func (s *fakeSink) Checkpoint(context.Context, uint16) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked != nil {
		s.asked <- struct{}{}
	}
	return s.last, s.away
}

func (s *fakeSink) Write(_ context.Context, stream uint16, after uint64, rows []persist.Row) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away != nil {
		return s.away
	}
	if s.before != nil {
		if err := s.before(); err != nil {
			return err
		}
	}
	if s.last != after {
		return &persist.FencedError{Stream: stream, Want: after, Found: s.last}
	}
	for i := range rows {
		s.rows = append(s.rows, rows[i].Event.Seq)
		if s.ids == nil {
			s.ids = make(map[string]int)
		}
		s.ids[rows[i].Prize+"/"+string(rows[i].Event.User)]++
	}
	s.last = rows[len(rows)-1].Event.Seq
	if s.after != nil {
		return s.after()
	}
	return nil
}

func (s *fakeSink) set(f func(*fakeSink)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *fakeSink) at() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// world is a drain between an outbox and a fake sink.
type world struct {
	t    *testing.T
	box  *outbox.Outbox
	sink *fakeSink
	d    *Drain
	stop context.CancelFunc
	done chan struct{}

	mu   sync.Mutex
	sunk []uint64
	deaf error // what telling the slice fails with
	log  bytes.Buffer
}

func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *world) logged(text string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Count(w.log.String(), text)
}

func newWorld(t *testing.T, events int) *world {
	t.Helper()
	box, err := outbox.Open(outbox.Options{Dir: t.TempDir(), Tag: 1})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, box: box, sink: &fakeSink{}}
	t.Cleanup(func() { _ = box.Close() })
	w.grant(events)
	w.d = New(Config{
		Slice: 1, Source: box, Sink: w.sink, Logger: slog.New(slog.NewTextHandler(w, nil)),
		PrizeID: func(no allocator.PrizeNo) (string, bool) { return "tea", no == 1 },
		Sunk: func(_ context.Context, seq uint64) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.deaf == nil {
				w.sunk = append(w.sunk, seq)
			}
			return w.deaf
		},
	})
	return w
}

// grant appends n grants to the outbox.
func (w *world) grant(n int) { w.grantOf(1, n) }

func (w *world) grantOf(prize allocator.PrizeNo, n int) {
	w.t.Helper()
	first := w.box.Last() + 1
	var payloads [][]byte
	for i := range n {
		seq := first + uint64(i)
		payloads = append(payloads, allocator.AppendEvent(nil, &allocator.Event{
			Seq: seq, Kind: allocator.EventGrant, Prize: prize, At: 1, Day: 1, User: fmt.Appendf(nil, "user-%d", seq),
		}))
	}
	if n > 0 {
		if err := w.box.Append(first, payloads); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) run() *world {
	ctx, stop := context.WithCancel(context.Background())
	w.stop, w.done = stop, make(chan struct{})
	done := w.done
	go func() {
		defer close(done)
		w.d.Run(ctx)
	}()
	w.t.Cleanup(func() { stop(); <-done })
	return w
}

func (w *world) await(what string, holds func() bool) {
	w.t.Helper()
	end := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(end) {
			w.t.Fatalf("waited in vain until %s; status %+v", what, w.d.Status())
		}
		<-time.After(time.Millisecond)
	}
}

func (w *world) confirmed() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.sunk) == 0 {
		return 0
	}
	return w.sunk[len(w.sunk)-1]
}

// exactly checks that the sink holds events 1 to n, each once and in order.
func (w *world) exactly(n int) {
	w.t.Helper()
	w.await("the sink has all", func() bool { return w.sink.at() == uint64(n) })
	w.sink.set(func(s *fakeSink) {
		want := make([]uint64, n)
		for i := range want {
			want[i] = uint64(i + 1)
		}
		if !slices.Equal(s.rows, want) {
			w.t.Fatalf("%d rows, want 1 to %d, each once", len(s.rows), n)
		}
		for i := range n {
			if s.ids[fmt.Sprintf("tea/user-%d", i+1)] != 1 {
				w.t.Fatalf("event %d has the wrong prize or user", i+1)
			}
		}
	})
}

func TestEventsReachTheSinkInOrderAndTheSliceIsTold(t *testing.T) {
	w := newWorld(t, 10).run()
	w.exactly(10)
	w.await("the slice is told", func() bool { return w.confirmed() == 10 })
	w.grant(2*maxRows + 1)
	w.exactly(10 + 2*maxRows + 1)
	w.await("the slice is told", func() bool { return w.confirmed() == 10+2*maxRows+1 })
	w.await("the status says so", func() bool { return w.d.Status() == Status{Seq: 10 + 2*maxRows + 1} })
}

func TestANewSessionGoesOnWhereTheSinkIs(t *testing.T) {
	w := newWorld(t, 10).run()
	w.exactly(10)
	w.stop()
	<-w.done
	w.grant(10)
	w.run()
	w.exactly(20)
}

func TestALostReplyIsFoundInTheCheckpoint(t *testing.T) {
	w := newWorld(t, 10)
	lost := 0
	w.sink.after = func() error {
		if lost++; lost <= 2 {
			return errAway
		}
		return nil
	}
	w.run()
	w.exactly(10)
	w.grant(5)
	w.exactly(15)
	w.await("all is well again", func() bool { return w.d.Status() == Status{Seq: 15} })
}

func TestAWriteThatWasNotDoneIsDoneAgain(t *testing.T) {
	w := newWorld(t, 10)
	failures := 0
	w.sink.before = func() error {
		if failures++; failures <= 3 {
			return errAway
		}
		return nil
	}
	w.run()
	w.exactly(10)
}

func TestAnotherWritersEventsAreNotWrittenAgain(t *testing.T) {
	w := newWorld(t, 10)
	once := false
	w.sink.before = func() error {
		if !once { // the deposed leader was quicker
			once = true
			for seq := uint64(1); seq <= 7; seq++ {
				w.sink.rows = append(w.sink.rows, seq)
			}
			w.sink.ids = map[string]int{}
			for seq := 1; seq <= 7; seq++ {
				w.sink.ids[fmt.Sprintf("tea/user-%d", seq)] = 1
			}
			w.sink.last = 7
		}
		return nil
	}
	w.run()
	w.exactly(10)
	if w.logged("level=ERROR") != 0 {
		t.Fatalf("an election is no alarm: %s", w.log.String())
	}
}

func TestGrantsWaitWhileTheSinkIsAway(t *testing.T) {
	w := newWorld(t, 10)
	w.sink.away = errAway
	w.run()
	w.await("it shows", func() bool { return errors.Is(w.d.Status().Err, errAway) })
	w.grant(10)
	w.sink.set(func(s *fakeSink) { s.away = nil })
	w.exactly(20)
	w.await("it shows that the sink is back", func() bool { return w.d.Status().Err == nil })
	if w.logged("level=ERROR") != 1 || w.logged("takes grants again") != 1 {
		t.Fatalf("log: %s", w.log.String())
	}
}

func TestASinkThatTakesNoRowsIsNoSinkThatIsBack(t *testing.T) {
	w := newWorld(t, 10)
	attempts := make(chan struct{}, 100)
	w.sink.before = func() error {
		attempts <- struct{}{}
		return persist.ErrDuplicate
	}
	w.run()
	<-attempts
	w.await("it shows", func() bool { return errors.Is(w.d.Status().Err, persist.ErrDuplicate) })
	for range 3 {
		<-attempts
		if err := w.d.Status().Err; err == nil {
			t.Fatal("a checkpoint that can be read hides rows that can't be written")
		}
	}
	if w.logged("level=ERROR") != 1 || w.logged("takes grants again") != 0 {
		t.Fatalf("log: %s", w.log.String())
	}
}

func TestASinkAheadOfItsSliceGetsNothing(t *testing.T) {
	w := newWorld(t, 10)
	w.sink.last = 11
	w.run()
	w.await("it shows", func() bool { return errors.Is(w.d.Status().Err, ErrAhead) })
	w.grant(5) // that there are as many events now does not make them the same
	asked := make(chan struct{}, 100)
	w.sink.set(func(s *fakeSink) { s.asked = asked })
	for range 3 {
		<-asked
	}
	w.sink.set(func(s *fakeSink) {
		if len(s.rows) != 0 {
			t.Fatalf("rows %v", s.rows)
		}
		s.last = 10 // somebody repaired it
	})
	w.await("the rest is written", func() bool { return w.sink.at() == 15 })
	if w.logged("level=ERROR") != 1 {
		t.Fatalf("log: %s", w.log.String())
	}
}

func TestASinkThatMissesWhatIsNotKeptGetsNothing(t *testing.T) {
	w := newWorld(t, 0)
	if err := w.box.Reset(101); err != nil {
		t.Fatal(err)
	}
	w.sink.last = 99
	w.grant(5)
	w.run()
	w.await("it shows", func() bool { return errors.Is(w.d.Status().Err, ErrBehind) })
	w.sink.set(func(s *fakeSink) {
		if len(s.rows) != 0 {
			t.Fatalf("rows %v", s.rows)
		}
		s.last = 100 // somebody repaired it
	})
	w.await("the rest is written", func() bool { return w.sink.at() == 105 })
}

func TestAnEventOfAnUnknownPrizeStopsTheStream(t *testing.T) {
	w := newWorld(t, 3)
	w.grantOf(2, 1)
	w.run()
	w.await("it shows", func() bool { return w.d.Status().Err != nil })
	if at := w.sink.at(); at != 0 {
		t.Fatalf("the sink is at %d", at)
	}
}

func TestASliceThatDidNotHearIsToldAgain(t *testing.T) {
	w := newWorld(t, 10)
	w.deaf = errors.New("this server does not lead the slice")
	w.run()
	w.exactly(10)
	w.mu.Lock()
	w.deaf = nil
	w.mu.Unlock()
	// No event comes any more.
	w.await("the slice is told", func() bool { return w.confirmed() == 10 })
}

// deadlines is a sink that tells by when its checkpoint must be there.
type deadlines struct {
	fakeSink
	by chan time.Time
}

func (s *deadlines) Checkpoint(ctx context.Context, _ uint16) (uint64, error) {
	by, _ := ctx.Deadline()
	s.by <- by
	<-ctx.Done()
	return 0, ctx.Err()
}

func TestASinkThatSaysNothingIsNotWaitedForForEver(t *testing.T) {
	s := &deadlines{by: make(chan time.Time)}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		New(Config{Slice: 1, Sink: s, Logger: slog.New(slog.DiscardHandler)}).Run(ctx)
	}()
	by := <-s.by
	stop()
	<-ended
	if by.IsZero() || time.Until(by) > time.Minute {
		t.Fatalf("asked for the checkpoint until %s", by)
	}
}

func TestADatabaseThatWentBackIsSentWhatItLost(t *testing.T) {
	w := newWorld(t, 30).run()
	w.exactly(30)
	w.sink.set(func(s *fakeSink) { // it failed over to an older state
		s.last, s.rows = 12, s.rows[:12]
		for seq := 13; seq <= 30; seq++ {
			delete(s.ids, fmt.Sprintf("tea/user-%d", seq))
		}
	})
	w.grant(5) // only a write finds out
	w.exactly(35)
	w.await("all is well", func() bool { return w.d.Status() == Status{Seq: 35} })
}

func TestUntilTheSinkAnswersADrainGoesByWhatTheSliceKnows(t *testing.T) {
	w := newWorld(t, 30)
	w.d.cfg.Confirmed = func() uint64 { return 20 }
	w.sink.away = errAway
	w.run()
	w.await("it shows", func() bool { return errors.Is(w.d.Status().Err, errAway) })
	if s := w.d.Status(); s.Seq != 20 || s.Since.IsZero() {
		t.Fatalf("status %+v", s)
	}
}

func TestAnIdleDrainFindsThatTheDatabaseWentBack(t *testing.T) {
	w := newWorld(t, 30)
	w.d.cfg.LookEvery = 5 * time.Millisecond
	w.run()
	w.exactly(30)
	w.sink.set(func(s *fakeSink) {
		s.last, s.rows = 12, s.rows[:12]
		for seq := 13; seq <= 30; seq++ {
			delete(s.ids, fmt.Sprintf("tea/user-%d", seq))
		}
	})
	w.exactly(30) // no event comes any more
}
