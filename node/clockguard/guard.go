package clockguard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// The reasons for which a server's clock does not count. Problem wraps them.
var (
	ErrUnknown = errors.New("this server's clock has not been compared with another's yet")
	ErrStepped = errors.New("this server's clock has been set, and not been compared with the others' since")
	ErrOff     = errors.New("this server's clock is off")
)

// Config is what a Guard is made of.
type Config struct {
	Read  func() Reading
	Peers []string // the other servers; with none, this server's clock is the time
	// Ask returns what another server's wall clock says.
	Ask func(ctx context.Context, server string) (time.Time, error)
	// Found is told what speaks against this server's clock, nil for nothing,
	// once clocks have been compared: a doubt that the others dispel at once is
	// no reason to hand anything over. It must not call the guard.
	Found  func(problem error)
	Logger *slog.Logger
}

// Guard knows whether this server's clock counts. Its methods may be called
// concurrently.
type Guard struct {
	cfg  Config
	wake chan struct{} // the others have to be asked at once

	mu      sync.Mutex
	samples map[string]sample
	base    time.Duration // of the wall clock when it last counted
	problem error         // why it does not count, nil while it does
	doubts  int           // rises with each doubt: what was asked before clears none
	offset  time.Duration // from the median, when last compared
	logged  time.Duration // on the monotonic clock
}

// sample is what another server has said: the base of its wall clock, on this
// server's monotonic clock, and when that was.
type sample struct {
	base time.Duration
	at   time.Duration
}

// New returns a guard whose clock does not count until Run has compared it.
func New(cfg Config) *Guard {
	g := &Guard{cfg: cfg, wake: make(chan struct{}, 1), samples: make(map[string]sample)}
	if len(cfg.Peers) > 0 {
		g.problem = ErrUnknown
	} else {
		g.base = cfg.Read().base()
	}
	cfg.Found(g.problem)
	return g
}

// Now returns the wall clock; ok is false while it must not be used.
func (g *Guard) Now() (now time.Time, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.cfg.Read()
	if g.problem != nil {
		return r.Wall, false
	}
	by := r.base() - g.base
	if by.Abs() <= Step {
		return r.Wall, true
	}
	if len(g.cfg.Peers) == 0 {
		g.cfg.Logger.Warn("this server's clock has been set; there is no other to compare it with", "by", by)
		g.base = r.base()
		return r.Wall, true
	}
	g.doubts++
	g.conclude(r, fmt.Errorf("%w: by %s", ErrStepped, by.Round(time.Millisecond)))
	g.signal()
	return r.Wall, false
}

// Problem says why this server's clock does not count, nil while it does.
func (g *Guard) Problem() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.problem
}

// Offset returns how far this server's clock was ahead of the median when they
// were last compared.
func (g *Guard) Offset() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.offset
}

// Run compares clocks until ctx ends.
func (g *Guard) Run(ctx context.Context) {
	if len(g.cfg.Peers) == 0 {
		return
	}
	for ctx.Err() == nil {
		g.compare(ctx)
		wait := every
		if g.Problem() != nil {
			wait = soon
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-g.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (g *Guard) signal() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// compare asks all others at once and judges by what they say.
func (g *Guard) compare(ctx context.Context) {
	g.mu.Lock()
	doubts := g.doubts
	g.mu.Unlock()
	var wg sync.WaitGroup
	fresh := make([]bool, len(g.cfg.Peers))
	for i, server := range g.cfg.Peers {
		wg.Go(func() { fresh[i] = g.ask(ctx, server) })
	}
	wg.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	if slices.Contains(fresh, true) && doubts == g.doubts {
		g.judge(g.cfg.Read())
	}
	g.cfg.Found(g.problem)
}

// ask has one other server say what its clock says, and reports whether that
// can be believed.
func (g *Guard) ask(ctx context.Context, server string) bool {
	ctx, cancel := context.WithTimeout(ctx, maxTrip)
	defer cancel()
	before := g.cfg.Read()
	said, err := g.cfg.Ask(ctx, server)
	after := g.cfg.Read()
	trip := after.Mono - before.Mono
	// Where this server was suspended on the way, its monotonic clock does not
	// know how long that took.
	if err != nil || trip > maxTrip || (after.base()-before.base()).Abs() > Step {
		return false
	}
	at := before.Mono + trip/2
	g.mu.Lock()
	defer g.mu.Unlock()
	g.samples[server] = sample{base: time.Duration(said.UnixNano()) - at, at: at}
	return true
}

// judge compares the wall clock with the median. The caller holds g.mu.
func (g *Guard) judge(r Reading) {
	clocks := []time.Duration{r.base()}
	for _, s := range g.samples {
		if r.Mono-s.at <= Keep {
			clocks = append(clocks, s.base)
		}
	}
	g.offset = fromMedian(r.base(), clocks)
	limit := Limit
	if errors.Is(g.problem, ErrOff) {
		limit = near
	}
	if g.offset.Abs() > limit {
		g.conclude(r, fmt.Errorf("%w by %s from the median of %d", ErrOff, g.offset.Round(time.Millisecond), len(clocks)))
		return
	}
	g.base = r.base()
	g.conclude(r, nil)
}

// conclude keeps what was found, and says so. The caller holds g.mu.
func (g *Guard) conclude(r Reading, problem error) {
	was := g.problem
	g.problem = problem
	switch {
	case problem == nil && was == nil:
		return
	case problem == nil:
		g.cfg.Logger.Info("this server's clock agrees with the others'", "offset", g.offset)
	case was == nil || errors.Is(was, ErrOff) != errors.Is(problem, ErrOff) || r.Mono-g.logged >= repeat:
		g.logged = r.Mono
		g.cfg.Logger.Error("this server decides nothing", "why", problem)
	}
}

// fromMedian returns how far own is ahead of the median of clocks, which it is
// among. Where their number is even there are two in the middle, and the one
// that is farther counts: of two clocks that disagree nobody knows which is
// right.
func fromMedian(own time.Duration, clocks []time.Duration) time.Duration {
	low, high := middle(clocks)
	if fromLow := own - low; fromLow.Abs() > (own - high).Abs() {
		return fromLow
	}
	return own - high
}
