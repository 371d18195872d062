package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tombola/httpapi/wire"
	"tombola/internal/testcluster"
)

// crowd is plain clients that draw without a pause, each on one connection and
// each draw with a request id. A client stays with its node until that does not
// answer its draw; then it sends the same draw to the next one, until it is
// decided. A balanced crowd turns away from nodes that say that they are not
// ready, as it would behind a load balancer.
type crowd struct {
	t     testing.TB
	addrs []string
	prize string
	wait  time.Duration // for a draw's decision
	ready []atomic.Bool // nodes, for a balanced crowd
	stop  context.CancelFunc
	ctx   context.Context
	done  sync.WaitGroup

	decided atomic.Int64

	mu      sync.Mutex
	grants  map[wire.GrantID]string
	trouble map[string]int // what clients were told beside outcomes, by kind and node
	slowest time.Duration
	worst   int // most tries of one draw
}

// gather starts a crowd.
func gather(t testing.TB, c *testcluster.Cluster, prize string, clients int, wait time.Duration, balanced bool) *crowd {
	cr := &crowd{t: t, prize: prize, wait: wait, grants: make(map[wire.GrantID]string), trouble: make(map[string]int)}
	for _, n := range c.Nodes {
		cr.addrs = append(cr.addrs, n.HTTP)
	}
	cr.ctx, cr.stop = context.WithCancel(t.Context())
	if balanced {
		cr.ready = make([]atomic.Bool, len(c.Nodes))
		for node := range c.Nodes {
			cr.ready[node].Store(true)
			cr.done.Go(func() { cr.probe(node) })
		}
	}
	for i := range clients {
		cr.done.Go(func() { cr.client(i) })
	}
	t.Cleanup(cr.disperse)
	return cr
}

// probe does what a load balancer does all the time.
func (c *crowd) probe(node int) {
	const every = 50 * time.Millisecond
	var conn testcluster.Plain
	defer conn.Close()
	for c.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		a, err := conn.Do(ctx, c.addrs[node], "GET", "/readyz", nil, "")
		cancel()
		c.ready[node].Store(err == nil && a.Status == 200)
		rest(every)
	}
}

// choose returns the node to draw at for a client that was at node.
func (c *crowd) choose(node int) int {
	for range c.ready {
		if c.ready[node].Load() {
			break
		}
		node = (node + 1) % len(c.addrs)
	}
	return node
}

// disperse ends the crowd once each client's last draw is decided.
func (c *crowd) disperse() {
	c.stop()
	c.done.Wait()
}

func (c *crowd) client(number int) {
	var conn testcluster.Plain
	defer conn.Close()
	node, kind := number%len(c.addrs), "p"
	if c.ready != nil {
		kind = "b"
	}
	for i := 0; c.ctx.Err() == nil; i++ {
		user := kind + strconv.Itoa(number) + "-" + strconv.Itoa(i)
		began := time.Now()
		for try := 1; ; try++ {
			node = c.choose(node)
			// Longer than the server takes to say that it does not know.
			limit := c.wait + 10*time.Second
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			r, err := conn.Draw(ctx, c.addrs[node], c.prize, user, "r", c.wait)
			cancel()
			if err == nil {
				c.note(user, &r, try, time.Since(began))
				break
			}
			c.complain(node, err)
			node = (node + 1) % len(c.addrs)
			if time.Since(began) > patience {
				c.t.Errorf("%s: not decided after %d tries: %v", user, try, err)
				return
			}
			rest(10 * time.Millisecond) // a client's pause between tries
		}
	}
}

// rest is what a client does between requests.
func rest(d time.Duration) { <-time.After(d) }

func (c *crowd) note(user string, r *wire.DrawResult, try int, took time.Duration) {
	c.decided.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slowest, c.worst = max(c.slowest, took), max(c.worst, try)
	if r.Outcome != wire.Granted {
		c.t.Errorf("%s: %s though tokens are left", user, r.Outcome)
		return
	}
	if other, taken := c.grants[r.GrantID]; taken {
		c.t.Errorf("grant %s was answered to %s and to %s", r.GrantID, other, user)
	}
	c.grants[r.GrantID] = user
}

// complain counts what a client was told instead of an outcome.
func (c *crowd) complain(node int, err error) {
	kind := "?"
	var p *wire.Problem
	switch {
	case errors.As(err, &p):
		kind = strconv.Itoa(p.Status) + " " + p.Code.String()
	case errors.Is(err, testcluster.ErrConnect) && strings.Contains(err.Error(), "refused"):
		kind = "connection refused"
	case errors.Is(err, testcluster.ErrConnect):
		kind = "no connection"
	case errors.Is(err, testcluster.ErrReset):
		kind = "reset"
	case errors.Is(err, testcluster.ErrIdleClosed):
		kind = "kept connection closed"
	case errors.Is(err, testcluster.ErrBroken):
		kind = "broken"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if kind == "?" || kind == "broken" || kind == "no connection" {
		c.t.Logf("a client of n%d: %v", node+1, err)
	}
	c.trouble[kind]++
}

// onlyTold fails the test for what clients were told beside outcomes and the
// given kinds.
func (c *crowd) onlyTold(kinds ...string) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for kind, times := range c.trouble {
		if !slices.Contains(kinds, kind) {
			c.t.Errorf("clients were told %q %d times", kind, times)
		}
	}
}

// summary says what clients were told.
func (c *crowd) summary() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%d draws granted, the slowest in %v and with %d tries at most", len(c.grants), c.slowest.Round(time.Millisecond), c.worst)
	for _, kind := range slices.Sorted(maps.Keys(c.trouble)) {
		fmt.Fprintf(&b, "; %s: %d", kind, c.trouble[kind])
	}
	return b.String()
}

// proceed waits until so many more draws were decided.
func (c *crowd) proceed(more int64) {
	c.t.Helper()
	until := c.decided.Load() + more
	if err := testcluster.Until(within(c.t), func(context.Context) error {
		if n := c.decided.Load(); n < until {
			return fmt.Errorf("%d draws decided, want %d", n, until)
		}
		return nil
	}); err != nil {
		c.t.Fatal(err)
	}
}
