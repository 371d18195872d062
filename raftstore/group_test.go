package raftstore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tombola/raftstore/mux"
)

func TestEveryMemberAppliesTheSame(t *testing.T) {
	c := newCluster(t, 1, nil)
	leader := c.leader()
	want := texts("entry", 50)
	for i, text := range want {
		var r receipt
		if err := leader.group.Propose(entry(text), &r); err != nil {
			t.Fatal(err)
		}
		if r.position != i+1 {
			t.Fatalf("%s was applied at %d", text, r.position)
		}
	}
	c.agree(want)
	// What the proposer passed along reached its own machine only.
	for _, s := range c.servers {
		receipts, _ := s.machine.counts()
		if s == leader && receipts != len(want) || s != leader && receipts != 0 {
			t.Errorf("%s saw %d receipts", s.id, receipts)
		}
	}
	c.noFatal()
}

func TestThreeGroupsShareThreeServers(t *testing.T) {
	one := newCluster(t, 1, nil)
	clusters := []*cluster{one}
	for number := uint16(2); number <= 3; number++ {
		c := &cluster{t: t, number: number, id: one.id, logger: one.logger}
		for _, s := range one.servers {
			c.servers = append(c.servers, &server{
				id: s.id, addr: s.addr, mux: s.mux, dir: filepath.Join(t.TempDir(), "group"),
			})
		}
		t.Cleanup(c.close)
		for _, s := range c.servers {
			c.open(s)
		}
		clusters = append(clusters, c)
	}
	var wg sync.WaitGroup
	for i, c := range clusters {
		leader := c.leader()
		wg.Go(func() {
			for _, text := range texts(strings.Repeat("g", i+1), 20) {
				if err := leader.group.Propose(entry(text), nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i, c := range clusters {
		c.agree(texts(strings.Repeat("g", i+1), 20))
		c.noFatal()
	}
}

func TestOnlyTheLeaderProposesAndVerifies(t *testing.T) {
	c := newCluster(t, 1, nil)
	leader := c.leader()
	if err := leader.group.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range c.followers() {
		if err := s.group.Propose(entry("no"), nil); !errors.Is(err, ErrNotLeader) || errors.Is(err, ErrUnknown) {
			t.Errorf("propose on a follower: %v", err)
		}
		if err := s.group.Verify(t.Context()); !errors.Is(err, ErrNotLeader) {
			t.Errorf("verify on a follower: %v", err)
		}
		eventually(t, "followers know the leader", func() bool {
			id, ok := s.group.Leader()
			return ok && id == leader.id
		})
	}
	if err := leader.group.Propose([]byte("short"), nil); !errors.Is(err, ErrNotLeader) {
		t.Errorf("an entry without headroom: %v", err)
	}
	c.agree(nil)
}

func TestTheNextLeaderBeginsAfterTheBarrier(t *testing.T) {
	c := newCluster(t, 1, nil)
	want := texts("before", 10)
	for _, text := range want {
		c.propose(text)
	}
	first := c.leader()
	c.stop(first)
	second := c.leader()
	c.mu.Lock()
	last := c.reigns[len(c.reigns)-1]
	c.mu.Unlock()
	if last.server != second.id || last.seen != len(want) {
		t.Errorf("the last reign is %+v, want %s after %d entries", last, second.id, len(want))
	}
	if term, ok := second.group.Leading(); !ok || term != last.term || term < 2 {
		t.Errorf("leading %d, %v; want term %d", term, ok, last.term)
	}
	c.propose("after")
	c.agree(append(want, "after"))
}

func TestALostMajorityEndsTheReign(t *testing.T) {
	c := newCluster(t, 1, nil)
	leader := c.leader()
	for _, s := range c.followers() {
		c.stop(s)
	}
	eventually(t, "Lead is told", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.active == 0
	})
	if _, ok := leader.group.Leading(); ok {
		t.Error("still leading alone")
	}
	if err := leader.group.Propose(entry("alone"), nil); !errors.Is(err, ErrNotLeader) {
		t.Errorf("propose without a majority: %v", err)
	}
}

func TestAnEntryWithoutAMajorityIsUnknown(t *testing.T) {
	// A long lease leaves time to propose before the leader notices.
	c := newCluster(t, 1, func(o *Options) { o.Election = 600 * time.Millisecond })
	leader := c.leader()
	for _, s := range c.followers() {
		c.stop(s)
	}
	err := leader.group.Propose(entry("who knows"), new(receipt))
	if !errors.Is(err, ErrUnknown) || errors.Is(err, ErrNotLeader) {
		t.Fatalf("got %v", err)
	}
}

func TestARestartReplaysTheLog(t *testing.T) {
	c := newCluster(t, 1, nil)
	want := texts("kept", 20)
	for _, text := range want {
		c.propose(text)
	}
	for _, s := range c.servers {
		c.stop(s)
	}
	for _, s := range c.servers {
		c.restart(s)
	}
	c.leader()
	c.agree(want)
	c.propose("more")
	c.agree(append(want, "more"))
	if n := len(c.leader().group.Servers()); n != 3 {
		t.Errorf("%d servers after the restart", n)
	}
}

func TestAFollowerThatWasAwayGetsTheSnapshot(t *testing.T) {
	c := newCluster(t, 1, nil)
	away := c.followers()[0]
	c.propose("first")
	c.stop(away)
	want := []string{"first"}
	// More than stay in the log after a snapshot.
	for _, text := range texts("missed", trailingEntries+50) {
		c.propose(text)
		want = append(want, text)
	}
	for _, s := range c.servers {
		if s != away {
			if err := s.group.Snapshot(); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.restart(away)
	c.agree(want)
	if _, restores := away.machine.counts(); restores != 1 {
		t.Errorf("%d restores", restores)
	}
	// And it starts from there the next time.
	c.stop(away)
	c.restart(away)
	c.propose("last")
	c.agree(append(want, "last"))
	c.noFatal()
}

func TestSnapshotsComeByBytesAndByTime(t *testing.T) {
	for name, edit := range map[string]func(*Options){
		"bytes": func(o *Options) { o.SnapshotBytes = 64 << 10 },
		"time":  func(o *Options) { o.SnapshotEvery = 50 * time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 1, edit)
			c.propose(large(70 << 10))
			for _, s := range c.servers {
				eventually(t, "a snapshot", func() bool {
					status := s.group.Status()
					return status.SnapshotIndex > 0 && status.BytesPending == 0
				})
			}
		})
	}
}

func TestAServerOfAnotherClusterIsKeptOut(t *testing.T) {
	c := newCluster(t, 1, nil)
	c.propose("ours")
	stranger, err := mux.Listen(mux.Config{
		Addr: "127.0.0.1:0", ClusterID: mux.ClusterID{99}, Server: "stranger", Logger: c.logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stranger.Close() }()
	_, err = stranger.Dial(t.Context(), mux.KindRaft, 1, c.leader().addr)
	if !errors.Is(err, mux.ErrRefused) || !strings.Contains(err.Error(), "another cluster") {
		t.Fatalf("got %v", err)
	}
}

func TestAMachineThatFailsEndsTheProcessOnce(t *testing.T) {
	c := newCluster(t, 1, nil)
	c.propose("good")
	leader := c.leader()
	broken := errors.New("broken on purpose")
	leader.machine.mu.Lock()
	leader.machine.broken = broken
	leader.machine.mu.Unlock()
	for range 3 {
		err := leader.group.Propose(entry("bad"), new(receipt))
		if !errors.Is(err, ErrUnknown) || !errors.Is(err, broken) {
			t.Fatalf("propose: %v", err)
		}
	}
	if err := <-leader.fatal; !errors.Is(err, broken) {
		t.Fatalf("fatal: %v", err)
	}
	select {
	case err := <-leader.fatal:
		t.Fatalf("reported twice: %v", err)
	default:
	}
	if err := leader.group.Snapshot(); err == nil {
		t.Error("a snapshot covers the entry that failed")
	}
}

func TestAFailingLogEndsTheProcess(t *testing.T) {
	c := newCluster(t, 1, nil)
	leader := c.leader()
	if err := leader.group.store.bolt.Close(); err != nil {
		t.Fatal(err)
	}
	if err := leader.group.Propose(entry("lost"), nil); !errors.Is(err, ErrUnknown) {
		t.Fatalf("propose: %v", err)
	}
	if err := <-leader.fatal; !strings.Contains(err.Error(), "log store") {
		t.Fatalf("fatal: %v", err)
	}
}

func TestShutdownIsIdempotentAndFinal(t *testing.T) {
	c := newCluster(t, 1, nil)
	leader := c.leader()
	g := leader.group
	c.stop(leader)
	if err := g.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := g.Propose(entry("late"), nil); !errors.Is(err, ErrNotLeader) {
		t.Errorf("propose: %v", err)
	}
	if err := g.Verify(t.Context()); !errors.Is(err, ErrNotLeader) {
		t.Errorf("verify: %v", err)
	}
	if err := g.Transfer(c.servers[0].id); err == nil {
		t.Error("transferred")
	}
	if s := g.Status(); s.State != "Shutdown" || s.Leading {
		t.Errorf("status %+v", s)
	}
}

func TestShutdownDuringProposalsLeavesNoneHanging(t *testing.T) {
	c := newCluster(t, 1, nil)
	leader := c.leader()
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := make(map[string]bool)
	for _, worker := range []string{"a", "b", "c", "d"} {
		wg.Go(func() {
			for _, text := range texts(worker, 1000) {
				err := leader.group.Propose(entry(text), new(receipt))
				if err != nil {
					return
				}
				mu.Lock()
				done[text] = true
				mu.Unlock()
			}
		})
	}
	eventually(t, "some are done", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(done) > 20
	})
	if err := leader.group.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	leader.group = nil
	c.propose("end")
	kept := c.leader().machine.list()
	for text := range done {
		if !slices.Contains(kept, text) {
			t.Errorf("%s was acknowledged and is gone", text)
		}
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	m, err := mux.Listen(mux.Config{Addr: "127.0.0.1:0", Server: "a", Logger: testLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*Options){
		"no directory":     func(o *Options) { o.Dir = "" },
		"a file there":     func(o *Options) { o.Dir = file },
		"no machine":       func(o *Options) { o.Machine = nil },
		"no id":            func(o *Options) { o.Local = "" },
		"no address":       func(o *Options) { o.Advertise = "" },
		"hasty elections":  func(o *Options) { o.Election = time.Millisecond },
		"negative trigger": func(o *Options) { o.SnapshotBytes = -1 },
		"member twice":     func(o *Options) { o.Bootstrap = []Server{{"a", "x:1"}, {"a", "x:1"}} },
	} {
		t.Run(name, func(t *testing.T) {
			opts := Options{
				Group: 4, Dir: filepath.Join(t.TempDir(), "g"), Local: "a", Advertise: m.Addr().String(),
				Layer: m.StreamLayer(4), Machine: new(register), Logger: testLogger(t),
				Bootstrap: []Server{{"a", m.Addr().String()}},
				Fatal:     func(err error) { t.Errorf("fatal: %v", err) },
			}
			edit(&opts)
			g, err := Open(opts)
			if err == nil {
				_ = g.Shutdown(context.Background())
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), "raftstore: open group 4: ") {
				t.Errorf("error %q", err)
			}
		})
	}
}
