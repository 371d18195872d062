package httpapi

import (
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// conns are the open connections of one listener.
type conns struct {
	limits Limits
	until  atomic.Int64 // when a stopping server reads no more, 0 while it runs

	mu   sync.Mutex
	open map[*patient]struct{}
}

func newConns(l Limits) *conns {
	return &conns{limits: l, open: make(map[*patient]struct{})}
}

// add takes a connection in, unless there are as many as there may be. Those
// between requests make room for it, the ones that have waited longest first.
func (c *conns) add(conn net.Conn) (*patient, bool) {
	p := &patient{Conn: conn, owner: c}
	now := time.Now()
	p.idleSince.Store(now.UnixNano())
	c.mu.Lock()
	var old []*patient
	if len(c.open) >= c.limits.Connections {
		old = c.idlest(now)
		for _, o := range old {
			delete(c.open, o)
		}
	}
	fits := len(c.open) < c.limits.Connections
	if fits {
		c.open[p] = struct{}{}
	}
	c.mu.Unlock()
	for _, o := range old {
		_ = o.Conn.Close() // its reader finds out
	}
	return p, fits
}

const (
	// evictAfter is how long a connection must have been idle to be closed for
	// another one: a client that is about to use it has done so by then.
	evictAfter = time.Second
	// evictShare is the part of all connections that is closed together, so
	// that not every new one has to look for an old one.
	evictShare = 256
)

// idlest returns the connections that have been between requests for longest.
// The caller holds mu.
func (c *conns) idlest(now time.Time) []*patient {
	type candidate struct {
		p     *patient
		since int64
	}
	var all []candidate
	latest := now.Add(-evictAfter).UnixNano()
	for p := range c.open {
		if since := p.idleSince.Load(); since != 0 && since <= latest {
			all = append(all, candidate{p, since})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		if a.since < b.since {
			return -1
		}
		return 1
	})
	var old []*patient
	for _, a := range all[:min(len(all), 1+c.limits.Connections/evictShare)] {
		old = append(old, a.p)
	}
	return old
}

func (c *conns) remove(p *patient) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, p)
}

// retire ends the connections between requests, and gives clients that are
// sending one, or have connected just now in order to, the given time to come
// to its end: one that takes longer must not hold up a stop.
func (c *conns) retire(patience time.Duration) {
	now := time.Now()
	until := now.Add(patience)
	c.until.Store(until.UnixNano())
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := range c.open {
		_ = p.Conn.SetReadDeadline(until)
		if p.begun.Load() || p.idleSince.Load() < now.Add(-patience).UnixNano() {
			p.retire()
		}
	}
}

// bounded returns the time limit for reading to set instead of t.
func (c *conns) bounded(t time.Time) time.Time {
	if until := c.until.Load(); until != 0 && (t.IsZero() || t.UnixNano() > until) {
		return time.Unix(0, until)
	}
	return t
}

// abandon closes all connections, whatever is under way on them.
func (c *conns) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := range c.open {
		_ = p.Conn.Close()
	}
}

// follow keeps for how long connections have been between requests.
func follow(c net.Conn, state fasthttp.ConnState) {
	p := patientOf(c)
	if p == nil {
		return
	}
	switch state {
	case fasthttp.StateActive: // said of one that was not used yet, too
		if p.begun.Load() {
			p.idleSince.Store(0)
		}
	case fasthttp.StateIdle:
		p.idleSince.Store(time.Now().UnixNano())
	default:
	}
}
