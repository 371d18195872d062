package route

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tombola/allocator"
	"tombola/node/calendar"
	"tombola/node/draws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 10 * time.Second
	self     = "n1.00000001"
	other    = "n2.00000001"
	third    = "n3.00000001"
	slices   = 3
)

// sent is a draw that went to another server.
type sent struct {
	server string
	group  uint16
	d      *draws.Draw
}

// world is a router with engines here, whose log answers nothing, and links
// that keep what is sent.
type world struct {
	t *testing.T
	r *Router

	mu      sync.Mutex
	leaders map[uint16]string
	sent    chan sent
	diskLow bool
}

func (w *world) Leader(group uint16) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	server := w.leaders[group]
	return server, server != ""
}

func (w *world) lead(group uint16, server string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leaders[group] = server
}

func (w *world) Send(server string, group uint16, d *draws.Draw) { w.sent <- sent{server, group, d} }

func newWorld(t *testing.T) *world {
	w := &world{t: t, leaders: make(map[uint16]string), sent: make(chan sent, 1000)}
	w.r = NewRouter(Config{Self: self, Slices: slices, Groups: w, Links: w, Catalog: NewCatalog(), MaxHeld: 10, DiskLow: func() bool { return w.diskLow }})
	return w
}

// mute is a log that takes entries when it is let to.
type mute struct{ *allocator.Slice }

func (m mute) Propose([]byte, any) error       { return context.Canceled }
func (m mute) Verify(context.Context) error    { return context.Canceled }
func (m mute) Read(f func(s *allocator.Slice)) { f(m.Slice) }

// clock is one that can be trusted.
func clock(allocator.Micros) (allocator.Micros, bool) { return allocator.MicrosOf(time.Now()), true }

// engine adds an engine for a slice that is led here. What it is given parks,
// since it has heard of no prize.
func (w *world) engine(slice allocator.SliceNo) *draws.Engine {
	w.t.Helper()
	m := mute{allocator.NewSlice(allocator.SliceConfig{Slice: slice, Slices: slices})}
	e := draws.NewEngine(draws.Config{
		Slice: slice, Log: m, State: m, Dates: calendar.New(), Router: w.r, Clock: clock,
		NotDone: func(error) bool { return true }, Bank: func([]allocator.Note) {}, Logger: slog.New(slog.DiscardHandler),
		MaxQueued: 1000, MaxParked: 1000,
	})
	w.r.Add(slice, e)
	return e
}

func (w *world) run(e *draws.Engine) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.Run(ctx)
	}()
	w.await("it leads", e.Leading)
	stop = func() { cancel(); <-done }
	w.t.Cleanup(stop)
	return stop
}

