package e2e_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tombola/httpapi/wire"
	"tombola/internal/testcluster"
)

// TestDisksThatFail has three servers, one with a disk that hangs and stutters,
// one with a disk that gives errors. What was answered is never lost, and the
// others take over.
func TestDisksThatFail(t *testing.T) {
	const diskSize, roomSize = 512 << 20, 192 << 20
	dir := t.TempDir()
	hanging := testcluster.NewDisk(t, filepath.Join(dir, "disk1"), filepath.Join(dir, "n1"), diskSize)
	room := testcluster.NewSmallDisk(t, filepath.Join(dir, "room"), roomSize)
	failing := testcluster.NewDisk(t, filepath.Join(dir, "room", "disk2"), filepath.Join(dir, "n2"), diskSize)
	database := testcluster.MariaDB(t)
	db, err := sql.Open("mysql", database.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	c := testcluster.Start(t, testcluster.Options{Dir: dir, MySQL: database.DSN})
	// No server ends by itself but for what a part does to its disk.
	t.Run("a disk that stutters", func(t *testing.T) { aDiskThatStutters(t, c, db, hanging) })
	t.Run("a disk that hangs", func(t *testing.T) { aDiskThatHangs(t, c, db, hanging) })
	t.Run("a disk with errors", func(t *testing.T) { aDiskWithErrors(t, c, db, failing, room) })
}

// diskCrowd draws at all nodes, by clients that ask again with the same request id
// where they were not answered, at the next node.
type diskCrowd struct {
	c     *testcluster.Cluster
	prize string

	mu     sync.Mutex
	grants map[wire.GrantID]string
	when   map[wire.GrantID]time.Time
	errs   []error
	next   atomic.Int64
}

// during has the crowd draw while what happens.
func during(t *testing.T, c *testcluster.Cluster, prize string, what func(*diskCrowd)) *diskCrowd {
	t.Helper()
	crowd := &diskCrowd{c: c, prize: prize, grants: make(map[wire.GrantID]string), when: make(map[wire.GrantID]time.Time)}
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for i := range 24 {
		clients.Go(func() {
			for ctx.Err() == nil {
				crowd.draw(t.Context(), i)
			}
		})
	}
	defer func() {
		stop()
		clients.Wait()
		for _, err := range crowd.errs {
			t.Error(err)
		}
	}()
	crowd.more(t, func(wire.GrantID) bool { return true })
	what(crowd)
	return crowd
}

func (w *diskCrowd) draw(ctx context.Context, node int) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	name := user(int(w.next.Add(1)))
	for try := 0; ; try++ {
		r, err := w.c.Client((node+try)%len(w.c.Nodes)).Draw(ctx, w.prize, name, "r")
		var problem *wire.Problem
		if err == nil && r.Outcome == wire.Granted {
			w.mu.Lock()
			defer w.mu.Unlock()
			if other, taken := w.grants[r.GrantID]; taken {
				w.errs = append(w.errs, fmt.Errorf("grant %s went to %s and to %s", r.GrantID, other, name))
			}
			w.grants[r.GrantID], w.when[r.GrantID] = name, time.Now()
			return
		}
		if err == nil || ctx.Err() != nil || errors.As(err, &problem) && problem.Status < 500 && problem.Status != 429 {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.errs = append(w.errs, fmt.Errorf("a draw by %s came to %q, %w", name, r.Outcome, err))
			return
		}
	}
}

