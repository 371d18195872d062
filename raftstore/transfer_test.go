package raftstore

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func TestTransferMovesTheLeadership(t *testing.T) {
	c := newCluster(t, 1, nil)
	c.propose("before")
	from, to := c.leader(), c.followers()[0]
	eventually(t, "the other is ready", func() bool { _, ok := from.group.ready(to.id); return ok })
	if err := from.group.Transfer(to.id); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other leads", func() bool { _, ok := to.group.Leading(); return ok })
	c.propose("after")
	c.agree([]string{"before", "after"})

	if err := from.group.Transfer(to.id); !errors.Is(err, ErrNotLeader) {
		t.Errorf("transfer by a follower: %v", err)
	}
	for _, id := range []string{"nobody", to.id} {
		if err := to.group.Transfer(id); !errors.Is(err, ErrNoSuccessor) {
			t.Errorf("transfer to %s: %v", id, err)
		}
	}
	c.noFatal()
}

func anybody(string) bool { return true }

func TestAFailedTransferLeavesAWorkingLeader(t *testing.T) {
	c := newCluster(t, 1, nil)
	leader, gone := c.leader(), c.followers()[0]
	eventually(t, "a first contact", func() bool { _, ok := leader.group.ready(gone.id); return ok })
	c.stop(gone) // which the leader hasn't noticed yet
	if err := leader.group.Transfer(gone.id); err == nil {
		t.Fatal("transferred to a server that is down")
	}
	c.propose("still here")
	eventually(t, "it is not tried any more", func() bool {
		return errors.Is(leader.group.Transfer(gone.id), ErrNoSuccessor)
	})
	c.noFatal()
}

