package e2e_test

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"tombola/bench/chaos"
	"tombola/internal/testcluster"
)

var (
	// killRounds is how often a server is killed: a few times to see that
	// nothing is lost, twenty times to measure.
	killRounds   = flag.Int("rounds", 3, "how many times TestKilledServers kills a server")
	killDir      = flag.String("kill-dir", "", "where TestKilledServers leaves the nodes' data and logs")
	killElection = flag.Duration("kill-election", 0, "--election-timeout of TestKilledServers")
	killConns    = flag.Int("kill-conns", 8, "connections of TestKilledServers for each slice")
)

const awayFor = 2 * time.Second

// killed is a cluster that is about to lose servers.
type killed struct {
	*testcluster.Cluster
	db *sql.DB
}

func newKilled(t *testing.T, o testcluster.Options) *killed {
	database := testcluster.MariaDB(t)
	db, err := sql.Open("mysql", database.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	o.MySQL = database.DSN
	c := &killed{testcluster.Start(t, o), db}
	if err := c.WaitSpread(within(t)); err != nil {
		t.Fatal(err)
	}
	return c
}

// under runs fault while draws of a prize go on, which must all be granted, and
// once, and be in MySQL.
func (c *killed) under(t *testing.T, prize string, fault func(ctx context.Context, l *chaos.Load) (*chaos.Fault, error)) (*chaos.Fault, *chaos.Load) {
	t.Helper()
	ctx := within(t)
	create(t, c.Cluster, prize, counter(100_000_000))
	l, err := chaos.NewLoad(ctx, chaos.Options{Nodes: c.Clients(), Prize: prize, Slices: len(c.Nodes), Workers: *killConns})
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.Run(running)
	}()
	f, err := fault(ctx, l)
	stop()
	<-ended
	if err != nil {
		t.Fatal(err)
	}
	sunk(t, c.Cluster)
	rows, err := chaos.SendLog(ctx, c.db, prize)
	if err != nil {
		t.Fatal(err)
	}
	f.Judge(l, chaos.Judge(l.Draws(), rows))
	t.Log(f)
	if v := f.Verdict; !v.Clean() || v.Granted == 0 {
		t.Errorf("%+v", v)
	}
	return f, l
}

// TestKilledServers kills one server after the other as a crash would, each of
// which leads a slice and one the bank, and lets it return.
func TestKilledServers(t *testing.T) {
	c := newKilled(t, testcluster.Options{Dir: *killDir, Election: *killElection})
	var led, others []time.Duration
	noticed := 0
	for round := range *killRounds {
		victim := round % len(c.Nodes)
		name := fmt.Sprintf("round %d kills n%d", round+1, victim+1)
		ok := t.Run(name, func(t *testing.T) {
			f, _ := c.under(t, "kill-"+strconv.Itoa(round), func(ctx context.Context, l *chaos.Load) (*chaos.Fault, error) {
				return chaos.Kill(ctx, c.Cluster, l, []int{victim}, awayFor)
			})
			if len(f.Silent) == 0 {
				t.Errorf("%s led no slice", f.Name)
			}
			if !f.OthersGranted() {
				t.Errorf("a slice that %s did not lead stopped with it", f.Name)
			}
			if len(f.Late) > 0 {
				noticed++
			}
			l, o := f.Longest()
			led, others = append(led, l), append(others, o)
		})
		if !ok {
			break
		}
	}
	verified(t, c.Cluster)
	if len(led) == 0 {
		return
	}
	// On a busy machine a leadership may be lost beside it, but not each time.
	t.Logf("clients noticed something of %d of %d returns", noticed, len(led))
	if noticed == len(led) {
		t.Error("no leadership went back without an error that a client saw")
	}
	slices.Sort(led)
	slices.Sort(others)
	t.Logf("longest silence in each of %d rounds: of the killed leader's slice median %v, max %v; of the others median %v, max %v",
		len(led), at(led, 0.5), led[len(led)-1], at(others, 0.5), others[len(others)-1])
}

// TestAllServersKilled kills all at once. What was acknowledged is there when
// they are back, and the same request ids get the same grants.
func TestAllServersKilled(t *testing.T) {
	c := newKilled(t, testcluster.Options{})
	_, l := c.under(t, "all", func(ctx context.Context, l *chaos.Load) (*chaos.Fault, error) {
		return chaos.Kill(ctx, c.Cluster, l, []int{0, 1, 2}, 0)
	})
	draws := l.Draws()
	if err := l.Again(within(t), draws, len(draws)/200+1); err != nil {
		t.Error(err)
	}
	sunk(t, c.Cluster)
	verified(t, c.Cluster)
}
