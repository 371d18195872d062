package raftstore

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func TestMembersAskForVotesInTheirOrder(t *testing.T) {
	turns := func(leader string) []time.Duration {
		var all []time.Duration
		for _, local := range []string{"c", "a", "b", "stranger"} {
			p := &prompt{local: local, order: []string{"c", "a", "b"}, election: turnParts * time.Second}
			if leader != "" {
				p.leader.Store(&leader)
			}
			all = append(all, p.turn()/time.Second)
		}
		return all
	}
	for leader, want := range map[string][]time.Duration{
		"":  {0, 1, 2, 3},
		"c": {0, 0, 1, 2}, // c itself asks for nothing then
		"a": {0, 1, 1, 2},
		"z": {0, 1, 2, 3},
	} {
		for i, got := range turns(leader) {
			if got != want[i] {
				t.Errorf("after leader %q: member %d waits %d parts, want %d", leader, i, got, want[i])
			}
		}
	}
}

// TestAPeerThatStillBelievesInTheLeaderIsAskedAgain has a peer refuse the first
// pre-votes, as one does that has heard from the leader a moment later.
func TestAPeerThatStillBelievesInTheLeaderIsAskedAgain(t *testing.T) {
	peer, peerSide := newTestTransport(t)
	asking, _ := newTestTransport(t)
	asking.prompt = &prompt{local: "a", order: []string{"a"}, election: 10 * time.Second}
	var asked atomic.Int32
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case rpc := <-peer.Consumer():
				req := rpc.Command.(*raft.RequestPreVoteRequest)
				rpc.Respond(&raft.RequestPreVoteResponse{RPCHeader: req.RPCHeader, Term: req.Term, Granted: asked.Add(1) == 3}, nil)
			case <-done:
				return
			}
		}
	}()
	var resp raft.RequestPreVoteResponse
	args := &raft.RequestPreVoteRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}, Term: 7}
	if err := asking.RequestPreVote("b", raft.ServerAddress(peerSide), args, &resp); err != nil {
		t.Fatal(err)
	}
	if !resp.Granted || asked.Load() != 3 {
		t.Errorf("granted %v after %d times", resp.Granted, asked.Load())
	}
}

func newTestTransport(t *testing.T) (*transport, string) {
	t.Helper()
	tcp, err := raft.NewTCPTransport("127.0.0.1:0", nil, 1, 10*time.Second, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tcp.Close() })
	return &transport{NetworkTransport: tcp, peers: newPeers()}, string(tcp.LocalAddr())
}

// TestADeadLeaderIsMissedWithoutRaftsOwnClock leaves Raft's own clock a minute
// between two looks.
func TestADeadLeaderIsMissedWithoutRaftsOwnClock(t *testing.T) {
	c := newCluster(t, 1, func(o *Options) { o.Election = time.Second })
	leader, followers := c.leader(), c.followers()
	c.propose("before")
	for _, f := range followers {
		conf := f.group.raft.ReloadableConfig()
		conf.HeartbeatTimeout, conf.ElectionTimeout = time.Minute, time.Minute
		if err := f.group.raft.ReloadConfig(conf); err != nil {
			t.Fatal(err)
		}
	}
	c.stop(leader)
	c.propose("after")
	c.agree([]string{"before", "after"})
	c.noFatal()
}