func (w *world) await(what string, holds func() bool) {
	w.t.Helper()
	end := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(end) {
			w.t.Fatalf("waited in vain until %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

func parked(e *draws.Engine) int {
	_, n := e.Waiting()
	return n
}

func draw(user, request string, timeout time.Duration) *draws.Draw {
	return draws.New(1, []byte(user), []byte(request), draws.Now()+int64(timeout), nil)
}

func homeOf(user string) uint16 {
	return uint16(allocator.Home(allocator.HashKey{}, []byte(user), slices))
}

func TestADrawWithARequestIDGoesHome(t *testing.T) {
	w := newWorld(t)
	for group := range uint16(slices) {
		w.lead(group+1, other)
	}
	for _, user := range []string{"ada", "bob", "cyd", "dan", "eve"} {
		w.r.Start(draw(user, "r", patience), false)
		if s := <-w.sent; s.server != other || s.group != homeOf(user) || !s.d.Homed {
			t.Fatalf("%s went to %s, slice %d, homed %v", user, s.server, s.group, s.d.Homed)
		}
		w.r.Start(draw(user, "", patience), true) // of a prize with a user limit
		if s := <-w.sent; s.group != homeOf(user) {
			t.Fatalf("%s went to slice %d", user, s.group)
		}
	}
}

func TestADrawWithoutAHomeStaysHereInTurns(t *testing.T) {
	w := newWorld(t)
	first, second := w.engine(1), w.engine(2)
	w.run(first)
	w.run(second)
	w.lead(3, other)
	for range 20 {
		w.r.Start(draw("ada", "", patience), false)
	}
	w.await("all are here", func() bool { return parked(first)+parked(second) == 20 })
	if a, b := parked(first), parked(second); a < 6 || b < 6 {
		t.Fatalf("slices got %d and %d draws", a, b)
	}
	if len(w.sent) != 0 {
		t.Fatal("a draw left although it need not")
	}
}

func TestAServerWithALowDiskDecidesNothing(t *testing.T) {
	w := newWorld(t)
	e := w.engine(allocator.SliceNo(homeOf("ada")))
	w.run(e)
	w.diskLow = true
	for what, start := range map[string]func(*draws.Draw){
		"sent by a client":               func(d *draws.Draw) { w.r.Start(d, false) },
		"forwarded":                      func(d *draws.Draw) { w.r.Route(homeOf("ada"), d) },
		"given back by another's engine": w.r.Reroute,
	} {
		d := draw("ada", "r", patience)
		start(d)
		if a := d.Wait(); a.Failure != draws.DiskLow {
			t.Errorf("%s: %+v", what, a)
		}
	}
	if n := parked(e); n != 0 {
		t.Errorf("%d draws reached the engine", n)
	}
}

func TestADrawWithoutAHomeGoesWhereverThereIsALeader(t *testing.T) {
	w := newWorld(t)
	w.lead(2, other)
	w.lead(3, third)
	seen := make(map[string]int)
	for range 30 {
		w.r.Start(draw("ada", "", patience), false)
		seen[(<-w.sent).server]++
	}
	if seen[other] == 0 || seen[third] == 0 {
		t.Fatalf("all went to one of two servers: %v", seen)
	}
}

func TestADrawIsHeldUntilItsSliceHasALeader(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.r.Run(ctx)
	}()
	defer func() { cancel(); <-done }()
	d := draw("ada", "r", patience)
	w.r.Start(d, false)
	if n := w.r.Held(); n != 1 {
		t.Fatalf("%d held", n)
	}
	w.lead(homeOf("ada"), other)
	if s := <-w.sent; s.d != d {
		t.Fatal("another draw was sent")
	}
	w.lead(homeOf("ada"), "")

	late := draw("ada", "r", retryEvery)
	w.r.Start(late, false)
	if a := late.Wait(); a.Failure != draws.NoLeader {
		t.Fatalf("after its deadline: %+v", a)
	}
}

func TestADrawWhoseLeaderDiedIsTriedAgainWhileThereIsTime(t *testing.T) {
	w := newWorld(t)
	late := draw("ada", "r1", 0)
	if w.r.Retry(late) {
		t.Fatal("a draw whose time is up was taken back")
	}
	d := draw("ada", "r1", patience)
	if !w.r.Retry(d) || w.r.Held() != 1 {
		t.Fatal("a draw with time left was not taken back")
	}
	w.r.Drain()
	if w.r.Retry(draw("ada", "r2", patience)) {
		t.Fatal("a node that stops took a draw back")
	}
}

func TestMoreDrawsThanMayBeHeldAreShed(t *testing.T) {
	w := newWorld(t)
	for range 10 {
		w.r.Start(draw("ada", "r", patience), false)
	}
	d := draw("ada", "r", patience)
	w.r.Start(d, false)
	if a := d.Wait(); a.Failure != draws.Overloaded {
		t.Fatalf("%+v", a)
	}
}

func TestWhatIsHeldIsFailedWhenTheRouterEnds(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	before := draw("ada", "r", patience)
	w.r.Start(before, false)
	w.r.Run(ctx)
	after := draw("bob", "r", patience)
	w.r.Start(after, false)
	for _, d := range []*draws.Draw{before, after} {
		if a := d.Wait(); a.Failure != draws.NoLeader {
			t.Fatalf("%+v", a)
		}
	}
}

func TestADrawTravelsTwoHopsAtMost(t *testing.T) {
	w := newWorld(t)
	w.lead(homeOf("ada"), other)
	for hops, sends := range []bool{true, true, false} {
		d := draw("ada", "r", patience)
		d.Hops = uint8(hops)
		w.r.Route(homeOf("ada"), d)
		if sends {
			<-w.sent
		} else if a := d.Wait(); a.Failure != draws.NoLeader {
			t.Fatalf("after %d hops: %+v", hops, a)
		}
	}
}

func TestADrawThatTravelledWaitsForTheLeadershipThatIsMovingHere(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.r.Run(ctx)
	}()
	defer func() { cancel(); <-done }()
	e := w.engine(2)
	w.lead(2, self) // by Raft, but the engine does not run yet
	w.lead(3, other)
	d := draw("ada", "", patience)
	d.Hops = maxHops
	w.r.Route(2, d)
	if n := w.r.Held(); n != 1 {
		t.Fatalf("%d held", n)
	}
	w.run(e)
	w.await("it is there", func() bool { return parked(e) == 1 })
}

func TestAForwardedDrawStaysOnTheSliceThatItWasSentTo(t *testing.T) {
	w := newWorld(t)
	e := w.engine(2)
	w.run(e)
	w.r.Route(2, draw("ada", "", patience))
	w.await("it is there", func() bool { return parked(e) == 1 })
}

func TestAnEngineThatStopsLeadingGivesItsDrawsToWhoeverLeads(t *testing.T) {
	w := newWorld(t)
	slice := homeOf("ada")
	e := w.engine(allocator.SliceNo(slice))
	stop := w.run(e)
	// Raft may name this server for a moment longer than its engine runs.
	w.lead(slice, self)
	d := draw("ada", "r", patience)
	w.r.Start(d, false)
	w.await("it is parked", func() bool { return parked(e) == 1 })
	stop()
	if n := w.r.Held(); n != 1 {
		t.Fatalf("%d held", n)
	}
	w.lead(slice, other)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.r.Run(ctx)
	}()
	if s := <-w.sent; s.d != d || s.server != other {
		t.Fatalf("sent %+v", s)
	}
	cancel()
	<-done
}

