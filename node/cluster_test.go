package node

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tombola/httpapi"
	"tombola/httpapi/wire"
	"tombola/node/config"
)

// three returns the configurations of a cluster of three servers that write to
// one database.
func three(t *testing.T) []config.Config {
	t.Helper()
	dir := t.TempDir()
	cfgs := make([]config.Config, 3)
	var join []string
	for i := range cfgs {
		name := fmt.Sprintf("n%d", i+1)
		cfg := config.Config{NodeID: name, Data: filepath.Join(dir, name)}
		cfg.Listen = config.Listen{HTTP: free(t), Cluster: free(t), Gossip: free(t)}
		cfg.Cluster = config.Cluster{BootstrapExpect: len(cfgs)}
		cfg.Sink.SQLite = filepath.Join(dir, "tombola.db")
		cfg.Timing = config.Timing{ElectionTimeout: 300 * time.Millisecond, Retain: time.Hour}
		cfgs[i] = cfg
		join = append(join, cfg.Listen.Gossip)
	}
	for i := range cfgs {
		cfgs[i].Cluster.Join = join
		cfgs[i] = config.Complete(cfgs[i], cfgs[i].NodeID)
	}
	return cfgs
}

// crowd is draws that are repeated, at whichever node there is, until they have
// an answer.
type crowd struct {
	t     *testing.T
	mu    sync.RWMutex
	nodes []*Node
	given sync.Map // grant id to user
	sold  atomic.Int64
	asked atomic.Int64
}

func (c *crowd) node(i int) *Node {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.nodes[i%len(c.nodes)]
}

func (c *crowd) replace(i int, n *Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[i] = n
}

// draw draws for one user until there is an answer, and returns the grant.
func (c *crowd) draw(user string, from int) uint64 {
	for i, end := from, time.Now().Add(3*patience); ; i++ {
		d := httpapi.Draw{Prize: []byte("tea"), User: []byte(user), RequestID: []byte("r"), Timeout: time.Second}
		c.node(i).backend.Draw(&d)
		c.asked.Add(1)
		switch {
		case d.Problem != 0 && time.Now().After(end):
			c.t.Errorf("%s: %v: %s", user, d.Problem, d.Detail)
			return 0
		case d.Problem != 0:
		case d.Outcome == wire.Granted:
			if other, taken := c.given.LoadOrStore(d.GrantID, user); taken && other != user {
				c.t.Errorf("%s and %s have the same grant", user, other)
			}
			return d.GrantID
		case d.Outcome == wire.SoldOut:
			c.sold.Add(1)
			return 0
		default:
			c.t.Errorf("%s: %v", user, d.Outcome)
			return 0
		}
	}
}

// TestACrowdSurvivesTheServersThatComeAndGo draws a prize empty while each of
// three servers is stopped and started again: all of the total is granted, to
// nobody twice, and a repeat finds its grant.
func TestACrowdSurvivesTheServersThatComeAndGo(t *testing.T) {
	cfgs := three(t)
	c := &crowd{t: t, nodes: make([]*Node, 3)}
	for i := range cfgs {
		c.nodes[i] = start(t, cfgs[i])
	}
	for _, n := range c.nodes {
		ready(t, n)
	}
	const total, users, workers = 3000, 3200, 8
	spec := wire.PrizeSpec{Kind: wire.KindCounter, Total: total, PerUserLimit: new(int64(1)), Timezone: "UTC"}
	if _, _, err := c.nodes[0].backend.PutPrize(t.Context(), "tea", spec, wire.Change{Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	grants := make([]uint64, users)
	var next atomic.Int64
	var drawing sync.WaitGroup
	for range workers {
		drawing.Go(func() {
			for i := next.Add(1) - 1; i < users; i = next.Add(1) - 1 {
				grants[i] = c.draw(fmt.Sprintf("user-%d", i), int(i))
			}
		})
	}
	for i := range cfgs {
		part := int64(users * (i + 1) / 4)
		await(t, "a part of the crowd has drawn", func() bool { return next.Load() >= part })
		old := c.node(i)
		if i == 1 {
			old.HandOver(t.Context()) // a graceful stop; the others are not
			old.Drain()
		}
		end(t, old)
		c.replace(i, start(t, cfgs[i]))
		ready(t, c.node(i))
	}
	drawing.Wait()
	granted := 0
	for i, id := range grants {
		if id == 0 {
			continue
		}
		granted++
		if again := c.draw(fmt.Sprintf("user-%d", i), i+1); again != id {
			t.Fatalf("user-%d got %d and then %d", i, id, again)
		}
	}
	if granted != total || c.sold.Load() != users-total {
		t.Fatalf("%d granted and %d refused, want %d and %d", granted, c.sold.Load(), total, users-total)
	}
	t.Logf("%d draws for %d users", c.asked.Load(), users)
	verified(t, c.node(0))
	var stopping sync.WaitGroup
	for _, n := range c.nodes {
		stopping.Go(func() { end(t, n) })
	}
	stopping.Wait()
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * patience); !holds(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// TestServersStartAgainWithoutBeingToldOfEachOther restarts a cluster with the
// defaults: one expected server and nobody to join.
func TestServersStartAgainWithoutBeingToldOfEachOther(t *testing.T) {
	cfgs := three(t)
	nodes := make([]*Node, len(cfgs))
	for i, cfg := range cfgs {
		nodes[i] = start(t, cfg)
	}
	for _, n := range nodes {
		ready(t, n)
	}
	closeAll(nodes)
	for i, cfg := range cfgs {
		cfg.Cluster = config.Cluster{BootstrapExpect: 1, Slices: 1}
		nodes[i] = start(t, cfg)
	}
	for _, n := range nodes {
		ready(t, n)
		for end := time.Now().Add(patience); ; <-time.After(5 * time.Millisecond) {
			alive := 0
			for _, m := range n.members.Members() {
				if m.Alive {
					alive++
				}
			}
			if alive == len(nodes) {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("gossip of %s: %+v", n.cfg.NodeID, n.members.Members())
			}
		}
	}
	closeAll(nodes)
}