// more waits for a hundred further grants that are of the kind asked for, and
// returns when the first of them came.
func (w *diskCrowd) more(t *testing.T, kind func(wire.GrantID) bool) (first time.Time) {
	t.Helper()
	start := time.Now()
	err := testcluster.Until(within(t), func(context.Context) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		n := 0
		first = time.Time{}
		for id, at := range w.when {
			if at.After(start) && kind(id) {
				n++
				if first.IsZero() || at.Before(first) {
					first = at
				}
			}
		}
		if n < 100 {
			return fmt.Errorf("%d grants", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return first
}

// allSunk fails the test unless each of the crowd's grants is in MySQL once and
// nothing else is.
func (w *diskCrowd) allSunk(t *testing.T, db *sql.DB) {
	t.Helper()
	sunk(t, w.c)
	holdsExactly(t, db, w.prize, w.grants)
	verified(t, w.c)
	t.Logf("%d draws were granted", len(w.grants))
}

// ledBy waits until a slice is led by the given node, and returns its number.
func ledBy(t *testing.T, c *testcluster.Cluster, node string) (slice uint64) {
	t.Helper()
	if err := c.WaitSpread(within(t)); err != nil {
		t.Fatal(err)
	}
	status, err := c.Client(2).Cluster(within(t))
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range status.Groups[1:] {
		if g.Leader == node {
			return uint64(i + 1)
		}
	}
	t.Fatalf("%s leads no slice: %+v", node, status.Groups)
	return 0
}

func ofSlice(slice uint64) func(wire.GrantID) bool {
	return func(id wire.GrantID) bool { return strings.HasPrefix(id.String(), fmt.Sprintf("%d-", slice)) }
}

func aDiskThatStutters(t *testing.T, c *testcluster.Cluster, db *sql.DB, disk *testcluster.Disk) {
	ledBy(t, c, "n1")
	create(t, c, "slow", counter(10_000_000))
	crowd := during(t, c, "slow", func(*diskCrowd) {
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
		defer stop()
		must(t, disk.Stutter(ctx, t, 200*time.Millisecond, 50*time.Millisecond))
	})
	for _, n := range c.Nodes {
		if !n.Running() {
			t.Errorf("%s has ended: %s", n.ID, n.Tail(3))
		}
	}
	crowd.allSunk(t, db)
}

func aDiskThatHangs(t *testing.T, c *testcluster.Cluster, db *sql.DB, disk *testcluster.Disk) {
	slice := ledBy(t, c, "n1")
	create(t, c, "hung", counter(10_000_000))
	crowd := during(t, c, "hung", func(w *diskCrowd) {
		must(t, disk.Freeze(t))
		frozen := time.Now()
		ended(t, c.Nodes[0], "log store: append has not returned for 3s: the disk hangs", "state machine: apply has not returned for 3s: the disk hangs")
		t.Logf("n1 said why it ends %s after its disk hung", time.Since(frozen))
		first := w.more(t, ofSlice(slice))
		t.Logf("slice %d granted nothing for %s at most", slice, first.Sub(frozen))
		if _, err := c.Client(0).Ready(within(t)); err == nil {
			t.Error("a server that has ended answers")
		}
		must(t, disk.Thaw())
	})
	if err := c.Nodes[0].Process().Wait(within(t)); err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("n1 ended with %v", err)
	}
	startsAgain(t, c, 0)
	crowd.allSunk(t, db)
}

func aDiskWithErrors(t *testing.T, c *testcluster.Cluster, db *sql.DB, disk *testcluster.Disk, room *testcluster.SmallDisk) {
	slice := ledBy(t, c, "n2")
	create(t, c, "broken", counter(10_000_000))
	crowd := during(t, c, "broken", func(w *diskCrowd) {
		// What the disk still has to be given soon, it can't get. While it
		// takes a part of what is left the rest can't be filled at once.
		must(t, testcluster.Until(within(t), func(context.Context) error { return room.Fill(256 << 10) }))
		broken := time.Now()
		ended(t, c.Nodes[1], "log store: append:", "log store: set:", "outbox")
		t.Logf("n2 said why it ends %s after its disk had errors", time.Since(broken))
		w.more(t, ofSlice(slice))
	})
	if err := c.Nodes[1].Process().Wait(within(t)); err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("n2 ended with %v", err)
	}
	must(t, disk.Unmount())
	must(t, room.Clear())
	must(t, disk.Repair())
	must(t, disk.Mount())
	startsAgain(t, c, 1)
	crowd.allSunk(t, db)
}

// ended waits until the last line of a node's log says one of the given texts.
func ended(t *testing.T, n *testcluster.Node, why ...string) {
	t.Helper()
	err := testcluster.Until(within(t), func(context.Context) error {
		last := n.Tail(1)
		for _, text := range why {
			if strings.Contains(last, "tombola: node: stopped by a fault") && strings.Contains(last, text) {
				return nil
			}
		}
		return fmt.Errorf("the last line is %s", last)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(n.Tail(1))
}

// startsAgain starts a node again and waits until it leads its share, which it
// does not before it has caught up.
func startsAgain(t *testing.T, c *testcluster.Cluster, node int) {
	t.Helper()
	must(t, c.Nodes[node].Start())
	if err := c.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitSpread(within(t)); err != nil {
		t.Fatal(err)
	}
}

// TestAFullDiskEndsTheProcess fills the disk of a server that watches no floor.
// It says why it ends, and has all that it granted once there is room again.
func TestAFullDiskEndsTheProcess(t *testing.T) {
	dir := t.TempDir()
	room := testcluster.NewSmallDisk(t, filepath.Join(dir, "n1"), 64<<20)
	c := testcluster.Start(t, testcluster.Options{Dir: dir, Nodes: 1, Args: []string{"--disk-floor", "0"}})
	create(t, c, "tv", counter(10_000_000))
	must(t, room.Fill(64<<10))
	grants := make(map[string]wire.GrantID)
	for i := 0; c.Nodes[0].Running(); i++ {
		r, err := c.Client(0).Draw(within(t), "tv", user(i), "r")
		if err != nil {
			break
		}
		grants[user(i)] = r.GrantID
	}
	ended(t, c.Nodes[0], "no space left on device")
	if err := c.Nodes[0].Process().Wait(within(t)); err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("n1 ended with %v", err)
	}
	must(t, room.Clear())
	must(t, c.Nodes[0].Start())
	if err := c.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	for name, id := range grants {
		if r := granted(t, c.Client(0), "tv", name, "r"); r.GrantID != id || !r.Repeat {
			t.Fatalf("%s had grant %s before the disk was full, and now %+v", name, id, r)
		}
	}
	t.Logf("%d grants were repeated", len(grants))
	granted(t, c.Client(0), "tv", "after", "r")
	sunk(t, c)
	verified(t, c)
}