func TestStepDownLeavesTheLeadToALivePeer(t *testing.T) {
	c := newCluster(t, 1, nil)
	leader, followers := c.leader(), c.followers()
	c.stop(followers[0])
	c.propose("two are enough")
	eventually(t, "the silence of the one that is down is noticed", func() bool {
		to, ok := leader.group.successor(anybody)
		return ok && to.ID == followers[1].id
	})
	if err := leader.group.StepDown(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other leads", func() bool { _, ok := followers[1].group.Leading(); return ok })
	if err := leader.group.StepDown(t.Context()); err != nil {
		t.Errorf("step down by a follower: %v", err)
	}
}

func TestLeadershipIsYieldedOnlyToEligibleMembers(t *testing.T) {
	var eligible sync.Map
	c := newCluster(t, 1, func(o *Options) {
		o.Eligible = func(server string) bool { _, ok := eligible.Load(server); return ok }
	})
	leader, followers := c.leader(), c.followers()
	eventually(t, "both others are heard of", func() bool {
		_, first := leader.group.ready(followers[0].id)
		_, second := leader.group.ready(followers[1].id)
		return first && second
	})
	leader.group.Prefer(followers[0].id)
	if err := leader.group.Yield(t.Context()); !errors.Is(err, ErrNoSuccessor) {
		t.Fatalf("yield with nobody eligible: %v", err)
	}
	c.propose("still here")
	eligible.Store(followers[1].id, true)
	if err := leader.group.Yield(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the eligible one leads", func() bool { _, ok := followers[1].group.Leading(); return ok })
	eligible.Clear()
	if err := followers[1].group.StepDown(t.Context()); err != nil {
		t.Errorf("step down with nobody eligible: %v", err)
	}
	c.noFatal()
}

func TestStepDownWithoutAPeerSaysSo(t *testing.T) {
	c := newCluster(t, 1, func(o *Options) {
		o.Bootstrap = []Server{{ID: o.Local, Addr: o.Advertise}} // each on its own
	})
	if err := c.leader().group.StepDown(t.Context()); !errors.Is(err, ErrNoSuccessor) {
		t.Errorf("got %v", err)
	}
}

func TestThePreferredServerEndsUpLeading(t *testing.T) {
	c := newCluster(t, 1, nil)
	preferred := c.followers()[0]
	for _, s := range c.servers {
		s.group.Prefer(preferred.id)
	}
	leads := func() bool { _, ok := preferred.group.Leading(); return ok }
	eventually(t, "the preferred server leads", leads)
	// It gets the leadership back after having been away.
	c.stop(preferred)
	c.propose("while away")
	c.restart(preferred)
	eventually(t, "the preferred server leads again", leads)
	c.agree([]string{"while away"})
	c.noFatal()
}

// fakeBalance is a balance on a made-up clock.
type fakeBalance struct {
	*balance
	now      time.Time
	leads    bool
	since    time.Time
	ready    bool
	attempts int
}

func newFakeBalance(t *testing.T) *fakeBalance {
	f := &fakeBalance{now: time.Unix(1000, 0), leads: true, ready: true}
	f.since = f.now
	f.balance = &balance{
		local:    "a",
		election: time.Second,
		leading:  func() (uint64, time.Time, bool) { return 1, f.since, f.leads },
		ready:    func(server string) bool { return server == "b" && f.ready },
		transfer: func(string) error { f.attempts++; return errors.New("refused") },
		logger:   testLogger(t),
	}
	f.prefer("b")
	return f
}

func (f *fakeBalance) run(seconds int) {
	for range seconds {
		f.now = f.now.Add(time.Second)
		f.step(f.now)
	}
}

func TestBalanceIsPatient(t *testing.T) {
	t.Run("settles first", func(t *testing.T) {
		f := newFakeBalance(t)
		if f.run(balanceSettle - 1); f.attempts != 0 {
			t.Fatal("gave away a leadership that was just won")
		}
		if f.run(1); f.attempts != 1 {
			t.Fatal("never tried")
		}
	})
	t.Run("attempts become rare", func(t *testing.T) {
		f := newFakeBalance(t)
		if f.run(3600); f.attempts < 10 || f.attempts > 40 {
			t.Fatalf("%d attempts in 3600 election timeouts", f.attempts)
		}
		// Once the leadership has stayed away, the next move is quick again.
		f.leads = false
		f.run(balanceCalm + 1)
		f.leads, f.since, f.attempts = true, f.now, 0
		f.run(balanceSettle + balanceCalm)
		first := f.attempts
		if first < 3 {
			t.Fatalf("%d attempts after a calm time", first)
		}
	})
	for name, edit := range map[string]func(*fakeBalance){
		"nobody preferred":     func(f *fakeBalance) { f.prefer("") },
		"itself preferred":     func(f *fakeBalance) { f.prefer("a") },
		"a stranger preferred": func(f *fakeBalance) { f.prefer("z") },
		"not leading":          func(f *fakeBalance) { f.leads = false },
		"not ready":            func(f *fakeBalance) { f.ready = false },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeBalance(t)
			edit(f)
			if f.run(100); f.attempts != 0 {
				t.Fatal("tried to hand over")
			}
		})
	}
}

func TestAWedgedTransferIsReported(t *testing.T) {
	rejected := fmt.Errorf("wrapped: %w", raft.ErrLeadershipTransferInProgress)
	start := time.Unix(1000, 0)
	w := &wedge{limit: time.Second}
	for i, step := range []struct {
		after time.Duration
		err   error
		want  time.Duration
	}{
		{0, nil, 0},
		{1 * time.Second, rejected, 0},
		{2 * time.Second, rejected, time.Second},
		{3 * time.Second, raft.ErrNotLeader, 0}, // it ended after all
		{99 * time.Second, rejected, 0},
		{102 * time.Second, rejected, 3 * time.Second},
	} {
		if got := w.stuck(step.err, start.Add(step.after)); got != step.want {
			t.Errorf("step %d: stuck for %v, want %v", i, got, step.want)
		}
	}
	var reports atomic.Int32
	w = &wedge{fail: func(err error) {
		if errors.Is(err, raft.ErrLeadershipTransferInProgress) {
			reports.Add(1)
		}
	}}
	w.observe(rejected)
	eventually(t, "a report", func() bool { w.observe(rejected); return reports.Load() > 0 })
}
