package draws

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tombola/allocator"
	"tombola/node/calendar"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests.
const patience = 10 * time.Second

var (
	errNotLeader = errors.New("not the leader")
	errUnknown   = errors.New("outcome unknown")
)

// state is a slice behind a lock, as package machine keeps it.
type state struct {
	mu    sync.RWMutex
	slice *allocator.Slice
}

func (s *state) Read(f func(*allocator.Slice)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	f(s.slice)
}

func (s *state) apply(entry []byte, into *allocator.Result) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	into.Reset()
	return s.slice.Apply(entry, into)
}

// fate is what a held entry or verification meets.
type fate struct {
	applied bool
	err     error
}

// fakeLog applies entries at once, unless it is told to hold them.
type fakeLog struct {
	state *state

	mu       sync.Mutex
	held     bool
	arrived  chan struct{} // an entry or verification is being held
	fates    chan fate     // what becomes of it
	over     chan struct{} // closed when the test ends, also before it came to let
	entries  []int         // commands of each entry that was applied
	attempts int           // entries and verifications
	verifies int
	failing  error // what everything fails with
}

const headroom = 8

func (l *fakeLog) meet() fate {
	l.mu.Lock()
	l.attempts++
	held, failing := l.held, l.failing
	l.mu.Unlock()
	if failing != nil {
		return fate{err: failing}
	}
	if !held {
		return fate{applied: true}
	}
	select {
	case l.arrived <- struct{}{}:
	case <-l.over:
		return fate{err: errNotLeader}
	}
	select {
	case f := <-l.fates:
		return f
	case <-l.over:
		return fate{err: errNotLeader}
	}
}

func (l *fakeLog) Propose(entry []byte, into any) error {
	f := l.meet()
	if f.applied {
		res := into.(*allocator.Result)
		if f.err != nil {
			res = &allocator.Result{} // whoever has given up is told nothing
		}
		if err := l.state.apply(entry[headroom:], res); err != nil {
			return err
		}
		l.mu.Lock()
		l.entries = append(l.entries, len(res.Outcomes))
		l.mu.Unlock()
	}
	return f.err
}

func (l *fakeLog) Verify(ctx context.Context) error {
	l.mu.Lock()
	l.verifies++
	l.mu.Unlock()
	if err := l.meet().err; err != nil {
		return err
	}
	return ctx.Err()
}

// hold keeps every entry and verification from now on until let lets it go.
func (l *fakeLog) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = true
}

// arrived waits until an entry or verification is being held. An engine that
// leaves one out fails the test; it does not make it wait for ever.
func (w *world) arrived() {
	w.t.Helper()
	select {
	case <-w.log.arrived:
	case <-time.After(patience):
		w.t.Fatal("waited in vain for an entry or a verification")
	}
}

// sentBack returns the next draw that the engine could not decide.
func (w *world) sentBack() *Draw {
	w.t.Helper()
	select {
	case d := <-w.rerouted:
		return d
	case <-time.After(patience):
		w.t.Fatal("waited in vain for a draw to be routed again")
		return nil
	}
}

// let decides the entry that is held, and holds none after it.
func (w *world) let(f fate) {
	w.t.Helper()
	w.log.mu.Lock()
	w.log.held = false
	w.log.mu.Unlock()
	select {
	case w.log.fates <- f:
	case <-time.After(patience):
		w.t.Fatal("there is no entry or verification to decide")
	}
}

// end lets go of what a test that failed has left held.
func (l *fakeLog) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.over:
	default:
		close(l.over)
	}
}

func (l *fakeLog) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failing = err
}

func (l *fakeLog) counts() (entries []int, verifies, attempts int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]int(nil), l.entries...), l.verifies, l.attempts
}

// world is an engine with everything around it faked.
type world struct {
	t        testing.TB
	e        *Engine
	log      *fakeLog
	state    *state
	notes    chan allocator.Note
	rerouted chan *Draw
	back     func(*Draw) // what happens to rerouted draws, if not nil
	stop     context.CancelFunc
	ended    chan struct{}

	mu  sync.Mutex
	now time.Time // zero: real time
	off bool      // the clock can't be trusted
}

func (w *world) Reroute(d *Draw) {
	if w.back != nil {
		w.back(d)
		return
	}
	w.rerouted <- d
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now.IsZero() {
		return time.Now()
	}
	return w.now
}