func TestADrawOfAPrizeThatTurnedOutToBeLimitedIsRoutedHome(t *testing.T) {
	w := newWorld(t)
	for group := range uint16(slices) {
		w.lead(group+1, other)
	}
	w.r.cfg.Catalog.Learn(allocator.Definition{No: 1, ID: "tea", Version: 1, PerUserLimit: 1})
	w.r.Reroute(draw("ada", "", patience))
	if s := <-w.sent; s.group != homeOf("ada") {
		t.Fatalf("went to slice %d", s.group)
	}
}

func TestADrainingNodeTakesNoNewDraws(t *testing.T) {
	w := newWorld(t)
	w.lead(homeOf("ada"), other)
	w.r.Drain()
	d := draw("ada", "r", patience)
	w.r.Start(d, false)
	if a := d.Wait(); a.Failure != draws.Draining {
		t.Fatalf("%+v", a)
	}
	w.r.Route(homeOf("ada"), draw("ada", "r", patience)) // a peer took it already
	<-w.sent
}

func TestTheCatalogKeepsTheNewestDefinition(t *testing.T) {
	c := NewCatalog()
	if _, ok := c.Find([]byte("tea")); ok || c.Version(1) != 0 || c.Homed(1) {
		t.Fatal("an empty catalog knows something")
	}
	c.Learn(allocator.Definition{No: 1, ID: "tea", Version: 2, PerUserLimit: 3})
	c.Learn(allocator.Definition{No: 1, ID: "tea", Version: 1})
	if p, ok := c.Find([]byte("tea")); !ok || p != (Prize{No: 1, Homed: true}) || c.Version(1) != 2 {
		t.Fatalf("%+v", p)
	}
	c.Learn(allocator.Definition{No: 1, ID: "tea", Version: 3})
	if p, _ := c.Find([]byte("tea")); p.Homed || c.Homed(1) {
		t.Fatal("the limit was taken away")
	}
}

func TestAServerThatStopsDoesNotHoldDrawsForever(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.r.Run(ctx)
	}()
	defer func() { cancel(); <-done }()
	d := draw("ada", "r", patience)
	w.r.Start(d, false)
	w.r.Drain()
	if a := d.Wait(); a.Failure != draws.Draining {
		t.Fatalf("%+v", a)
	}
}
