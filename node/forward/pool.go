package forward

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"tombola/node/draws"
)

// DefaultWindow is how many draws a link holds at most, written or not.
const DefaultWindow = 16384

// sweepInterval is how often links look for draws whose time is up.
const sweepInterval = 20 * time.Millisecond

// PoolOptions are what a Pool needs.
type PoolOptions struct {
	Dial   DialFunc
	Now    func() int64 // the clock of draws' deadlines, nanoseconds
	Window int          // 0: DefaultWindow
	Logger *slog.Logger
}

// Pool keeps the links that forward draws, one per server. All methods may be
// called concurrently.
type Pool struct {
	options PoolOptions
	stop    context.CancelFunc
	ctx     context.Context // ends with the pool; links run in it
	done    sync.WaitGroup

	mu    sync.RWMutex
	links map[string]*Link
	list  []*Link
}

// NewPool returns a pool without links: they are made as they are asked for.
func NewPool(o PoolOptions) *Pool {
	if o.Window == 0 {
		o.Window = DefaultWindow
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &Pool{options: o, stop: stop, ctx: ctx, links: make(map[string]*Link)}
	p.done.Add(1)
	go p.sweep()
	return p
}

// Send forwards d to the engine of group on server: see Link.Send.
func (p *Pool) Send(server string, group uint16, d *draws.Draw) { p.Link(server).Send(group, d) }

// Link returns the link to a server, named by its server id. It stays the same
// while the pool is open, so it may be kept.
func (p *Pool) Link(server string) *Link {
	p.mu.RLock()
	l := p.links[server]
	p.mu.RUnlock()
	if l != nil {
		return l
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.links[server]; l != nil {
		return l
	}
	o := p.options
	l = &Link{
		line:   newLine(lineConfig{server, o.Dial, o.Logger, o.Now, linkPatience}),
		window: o.Window, inFlight: newSlots(o.Window),
	}
	if p.ctx.Err() != nil {
		l.phase = closed
		return l
	}
	p.links[server] = l
	p.list = append(p.list, l)
	p.done.Add(1)
	go func() {
		defer p.done.Done()
		l.run(p.ctx, l)
	}()
	return l
}

// Close closes all connections. Draws that were not written fail with
// Draining, those that may have been with UnknownOutcome.
func (p *Pool) Close() {
	p.mu.Lock()
	p.stop()
	p.mu.Unlock()
	p.done.Wait()
}

func (p *Pool) sweep() {
	defer p.done.Done()
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	var scratch []*draws.Draw
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-tick.C:
		}
		p.mu.RLock()
		list := p.list
		p.mu.RUnlock()
		now := p.options.Now()
		for _, l := range list {
			scratch = l.sweep(now, scratch)
			l.beat(sweepInterval)
		}
	}
}
