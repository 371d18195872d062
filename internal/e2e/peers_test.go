package e2e_test

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"tombola/httpapi/wire"
	"tombola/internal/testcluster"
)

// TestPeersThatMisbehave has servers that stand still, strangers on every port,
// and clients that only hold connections. Draws go on, and what it took comes
// back.
func TestPeersThatMisbehave(t *testing.T) {
	idle := raiseFiles(t)
	database := testcluster.MariaDB(t)
	db, err := sql.Open("mysql", database.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	c := testcluster.Start(t, testcluster.Options{MySQL: database.DSN})
	if err := c.WaitSpread(within(t)); err != nil {
		t.Fatal(err)
	}
	create(t, c, "peers", counter(10_000_000))
	grants := aServerStandsStill(t, c)
	maps.Copy(grants, strangersOnEveryPort(t, c))
	maps.Copy(grants, clientsThatHoldConnections(t, c, idle))
	sunk(t, c)
	holdsExactly(t, db, "peers", grants)
	verified(t, c)
	for _, n := range c.Nodes {
		for _, line := range n.Logged("panic:", "fatal error:", "panic in a handler") {
			t.Errorf("%s logged: %s", n.ID, line)
		}
	}
}

// raiseFiles lets this process, and those that it starts, have as many files
// open as the test wants, and returns how many connections it can hold.
func raiseFiles(t *testing.T) int {
	const wanted, idle = 65536, 20000
	limit := syscall.Rlimit{Cur: wanted, Max: wanted}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil {
		return idle
	}
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	// A server keeps some for other things than clients, and so does the test.
	return min(idle, max(int(limit.Cur)-4000, int(limit.Cur)/3))
}

// aServerStandsStill stops one server's process without ending it: its
// connections stay open, and nothing comes by them. What it led is granted
// elsewhere. When it goes on it believes for a moment that it still leads, and
// must not tell anybody what is no longer so.
func aServerStandsStill(t *testing.T, c *testcluster.Cluster) map[wire.GrantID]string {
	still := c.Nodes[2]
	create(t, c, "few", counter(1))
	granted(t, c.Client(2), "few", "first", "")
	for node := range c.Nodes {
		answered(t, c.Client(node), "few", "second", "", wire.SoldOut)
	}
	crowd := gather(t, &testcluster.Cluster{Nodes: c.Nodes[:2]}, "peers", 24, time.Second, false)
	crowd.proceed(500)
	if err := still.Process().Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	crowd.proceed(1000) // each client's users live on all slices
	const more = 50
	if _, err := c.Client(0).Patch(within(t), "few", wire.PrizePatch{Total: wire.To(int64(more))}); err != nil {
		t.Fatalf("a change while a server stands still: %v", err)
	}
	// The kernel takes these; the server reads them when it goes on.
	var waiting sync.WaitGroup
	var ready sync.WaitGroup
	for i := range 20 {
		ready.Add(1)
		waiting.Go(func() {
			var conn testcluster.Plain
			defer conn.Close()
			ctx := within(t)
			sent, cancel := context.WithCancel(ctx)
			defer cancel()
			time.AfterFunc(100*time.Millisecond, ready.Done)
			r, err := conn.Draw(sent, still.HTTP, "few", "late"+strconv.Itoa(i), "", 5*time.Second)
			code := testcluster.CodeOf(err)
			switch {
			case err == nil && r.Outcome == wire.Granted:
			case code == wire.CodeNoLeader || code == wire.CodeTimeout || code == wire.CodeUnknownOutcome:
			default:
				t.Errorf("a server that stood still said %s, %v", r.Outcome, err)
			}
		})
	}
	ready.Wait()
	if err := still.Process().Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	waiting.Wait()
	crowd.proceed(500)
	if err := c.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	crowd.disperse()
	t.Logf("a server stood still: %s", crowd.summary())
	crowd.onlyTold("504 unknown_outcome", "503 no_leader", "503 timeout")
	p, err := c.Client(0).Prize(within(t), "few")
	if err != nil || p.Granted > more {
		t.Errorf("%d granted of %d, %v", p.Granted, more, err)
	}
	return crowd.grants
}

// usage returns what a node holds.
func usage(t *testing.T, c *testcluster.Cluster, node int) testcluster.Usage {
	t.Helper()
	u, err := c.Usage(within(t), node)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// comesBack waits until a node holds about what it held before.
func comesBack(t *testing.T, c *testcluster.Cluster, node int, before testcluster.Usage) {
	t.Helper()
	const slack = 60 // clients of the test itself, and the connections between servers
	err := testcluster.Until(within(t), func(ctx context.Context) error {
		u, err := c.Usage(ctx, node)
		if err == nil && (u.Files > before.Files+slack || u.Goroutines > before.Goroutines+slack) {
			err = fmt.Errorf("%+v, before it was %+v", u, before)
		}
		return err
	})
	if err != nil {
		t.Errorf("what was taken does not come back: %v", err)
	}
}

// strangersOnEveryPort sends what nobody understands to each port of a server.
func strangersOnEveryPort(t *testing.T, c *testcluster.Cluster) map[wire.GrantID]string {
	const node = 0
	n := c.Nodes[node]
	crowd := gather(t, c, "peers", 12, 5*time.Second, false)
	crowd.proceed(300)
	before := usage(t, c, node)
	status, err := c.Client(node).Cluster(within(t))
	if err != nil {
		t.Fatal(err)
	}
	held := garbage(t, n, status.ClusterID)
	crowd.proceed(300)
	during := usage(t, c, node)
	for _, conn := range held {
		_ = conn.Close()
	}
	comesBack(t, c, node, before)
	crowd.disperse()
	crowd.onlyTold()
	t.Logf("strangers: %+v, then %+v, at the end %+v; %s", before, during, usage(t, c, node), crowd.summary())
	if grown := during.Resident - before.Resident; grown > 128<<20 {
		t.Errorf("memory grew by %d MiB", grown>>20)
	}
	if lines := usage(t, c, node).LogLines - before.LogLines; lines > 300 {
		t.Errorf("%d lines were logged", lines)
	}
	return crowd.grants
}

// clientsThatHoldConnections has many clients that do nothing, and some that do
// everything slowly, at one server.
func clientsThatHoldConnections(t *testing.T, c *testcluster.Cluster, idle int) map[wire.GrantID]string {
	const node, slow = 1, 300
	n := c.Nodes[node]
	before := usage(t, c, node)
	conns := make([]testcluster.Plain, idle)
	began := time.Now()
	run(64, func(worker int) {
		for i := worker; i < len(conns); i += 64 {
			conns[i].From = "127.0.0." + strconv.Itoa(2+i%8)
			a, err := conns[i].Do(within(t), n.HTTP, http.MethodGet, "/livez", nil, "")
			if err != nil || a.Status != http.StatusOK {
				t.Errorf("connection %d: %v", i, err)
				return
			}
		}
	})
	during := usage(t, c, node)
	t.Logf("%d idle connections in %v take %d bytes of memory each", idle, time.Since(began).Round(time.Millisecond),
		(during.Resident-before.Resident)/int64(idle))
	stop := slowly(t, n, slow)
	crowd := gather(t, c, "peers", 24, 5*time.Second, false)
	crowd.proceed(2000)
	crowd.disperse()
	t.Logf("beside them: %s", crowd.summary())
	crowd.onlyTold()
	open := 0
	for i := range conns {
		if conns[i].Alive() {
			open++
		}
		conns[i].Close()
	}
	if open != idle {
		t.Errorf("%d of %d idle connections are still open", open, idle)
	}
	stop()
	comesBack(t, c, node, before)
	return crowd.grants
}
