package raftstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// ErrNoSuccessor is wrapped by the errors of Transfer and StepDown when the
// member that should take over isn't one, doesn't answer or is behind.
var ErrNoSuccessor = errors.New("no member ready to take over")

// successorLag is how many entries a successor may be behind. Raft brings it
// up to date before it hands over, and accepts nothing meanwhile.
const successorLag = 64

// Transfer hands the leadership to another member and returns once this server
// has let go of it. Proposals fail with ErrNotLeader meanwhile, for two
// election timeouts at most. When the member does not take over this server
// leads on and Transfer returns an error; it wraps ErrNotLeader when this
// server didn't lead in the first place, and ErrNoSuccessor when it was not
// even tried.
func (g *Group) Transfer(server string) error {
	if !g.gate.enter() {
		return fmt.Errorf("raftstore: transfer: %w (%w)", ErrNotLeader, errClosing)
	}
	defer g.gate.leave()
	if g.raft.State() != raft.Leader {
		return fmt.Errorf("raftstore: transfer: %w", ErrNotLeader)
	}
	// A transfer to a server that hangs stalls the group, and several of them
	// are how a transfer comes to never end; so ask for a sign of life first.
	to, ok := g.ready(server)
	if !ok {
		return fmt.Errorf("raftstore: transfer to %q: %w", server, ErrNoSuccessor)
	}
	return g.transfer(to)
}

// ready returns the peer if it has answered lately, is up to date and is being
// sent what it lacks. One that has just come back answers heartbeats up to ten
// seconds before that: a transfer to it would time out, and the next one after
// that never end.
func (g *Group) ready(server string) (Server, bool) {
	for _, p := range g.peerStatus() {
		if p.ID == server {
			alive := p.Voter && time.Since(p.LastContact) < g.opts.Election && g.trans.peers.get(server).missed == 0
			return p.Server, alive && p.LastIndex+successorLag >= g.raft.LastIndex()
		}
	}
	return Server{}, false
}

func (g *Group) transfer(to Server) error {
	err := g.await(g.raft.LeadershipTransferToServer(raft.ServerID(to.ID), raft.ServerAddress(to.Addr)))
	if err == nil {
		return nil
	}
	g.probe()
	if errors.Is(err, raft.ErrNotLeader) {
		err = fmt.Errorf("%w (%w)", ErrNotLeader, err)
	}
	return fmt.Errorf("raftstore: transfer to %s: %w", to.ID, err)
}

// probe returns once the leader accepts entries again after a transfer that
// failed, or leads no more, or the wedge was reported.
func (g *Group) probe() {
	for g.fault.cause() == nil {
		if err := g.barrier(); !errors.Is(err, raft.ErrLeadershipTransferInProgress) {
			return
		}
		time.Sleep(g.opts.Election / 10)
	}
}

// StepDown hands the leadership to whichever member is best prepared, and
// returns nil once this server doesn't lead. It tries until ctx ends, for as
// long as any other member answers. It is meant for a graceful stop, and so
// takes a member that is not eligible where no other answers.
func (g *Group) StepDown(ctx context.Context) error {
	return g.handOver(ctx, "step down", func() (Server, bool) {
		if to, ok := g.successor(g.eligible); ok {
			return to, true
		}
		return g.successor(func(string) bool { return true })
	})
}

// Yield is StepDown for a server that goes on: it leads until an eligible
// member answers, and returns ErrNoSuccessor at once while there is none.
func (g *Group) Yield(ctx context.Context) error {
	return g.handOver(ctx, "yield", func() (Server, bool) { return g.successor(g.eligible) })
}

// handOver transfers the leadership to the successor of the moment until this
// server doesn't lead any more.
func (g *Group) handOver(ctx context.Context, what string, successor func() (Server, bool)) error {
	for g.raft.State() == raft.Leader {
		to, ok := successor()
		if !ok {
			return fmt.Errorf("raftstore: %s: %w", what, ErrNoSuccessor)
		}
		err := g.Transfer(to.ID)
		if err == nil || errors.Is(err, ErrNotLeader) {
			continue
		}
		g.opts.Logger.Warn("handing over the leadership failed", "to", to.ID, "error", err)
		select {
		case <-time.After(g.opts.Election / 2):
		case <-ctx.Done():
			return fmt.Errorf("raftstore: %s: %w (%w)", what, ctx.Err(), err)
		}
	}
	return nil
}

func (g *Group) eligible(server string) bool {
	return g.opts.Eligible == nil || g.opts.Eligible(server)
}

// successor returns the peer with the longest log among those that answered
// lately, ready or not, and that may be chosen; one that is sent entries goes
// before one that is not yet.
func (g *Group) successor(may func(server string) bool) (Server, bool) {
	var best PeerStatus
	missed := 0 // by best
	for _, p := range g.peerStatus() {
		if !p.Voter || time.Since(p.LastContact) >= g.opts.Election || !may(p.ID) {
			continue
		}
		misses := min(g.trans.peers.get(p.ID).missed, 1)
		if best.ID == "" || misses < missed || misses == missed && p.LastIndex > best.LastIndex {
			best, missed = p, misses
		}
	}
	return best.Server, best.ID != ""
}

// wedge notices a leadership transfer that never ends: Raft then rejects every
// entry for ever while its heartbeats keep the others from electing anybody.
type wedge struct {
	limit time.Duration
	fail  func(error)

	mu    sync.Mutex
	since time.Time // of the first rejection in a row
}

// reset forgets what an earlier leadership rejected: that it ended with its
// transfer is as it should be.
func (w *wedge) reset() { w.stuck(nil, time.Time{}) }

// observe takes the result of anything that was sent to the leader's log.
func (w *wedge) observe(err error) {
	if took := w.stuck(err, time.Now()); took > w.limit {
		w.fail(fmt.Errorf("a leadership transfer has not ended for %v: %w", took, err))
	}
}

// stuck returns for how long everything has been rejected.
func (w *wedge) stuck(err error, now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !errors.Is(err, raft.ErrLeadershipTransferInProgress):
		w.since = time.Time{}
	case w.since.IsZero():
		w.since = now
	default:
		return now.Sub(w.since)
	}
	return 0
}
