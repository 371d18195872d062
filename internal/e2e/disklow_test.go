package e2e_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"

	"tombola/httpapi/wire"
	"tombola/internal/testcluster"
)

// TestALowDisk has servers whose disks fill up. One that is low leads nothing
// and refuses what clients send it; the others go on. When all are low nothing
// is granted, and what was granted before still reaches MySQL.
func TestALowDisk(t *testing.T) {
	const size, floor = 128 << 20, 32 << 20
	dir := t.TempDir()
	var disks []*testcluster.SmallDisk
	for i := range 3 {
		disks = append(disks, testcluster.NewSmallDisk(t, filepath.Join(dir, "n"+strconv.Itoa(i+1)), size))
	}
	database := testcluster.MariaDB(t)
	db, err := sql.Open("mysql", database.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	c := testcluster.Start(t, testcluster.Options{Dir: dir, MySQL: database.DSN, Args: []string{"--disk-floor", "32MiB"}})
	create(t, c, "tv", counter(100_000))
	grants := make(map[wire.GrantID]string)
	grantAt := func(node, from, to int) {
		for i := from; i < to; i++ {
			grants[granted(t, c.Client(node), "tv", user(i), "r").GrantID] = user(i)
		}
	}
	grantAt(0, 0, 50)

	must(t, disks[0].Fill(floor-1<<20))
	unready(t, c, 0)
	if _, err := c.Client(0).Draw(within(t), "tv", user(50), "r"); testcluster.CodeOf(err) != wire.CodeDiskLow {
		t.Errorf("a draw at the server with the low disk: %v", err)
	}
	leadsNothing(t, c, "n1")
	grantAt(1, 50, 75)

	// Below a quarter of the floor it takes no entries any more, rather than to
	// end when the last byte is gone.
	must(t, disks[0].Fill(floor/4-1<<20))
	grantAt(1, 75, 100)
	must(t, testcluster.Until(within(t), func(context.Context) error {
		if len(c.Nodes[0].Logged("the disk is nearly full: nothi")) == 0 {
			return errors.New("it does not say that it has no room")
		}
		return nil
	}))
	grantAt(2, 100, 110)
	if !c.Nodes[0].Running() {
		t.Fatalf("the server with the full disk ended:\n%s", c.Nodes[0].Tail(5))
	}

	must(t, disks[1].Fill(floor-1<<20))
	must(t, disks[2].Fill(floor-1<<20))
	for i := range c.Nodes {
		unready(t, c, i)
		if _, err := c.Client(i).Draw(within(t), "tv", user(110), "r"); testcluster.CodeOf(err) != wire.CodeDiskLow {
			t.Errorf("a draw at server %d, all disks low: %v", i+1, err)
		}
	}
	sunk(t, c)
	holdsExactly(t, db, "tv", grants)

	for i := range disks {
		must(t, disks[i].Clear())
	}
	if err := c.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	grantAt(0, 110, 150)
	caughtUp(t, c)
	sunk(t, c)
	holdsExactly(t, db, "tv", grants)
	verified(t, c)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// unready waits until a server no longer wants draws.
func unready(t testing.TB, c *testcluster.Cluster, node int) {
	t.Helper()
	must(t, testcluster.Until(within(t), func(ctx context.Context) error {
		a, err := c.Client(node).Do(ctx, http.MethodGet, "/readyz", nil, nil)
		if err != nil {
			return err
		}
		if a.Status != http.StatusServiceUnavailable {
			return fmt.Errorf("/readyz of server %d answers %d: %s", node+1, a.Status, a.Body)
		}
		return nil
	}))
}

// leadsNothing waits until a server has handed over all that it led.
func leadsNothing(t testing.TB, c *testcluster.Cluster, node string) {
	t.Helper()
	must(t, testcluster.Until(within(t), func(ctx context.Context) error {
		state, err := c.Client(1).Cluster(ctx)
		if err != nil {
			return err
		}
		for _, g := range state.Groups {
			if g.Leader == node || g.Leader == "" {
				return fmt.Errorf("%s is led by %q", g.Name, g.Leader)
			}
		}
		return nil
	}))
}

// caughtUp waits until every replica has applied what its group has committed.
func caughtUp(t testing.TB, c *testcluster.Cluster) {
	t.Helper()
	must(t, testcluster.Until(within(t), func(ctx context.Context) error {
		state, err := c.Client(0).Cluster(ctx)
		if err != nil {
			return err
		}
		for _, g := range state.Groups {
			for _, r := range g.Replicas {
				if r.Applied < g.Committed {
					return fmt.Errorf("%s has applied %d of %d in %s", r.Node, r.Applied, g.Committed, g.Name)
				}
			}
		}
		return nil
	}))
}