// date is the engine's clock.
func (w *world) date(allocator.Micros) (allocator.Micros, bool) {
	now := allocator.MicrosOf(w.clock())
	w.mu.Lock()
	defer w.mu.Unlock()
	return now, !w.off
}

// setOff says whether the clock can't be trusted.
func (w *world) setOff(off bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.off = off
}

func (w *world) setClock(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = now
}

// newWorld returns an engine of slice 1 that does not run yet.
func newWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	s := &state{slice: allocator.NewSlice(allocator.SliceConfig{Slice: 1, Slices: 2})}
	w := &world{
		t: t, state: s, notes: make(chan allocator.Note, 1<<16), rerouted: make(chan *Draw, 1<<16),
		log: &fakeLog{state: s, arrived: make(chan struct{}), fates: make(chan fate), over: make(chan struct{})},
	}
	cfg := Config{
		Slice: 1, Log: w.log, Headroom: headroom, State: s, Dates: calendar.New(), Router: w, Clock: w.date,
		NotDone: func(err error) bool { return errors.Is(err, errNotLeader) },
		Bank: func(notes []allocator.Note) {
			for _, n := range notes {
				select {
				case w.notes <- n:
				default: // notes may be lost
				}
			}
		},
		Logger: slog.New(slog.DiscardHandler), MaxQueued: 1 << 15, MaxParked: 1 << 15,
	}
	for _, f := range change {
		f(&cfg)
	}
	w.e = NewEngine(cfg)
	return w
}

// lead runs the engine until the test ends or stops it.
func (w *world) lead() *world {
	ctx, stop := context.WithCancel(context.Background())
	w.stop, w.ended = stop, make(chan struct{})
	ended := w.ended
	go func() {
		defer close(ended)
		w.e.Run(ctx)
	}()
	w.await("the engine leads", w.e.Leading)
	w.t.Cleanup(func() { stop(); w.log.end(); <-ended })
	return w
}

// await waits until a condition holds.
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

// heard applies words as if they had been committed long ago.
func (w *world) heard(words ...allocator.Word) {
	w.t.Helper()
	var entry allocator.EntryWriter
	entry.Begin(nil, allocator.MicrosOf(w.clock()), []allocator.Day{allocator.DayOf(w.clock().UTC())})
	for i := range words {
		entry.Word(&words[i])
	}
	if err := w.state.apply(entry.Bytes(), &allocator.Result{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) submit(user, request string, timeout time.Duration) *Draw {
	d := New(1, []byte(user), []byte(request), Now()+int64(timeout), nil)
	w.e.Submit(d)
	return d
}

func (w *world) draw(user, request string) Answer {
	d := w.submit(user, request, patience)
	defer d.Release()
	return d.Wait()
}

// note returns the next note that satisfies what is looked for.
func (w *world) note(what string, match func(*allocator.Note) bool) allocator.Note {
	w.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case n := <-w.notes:
			if match(&n) {
				return n
			}
		case <-timeout:
			w.t.Fatalf("waited in vain for a note: %s", what)
		}
	}
}

func (w *world) parked(n int) {
	w.t.Helper()
	w.await("draws are parked", func() bool { _, parked := w.e.Waiting(); return parked == n })
}

// prize 1 of version v, changed as wanted.
func prize(v allocator.Version, change ...func(*allocator.Definition)) allocator.Word {
	def := allocator.Definition{
		No: 1, ID: "p", Version: v, Kind: allocator.KindCounter, Status: allocator.StatusActive, Total: 1000, Zone: "UTC",
	}
	for _, f := range change {
		f(&def)
	}
	return allocator.Word{Kind: allocator.WordDefine, Prize: def.No, Version: v, Define: def}
}

func lot(n uint64, tokens int64) allocator.Word {
	return allocator.Word{Kind: allocator.WordLot, Prize: 1, Version: 1, N: n, Tokens: tokens}
}

func dry(v allocator.Version) allocator.Word {
	return allocator.Word{Kind: allocator.WordDry, Prize: 1, Version: v}
}

// atHome returns the nth user whose home is the given slice of two.
func atHome(slice allocator.SliceNo, n int) string {
	for i := 0; ; i++ {
		user := "u" + string(rune('a'+i%26)) + string(rune('a'+i/26))
		if allocator.Home(allocator.HashKey{}, []byte(user), 2) == slice {
			if n == 0 {
				return user
			}
			n--
		}
	}
}
