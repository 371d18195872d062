package e2e_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tombola/bench/chaos"
	"tombola/internal/testcluster"
)

// TestAServerReturnsBySnapshot has a server come back under load after the
// others have cut their logs: it has to be given snapshots. MySQL hangs from
// before it leaves until it leads alone what another one led, so that it has to
// drain events that it knows from a snapshot only.
func TestAServerReturnsBySnapshot(t *testing.T) {
	c := newKilled(t, testcluster.Options{Args: []string{"--snapshot-bytes", "64KiB"}})
	create(t, c.Cluster, "away", counter(100_000_000))
	ctx := within(t)
	l, err := chaos.NewLoad(ctx, chaos.Options{Nodes: c.Clients(), Prize: "away", Slices: 3, Workers: *killConns})
	if err != nil {
		t.Fatal(err)
	}
	hung, err := c.db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer hung.Rollback() //nolint:errcheck // it ends below
	if _, err := hung.ExecContext(ctx, "UPDATE sink_checkpoint SET last_seq = last_seq"); err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.Run(running)
	}()
	defer func() { stop(); <-ended }()
	away, err := chaos.StayAway(ctx, c.Cluster, l, 2, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(away)
	given := c.Nodes[2].Logged("from=leader")
	if len(given) < 3 {
		t.Errorf("n3 was given %d snapshots, want one of each slice", len(given))
	}
	stop()
	<-ended

	c.Nodes[1].Kill()
	if err := testcluster.Until(ctx, func(ctx context.Context) error {
		status, err := c.Client(2).Cluster(ctx)
		if err != nil {
			return err
		}
		if g := status.Groups[2]; g.Leader != "n3" {
			return fmt.Errorf("%s is led by %q", g.Name, g.Leader)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := hung.Rollback(); err != nil {
		t.Fatal(err)
	}
	draws := l.Draws()
	if err := l.Again(ctx, draws, len(draws)/100+1); err != nil {
		t.Error(err)
	}
	sunk(t, c.Cluster)
	rows, err := chaos.SendLog(ctx, c.db, "away")
	if err != nil {
		t.Fatal(err)
	}
	if v := chaos.Judge(draws, rows); !v.Clean() || v.Granted == 0 {
		t.Errorf("%+v", v)
	}
	verified(t, c.Cluster)
}
