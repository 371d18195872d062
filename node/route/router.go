package route

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"tombola/allocator"
	"tombola/node/draws"
)

// Groups knows who leads.
type Groups interface {
	// Leader returns the server that leads a group, as far as this one knows.
	Leader(group uint16) (server string, ok bool)
}

// Links carries draws to other servers.
type Links interface {
	Send(server string, group uint16, d *draws.Draw)
}

// Config is what a Router is made of.
type Config struct {
	Self    string // this server
	Slices  int
	Key     allocator.HashKey
	Groups  Groups
	Links   Links
	Catalog *Catalog
	MaxHeld int // draws that may wait for a leader to be elected
	// DiskLow reports that this server's disk is almost full: it decides no draws.
	DiskLow func() bool
}

// maxHops bounds how often a draw is forwarded.
const maxHops = 2

// Router routes draws. Its methods may be called concurrently.
type Router struct {
	cfg      Config
	engines  map[allocator.SliceNo]*draws.Engine // of the slices kept here; set before use
	next     atomic.Uint32
	draining atomic.Bool

	mu      sync.Mutex
	held    []*draws.Draw // their slice has no leader for now
	stopped bool          // Run has ended: nobody looks after held any more
}

// NewRouter returns a router without engines.
func NewRouter(cfg Config) *Router {
	return &Router{cfg: cfg, engines: make(map[allocator.SliceNo]*draws.Engine)}
}

// Add tells the router of a slice that is kept here. All are added before the
// first draw comes.
func (r *Router) Add(slice allocator.SliceNo, e *draws.Engine) { r.engines[slice] = e }

// Engine returns the engine of a slice that is kept here, or nil.
func (r *Router) Engine(slice allocator.SliceNo) *draws.Engine { return r.engines[slice] }

// Drain has all new draws refused; those that wait already are decided.
func (r *Router) Drain() { r.draining.Store(true) }

// Start routes a draw that a client sent here.
func (r *Router) Start(d *draws.Draw, homed bool) {
	if r.draining.Load() {
		d.Fail(draws.Draining)
		return
	}
	if r.cfg.DiskLow() {
		d.Fail(draws.DiskLow)
		return
	}
	d.Homed = homed || len(d.RequestID()) > 0
	r.send(d)
}

// Route takes a draw that another server forwarded to a group.
func (r *Router) Route(group uint16, d *draws.Draw) {
	if e := r.engines[allocator.SliceNo(group)]; e != nil && e.Leading() {
		r.submit(e, d)
		return
	}
	r.Reroute(d)
}

// Reroute takes back a draw that an engine did not decide.
func (r *Router) Reroute(d *draws.Draw) {
	d.Homed = d.Homed || len(d.RequestID()) > 0 || r.cfg.Catalog.Homed(d.Prize)
	r.send(d)
}

// send hands a draw to its engine, here or elsewhere, or holds it until there
// is one.
func (r *Router) send(d *draws.Draw) {
	slice, server, ok := r.target(d)
	switch {
	case !ok:
		r.hold(d)
	case server == r.cfg.Self:
		r.submit(r.engines[slice], d)
	case d.Hops >= maxHops && d.Homed:
		d.Fail(draws.NoLeader)
	case d.Hops >= maxHops:
		// A leadership moves. The draw was sent here for one that this server
		// is about to take up, and any slice will do.
		r.hold(d)
	default:
		r.cfg.Links.Send(server, uint16(slice), d)
	}
}

// submit hands a draw to an engine of this server, unless what it grants may
// not fit on the disk.
func (r *Router) submit(e *draws.Engine, d *draws.Draw) {
	if r.cfg.DiskLow() {
		d.Fail(draws.DiskLow)
		return
	}
	e.Submit(d)
}

// target chooses a draw's slice and finds its leader. A draw without a home
// stays here wherever it can.
func (r *Router) target(d *draws.Draw) (allocator.SliceNo, string, bool) {
	if d.Homed {
		slice := allocator.Home(r.cfg.Key, d.User(), r.cfg.Slices)
		server, ok := r.leader(slice)
		return slice, server, ok
	}
	n := uint32(r.cfg.Slices)
	first := r.next.Add(1)
	var elsewhere allocator.SliceNo
	var other string
	for i := range n {
		slice := allocator.SliceNo((first+i)%n + 1)
		server, ok := r.leader(slice)
		switch {
		case !ok:
		case server == r.cfg.Self:
			return slice, server, true
		case other == "":
			elsewhere, other = slice, server
		}
	}
	return elsewhere, other, other != ""
}

// leader returns who decides a slice's draws now. This server does only once
// its engine runs.
func (r *Router) leader(slice allocator.SliceNo) (string, bool) {
	if e := r.engines[slice]; e != nil && e.Leading() {
		return r.cfg.Self, true
	}
	server, ok := r.cfg.Groups.Leader(uint16(slice))
	return server, ok && server != r.cfg.Self
}

// Retry takes back a draw that came back with NoLeader, to route it again a
// little later: the server that it was sent to has died, and another is about to
// be elected. It reports false, and leaves the draw, where that is in vain.
func (r *Router) Retry(d *draws.Draw) bool {
	if draws.Now()+int64(retryEvery) >= d.Deadline || r.draining.Load() {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped || len(r.held) >= r.cfg.MaxHeld {
		return false
	}
	r.held = append(r.held, d)
	return true
}

// hold keeps a draw until its slice has a leader: an election takes less time
// than clients have patience.
func (r *Router) hold(d *draws.Draw) {
	r.mu.Lock()
	stopped, full := r.stopped, len(r.held) >= r.cfg.MaxHeld
	if !stopped && !full {
		r.held = append(r.held, d)
	}
	r.mu.Unlock()
	switch {
	case stopped:
		d.Fail(draws.NoLeader)
	case full:
		d.Fail(draws.Overloaded)
	}
}

// retryEvery is how often draws without a leader are routed again.
const retryEvery = 10 * time.Millisecond

// lastElection is how long a server that stops waits for others to be elected
// on behalf of what it holds.
const lastElection = 2 * time.Second

// Run routes held draws again until ctx ends; it then fails them, and from then
// on those that would have to be held. It is called once.
func (r *Router) Run(ctx context.Context) {
	ticker := time.NewTicker(retryEvery)
	defer ticker.Stop()
	var drained int64
	for {
		select {
		case <-ctx.Done():
			r.mu.Lock()
			r.stopped = true
			r.mu.Unlock()
			for _, d := range r.take() {
				d.Fail(draws.NoLeader)
			}
			return
		case <-ticker.C:
		}
		now := draws.Now()
		if drained == 0 && r.draining.Load() {
			drained = now
		}
		for _, d := range r.take() {
			switch {
			case d.Deadline <= now:
				d.Fail(draws.NoLeader)
			case drained > 0 && now-drained > int64(lastElection) && !r.reachable(d):
				d.Fail(draws.Draining)
			default:
				r.send(d)
			}
		}
	}
}

// reachable reports whether a draw's slice has a leader.
func (r *Router) reachable(d *draws.Draw) bool {
	_, _, ok := r.target(d)
	return ok
}

func (r *Router) take() []*draws.Draw {
	r.mu.Lock()
	defer r.mu.Unlock()
	held := r.held
	r.held = nil
	return held
}

// Held returns how many draws wait for a leader.
func (r *Router) Held() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.held)
}
