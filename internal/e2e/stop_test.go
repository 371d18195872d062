package e2e_test

import (
	"database/sql"
	"io"
	"maps"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"tombola/httpapi/wire"
	"tombola/internal/testcluster"
)

// TestServersStop has servers stopped as operators do, at good moments and bad
// ones. All of it is one cluster's life, and in the end its sink has each grant
// that a client was told of once.
func TestServersStop(t *testing.T) {
	database := testcluster.MariaDB(t)
	db, err := sql.Open("mysql", database.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	way, err := testcluster.NewRelay(database.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(way.Close)
	c := testcluster.Start(t, testcluster.Options{MySQL: strings.Replace(database.DSN, database.Addr, way.Addr(), 1)})
	create(t, c, "stop", counter(10_000_000))
	grants := oneAfterTheOtherUnderLoad(t, c)
	maps.Copy(grants, atBadMoments(t, c, way))
	sunk(t, c)
	holdsExactly(t, db, "stop", grants)
	verified(t, c)
}

// oneAfterTheOtherUnderLoad stops and starts each server while clients draw at
// all of them. Clients behind a balancer notice nothing. Others are told that
// the server stops, or find that there is none, and go to the next one.
func oneAfterTheOtherUnderLoad(t *testing.T, c *testcluster.Cluster) map[wire.GrantID]string {
	if err := c.WaitSpread(within(t)); err != nil {
		t.Fatal(err)
	}
	plain := gather(t, c, "stop", 24, 5*time.Second, false)
	balanced := gather(t, c, "stop", 24, 5*time.Second, true)
	balanced.proceed(500)
	for _, n := range c.Nodes {
		if err := n.Restart(within(t)); err != nil {
			t.Fatal(err)
		}
		if err := c.WaitReady(within(t)); err != nil {
			t.Fatal(err)
		}
		plain.proceed(500)
		balanced.proceed(500)
	}
	if err := c.WaitSpread(within(t)); err != nil { // leadership comes back
		t.Fatal(err)
	}
	plain.disperse()
	balanced.disperse()
	t.Logf("plain: %s", plain.summary())
	t.Logf("balanced: %s", balanced.summary())
	plain.onlyTold("503 draining", "connection refused")
	balanced.onlyTold()
	maps.Copy(plain.grants, balanced.grants)
	return plain.grants
}

// atBadMoments stops servers while the database hangs, while a client sends its
// request slowly, while they start, and while there is no majority. Each ends
// in time, and as it should.
func atBadMoments(t *testing.T, c *testcluster.Cluster, database *testcluster.Relay) map[wire.GrantID]string {
	n1, n2, n3 := c.Nodes[0], c.Nodes[1], c.Nodes[2]
	crowd := gather(t, c, "stop", 12, 5*time.Second, false)
	database.Silence()
	crowd.proceed(500)
	slow, err := net.Dial("tcp", n1.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if _, err := io.WriteString(slow, "POST /v1/prizes/stop/draw HTTP/1.1\r\nHost: tom"); err != nil {
		t.Fatal(err)
	}
	stop := func(what string, n *testcluster.Node, signals int) {
		t.Helper()
		began := time.Now()
		for range signals - 1 {
			if err := n.Process().Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			rest(50 * time.Millisecond) // two at once are one
		}
		if err := n.Stop(within(t)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		t.Logf("%s: it took %v", what, time.Since(began).Round(time.Millisecond))
	}
	start := func(n *testcluster.Node) {
		t.Helper()
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
	}
	stop("the database hangs and a client is slow", n1, 1)
	start(n1)
	rest(200 * time.Millisecond)
	stop("it starts and the database hangs", n1, 1)
	start(n1)
	if err := c.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	crowd.proceed(100)
	stop("asked twice", n2, 2)
	if len(n2.Logged("asked again")) == 0 {
		t.Errorf("%s did not hear the second signal", n2.ID)
	}
	crowd.stop() // while there is no majority nothing is decided
	n3.Kill()
	stop("there is no majority", n1, 1)
	database.Resume()
	for _, n := range c.Nodes {
		start(n)
	}
	crowd.disperse()
	t.Logf("bad moments: %s", crowd.summary())
	if err := c.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	return crowd.grants
}
