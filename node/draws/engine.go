package draws

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tombola/allocator"
)

// Log is the slice's Raft group, as far as its leader needs it.
type Log interface {
	// Propose replicates an entry and returns once it is applied here, with
	// into filled. Its first Headroom bytes are the log's own. ErrNotLeader
	// among its errors means: certainly not done.
	Propose(entry []byte, into any) error
	// Verify returns nil if this server was the leader at some moment after
	// the call.
	Verify(ctx context.Context) error
}

// State is the slice's committed state.
type State interface {
	Read(f func(*allocator.Slice))
}

// Dates computes the date in each of the named zones.
type Dates interface {
	Days(now allocator.Micros, zones []string, into []allocator.Day) ([]allocator.Day, error)
}

// Router takes back draws that this engine can't decide.
type Router interface {
	// Reroute finds the draw another engine, or fails it. Nothing was done
	// about it.
	Reroute(d *Draw)
}

// Clock returns the time of the next entry of a slice whose last one has the
// time last. ok is false while there is none that can be trusted: then nothing
// is decided, and draws wait.
type Clock func(last allocator.Micros) (now allocator.Micros, ok bool)

// Config is what an engine is made of.
type Config struct {
	Slice    allocator.SliceNo
	Log      Log
	Headroom int                    // bytes at the front of entries that are the log's
	NotDone  func(err error) bool   // whether a Propose that failed certainly did nothing
	Clock    Clock                  // what grants are dated with
	Bank     func([]allocator.Note) // sends notes to the bank's leader, which may lose them
	State    State
	Dates    Dates
	Router   Router
	Logger   *slog.Logger
	// MaxQueued and MaxParked bound the draws that wait for an entry and for
	// tokens. Beyond them draws are shed, so that consensus keeps its pace.
	MaxQueued int
	MaxParked int
}

// Engine decides the draws of one slice while this server leads it. Submit,
// Hear and Order may be called concurrently, and do nothing while it does not
// run.
type Engine struct {
	cfg  Config
	wake chan struct{}
	now  func() int64 // Now, but for tests

	leading atomic.Bool // written with mu held, so that whoever holds it knows

	mu     sync.Mutex
	queue  []*Draw
	words  []allocator.Word
	orders []*order
	flight flight
	tables map[allocator.PrizeNo]*table // written by the loop only
	parked int                          // draws on all tables
}

// flight is what the loop is waiting for the log for. The sweeper takes draws
// out of it whose deadline passes meanwhile.
type flight struct {
	proposed []*Draw
	refused  []*Draw
	outcomes []allocator.Outcome // of refused
}

// NewEngine returns an engine that does not run yet.
func NewEngine(cfg Config) *Engine {
	return &Engine{cfg: cfg, wake: make(chan struct{}, 1), now: Now, tables: make(map[allocator.PrizeNo]*table)}
}

// Submit hands a draw to the engine, which finishes it or reroutes it.
func (e *Engine) Submit(d *Draw) {
	e.mu.Lock()
	switch {
	case !e.leading.Load():
		e.mu.Unlock()
		e.cfg.Router.Reroute(d)
		return
	case len(e.queue) >= e.cfg.MaxQueued:
		e.mu.Unlock()
		d.Fail(Overloaded)
		return
	}
	e.queue = append(e.queue, d)
	e.mu.Unlock()
	e.signal()
}

// Hear takes in words of the bank.
func (e *Engine) Hear(words []allocator.Word) {
	e.mu.Lock()
	if e.leading.Load() && len(e.words) < maxWords {
		e.words = append(e.words, words...)
	}
	e.mu.Unlock()
	e.signal()
}

// maxWords bounds the words that wait; the bank repeats those that are lost.
const maxWords = 1 << 14

// Leading reports whether the engine decides draws now.
func (e *Engine) Leading() bool { return e.leading.Load() }

// Waiting returns how many draws wait for an entry and for tokens.
func (e *Engine) Waiting() (queued, parked int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.queue), e.parked
}

func (e *Engine) signal() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// tick is how often the loop looks after what nothing else wakes it for: asks
// that the bank did not answer, and rates.
const tick = 20 * time.Millisecond

// pause is how long the loop rests when the log takes nothing although this
// server still seems to lead: while leadership is being handed over, and until
// its loss is noticed. What was not done comes back here until then.
const pause = 5 * time.Millisecond

// Run decides draws until ctx ends. It is called by one goroutine at a time,
// while this server leads the slice and has applied all that came before.
func (e *Engine) Run(ctx context.Context) {
	e.mu.Lock()
	e.leading.Store(true)
	e.mu.Unlock()
	sweeping := make(chan struct{})
	sweepCtx, stop := context.WithCancel(context.Background())
	go func() {
		defer close(sweeping)
		e.sweep(sweepCtx)
	}()
	l := newLoop(e)
	go l.herald.run()
	defer func() {
		stop()
		<-sweeping
		l.herald.close()
		e.abandon()
	}()

	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.wake:
		case <-ticker.C:
			l.tick()
		}
		l.rounds(ctx, ticker.C)
	}
}

// abandon gives all waiting draws to whoever leads now.
func (e *Engine) abandon() {
	e.mu.Lock()
	e.leading.Store(false)
	homeless := e.queue
	for _, t := range e.tables {
		homeless = append(homeless, t.parked...)
	}
	orders := e.orders
	e.queue, e.words, e.orders, e.parked = nil, nil, nil, 0
	clear(e.tables)
	e.mu.Unlock()
	for _, d := range homeless {
		e.cfg.Router.Reroute(d)
	}
	for _, o := range orders {
		o.fail(ErrNotLeading)
	}
}

// sweep fails draws whose deadline passes, whatever the loop is waiting for.
func (e *Engine) sweep(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		late, unknown := e.overdue(Now())
		for _, d := range late {
			d.Fail(Timeout)
		}
		for _, d := range unknown {
			d.Fail(UnknownOutcome)
		}
	}
}

// overdue takes out the draws whose deadline has passed: those about which
// certainly nothing was done, and those in an entry under way.
func (e *Engine) overdue(now int64) (late, unknown []*Draw) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.queue, late = expire(e.queue, now, late)
	for _, t := range e.tables {
		before := len(t.parked)
		t.parked, late = expire(t.parked, now, late)
		e.parked -= before - len(t.parked)
	}
	for i, d := range e.flight.refused {
		if d != nil && d.Deadline <= now {
			late = append(late, d)
			e.flight.refused[i] = nil
		}
	}
	for i, d := range e.flight.proposed {
		if d != nil && d.Deadline <= now {
			unknown = append(unknown, d)
			e.flight.proposed[i] = nil
		}
	}
	return late, unknown
}

// expire moves the draws whose deadline has passed from draws to late.
func expire(draws []*Draw, now int64, late []*Draw) (kept, expired []*Draw) {
	kept = draws[:0]
	for _, d := range draws {
		if d.Deadline <= now {
			late = append(late, d)
		} else {
			kept = append(kept, d)
		}
	}
	clear(draws[len(kept):])
	return kept, late
}
