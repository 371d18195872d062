package raftstore

import (
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// Raft's followers look at the clock at random, once in one to two election
// timeouts, and vote for nobody while they believe in a leader themselves. So
// it may take three timeouts until two of them agree that a leader is gone, and
// one more where one asked the other too early. Here they look all the time, and
// ask again; what keeps two of them from asking at once, for which Raft has its
// randomness, is their order.
const (
	lookParts  = 20 // a follower looks that often in an election timeout
	askParts   = 20 // a candidate asks that often in an election timeout
	turnParts  = 4  // each member before it in the order has a candidate wait for a part
	askForPart = 2  // a candidate goes on asking for that part of an election timeout
)

// prompt has elections begin as soon as they may. It only ever moves the moment
// at which Raft does what it does anyway.
type prompt struct {
	local    string
	order    []string // the members; who is first should lead next
	election time.Duration

	raft   atomic.Pointer[raft.Raft] // nil until it runs
	leader atomic.Pointer[string]    // the last one known
}

// run looks after the leader until stop is closed.
func (p *prompt) run(stop <-chan struct{}) {
	ticker := time.NewTicker(p.election / lookParts)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		r := p.raft.Load()
		_, id := r.LeaderWithID()
		if id == "" {
			continue
		}
		if known := p.leader.Load(); known == nil || *known != string(id) {
			leader := string(id)
			p.leader.Store(&leader)
		}
		if r.State() == raft.Follower && time.Since(r.LastContact()) >= p.election {
			look(r, p.election)
		}
	}
}

// heartbeatTimeout is Raft's setting; the timeout itself is election. It is a
// little more so that it can be lowered.
func heartbeatTimeout(election time.Duration) time.Duration { return election + time.Millisecond }

// look has a follower look at once whether its leader has been silent for too
// long: that is what Raft does when its heartbeat timeout is lowered.
func look(r *raft.Raft, election time.Duration) {
	conf := r.ReloadableConfig()
	for _, conf.HeartbeatTimeout = range []time.Duration{heartbeatTimeout(election), election} {
		_ = r.ReloadConfig(conf) // it was valid before; otherwise Raft looks later
	}
}

// turn is how long this server waits before it asks for votes.
func (p *prompt) turn() time.Duration {
	before := 0
	leader := p.leader.Load()
	for _, id := range p.order {
		if id == p.local {
			break
		}
		if leader == nil || *leader != id {
			before++
		}
	}
	return time.Duration(before) * p.election / turnParts
}

// over reports whether this server wants no votes any more.
func (p *prompt) over() bool {
	r := p.raft.Load()
	return r != nil && r.State() != raft.Candidate
}

// RequestPreVote implements raft.WithPreVote. A peer that has not yet noticed
// what this server has will in a moment, so it is asked again; who is to lead
// next asks first.
func (t *transport) RequestPreVote(id raft.ServerID, target raft.ServerAddress,
	args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	p := t.prompt
	time.Sleep(p.turn())
	var answer raft.RequestPreVoteResponse
	var err error
	for end := time.Now().Add(p.election / askForPart); !p.over(); time.Sleep(p.election / askParts) {
		answer = raft.RequestPreVoteResponse{}
		err = t.NetworkTransport.RequestPreVote(id, target, args, &answer)
		if err != nil || answer.Granted || answer.Term > args.Term || time.Now().After(end) {
			break
		}
	}
	*resp = answer
	return err
}
