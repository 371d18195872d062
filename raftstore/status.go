package raftstore

import (
	"strconv"
	"time"

	"github.com/hashicorp/raft"
)

// Status describes the group as this server sees it.
type Status struct {
	State         string // "Follower", "Candidate", "Leader" or "Shutdown"
	Term          uint64
	Leader        string // server id, or "" when none is known
	Leading       bool   // this server leads and its barrier is behind it
	LastIndex     uint64 // of this server's log
	CommitIndex   uint64
	AppliedIndex  uint64
	SnapshotIndex uint64 // what the last snapshot covers
	BytesLogged   int64  // entries appended to the log since the process started
	BytesPending  int64  // entries applied since the last snapshot
	LastContact   time.Time
	Installs      uint64 // snapshots that leaders had this server install since the process started
	Sent          uint64 // snapshots that peers were sent and have installed since then
	Peers         []PeerStatus
}

// PeerStatus describes another member. Contact and index are known to leaders,
// and remembered from when this server last led.
type PeerStatus struct {
	Server
	Voter       bool
	LastContact time.Time // when it last answered this server; zero: never
	LastIndex   uint64    // of its log, then
}

// Status returns the group's state. The numbers are read one after the other,
// so they may be an instant apart.
func (g *Group) Status() Status {
	leader, _ := g.Leader()
	_, leading := g.Leading()
	snapshot, _ := strconv.ParseUint(g.raft.Stats()["last_snapshot_index"], 10, 64)
	return Status{
		State:         g.raft.State().String(),
		Term:          g.raft.CurrentTerm(),
		Leader:        leader,
		Leading:       leading,
		LastIndex:     g.raft.LastIndex(),
		CommitIndex:   g.raft.CommitIndex(),
		AppliedIndex:  g.raft.AppliedIndex(),
		SnapshotIndex: snapshot,
		BytesLogged:   g.store.appended.Load(),
		BytesPending:  g.fsm.unsnapped.Load(),
		LastContact:   g.raft.LastContact(),
		Installs:      g.fsm.installs.total.Load(),
		Sent:          g.trans.sent.total.Load(),
		Peers:         g.peerStatus(),
	}
}

// Servers returns the members of the group, this server included, as they
// stand in its configuration.
func (g *Group) Servers() []Server {
	members := g.members()
	servers := make([]Server, 0, len(members))
	for _, s := range members {
		servers = append(servers, Server{ID: string(s.ID), Addr: string(s.Address)})
	}
	return servers
}

func (g *Group) members() []raft.Server {
	// The latest configuration is kept for readers, so this never waits or
	// fails.
	return g.raft.GetConfiguration().Configuration().Servers
}

func (g *Group) peerStatus() []PeerStatus {
	var all []PeerStatus
	for _, s := range g.members() {
		if string(s.ID) == g.opts.Local {
			continue
		}
		c := g.trans.peers.get(string(s.ID))
		all = append(all, PeerStatus{
			Server:      Server{ID: string(s.ID), Addr: string(s.Address)},
			Voter:       s.Suffrage == raft.Voter,
			LastContact: c.at,
			LastIndex:   c.last,
		})
	}
	return all
}
