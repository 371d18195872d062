package raftstore

import (
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// pooled connections to each peer: heartbeats, replication and votes have
	// one each, so that none waits for another.
	pooledConns = 3
	// rpcTime bounds one message and its answer; snapshots get longer by size.
	rpcTime = 10 * time.Second
)

// transport is Raft's network transport, watched: what followers answer to
// heartbeats tells how far each of them is, which Raft itself keeps to itself.
// Embedding keeps the transport's optional methods, pre-vote above all.
type transport struct {
	*raft.NetworkTransport
	peers    *peers
	prompt   *prompt
	patience time.Duration // for a peer to take over
	sent     *installs     // snapshots that peers were sent
	room     *roomGate     // nil: everything is let in
}

var (
	errTakeover = errors.New("raftstore: the peer did not answer the request to take over")
	errNoRoute  = errors.New("raftstore: no address is known")
)

// Consumer implements raft.Transport.
func (t *transport) Consumer() <-chan raft.RPC {
	if t.room != nil {
		return t.room.out
	}
	return t.NetworkTransport.Consumer()
}

// AppendEntries implements raft.Transport.
func (t *transport) AppendEntries(id raft.ServerID, target raft.ServerAddress,
	args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	for {
		var answer raft.AppendEntriesResponse
		err := t.NetworkTransport.AppendEntries(id, target, args, &answer)
		*resp = answer
		if err == nil && answer.Term <= args.Term {
			t.peers.heard(string(id), answer.LastLog, time.Now())
		}
		if heartbeat(args) {
			return err
		}
		missed := t.peers.replicated(string(id), err == nil)
		if missed < restAfter || hasNoRoom(err) || !t.awaitReturn(string(id), args.Term) {
			return err
		}
	}
}

// restAfter is how many attempts in a row to send a peer entries fail before
// the next one waits for it to answer heartbeats. Raft itself would rest twice
// as long after each, ten seconds in the end, and not notice that it is back.
const restAfter = 6

// awaitReturn returns once the peer has answered a heartbeat; false when this
// server's term as a leader is over first.
func (t *transport) awaitReturn(id string, term uint64) bool {
	since := time.Now()
	r := t.prompt.raft.Load()
	for r != nil && r.State() == raft.Leader && r.CurrentTerm() == term {
		if t.peers.get(id).at.After(since) {
			return true
		}
		time.Sleep(t.prompt.election / lookParts)
	}
	return false
}

// heartbeat reports whether a message is no more than that.
func heartbeat(args *raft.AppendEntriesRequest) bool {
	return args.PrevLogEntry == 0 && args.PrevLogTerm == 0 && args.LeaderCommitIndex == 0 && len(args.Entries) == 0
}

// TimeoutNow implements raft.Transport. While it lasts the leader accepts
// nothing, so a peer that hangs gets less time than for other messages.
func (t *transport) TimeoutNow(id raft.ServerID, target raft.ServerAddress,
	args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	type answer struct {
		resp raft.TimeoutNowResponse
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		var a answer
		a.err = t.NetworkTransport.TimeoutNow(id, target, args, &a.resp)
		answered <- a
	}()
	timer := time.NewTimer(t.patience)
	defer timer.Stop()
	select {
	case a := <-answered:
		*resp = a.resp
		return a.err
	case <-timer.C:
		return errTakeover
	}
}

// resolver is Raft's ServerAddressProvider.
type resolver struct {
	local     string
	advertise string
	resolve   func(server string) (string, bool)
}

// ServerAddr implements raft.ServerAddressProvider. On an error Raft uses the
// address in the group's configuration.
func (r resolver) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	if string(id) == r.local {
		return raft.ServerAddress(r.advertise), nil
	}
	if addr, ok := r.resolve(string(id)); ok {
		return raft.ServerAddress(addr), nil
	}
	return "", errNoRoute
}

// peers remembers when each peer last answered, and how long its log was then.
type peers struct {
	mu  sync.Mutex
	all map[string]contact
}

type contact struct {
	at   time.Time
	last uint64 // last log index
	// missed is how often in a row it could not be sent what it lacks. Raft
	// then rests, whatever its heartbeats say meanwhile.
	missed int
}

func newPeers() *peers { return &peers{all: make(map[string]contact)} }

func (p *peers) heard(id string, last uint64, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.all[id]
	c.at, c.last = at, last
	p.all[id] = c
}

// replicated notes whether a peer could be sent entries, and returns how often
// in a row it could not.
func (p *peers) replicated(id string, ok bool) (missed int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.all[id]
	if c.missed++; ok {
		c.missed = 0
	}
	p.all[id] = c
	return c.missed
}

func (p *peers) get(id string) contact {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all[id]
}
