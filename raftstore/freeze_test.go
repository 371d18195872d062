package raftstore

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// icy is a stream layer on which what is sent to one address freezes: the peer
// neither answers nor refuses, and no deadline helps.
type icy struct {
	raft.StreamLayer

	mu     sync.Mutex
	frozen raft.ServerAddress
	thawed chan struct{} // closed once frozen is over
}

func (l *icy) freeze(addr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frozen, l.thawed = raft.ServerAddress(addr), make(chan struct{})
}

func (l *icy) thaw() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frozen = ""
	close(l.thawed)
}

func (l *icy) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	conn, err := l.StreamLayer.Dial(addr, timeout)
	if err != nil {
		return nil, err
	}
	return &icyConn{Conn: conn, layer: l, to: addr, closed: make(chan struct{})}, nil
}

type icyConn struct {
	net.Conn
	layer  *icy
	to     raft.ServerAddress
	once   sync.Once
	closed chan struct{}
}

func (c *icyConn) Write(p []byte) (int, error) {
	c.layer.mu.Lock()
	frozen, thawed := c.layer.frozen == c.to, c.layer.thawed
	c.layer.mu.Unlock()
	if frozen {
		select {
		case <-c.closed:
			return 0, net.ErrClosed
		case <-thawed:
		}
	}
	return c.Conn.Write(p)
}

func (c *icyConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// newIcy returns a cluster whose leader's connections can freeze.
func newIcy(t *testing.T) (c *cluster, layers map[string]*icy) {
	layers = make(map[string]*icy)
	c = newCluster(t, 1, func(o *Options) {
		layers[o.Local] = &icy{StreamLayer: o.Layer}
		o.Layer = layers[o.Local]
	})
	return c, layers
}

func TestATransferToAPeerThatHangsIsGivenUp(t *testing.T) {
	c, layers := newIcy(t)
	leader, hung := c.leader(), c.followers()[0]
	c.propose("before")
	eventually(t, "the transfer was tried", func() bool {
		eventually(t, "it is ready", func() bool { _, ok := leader.group.ready(hung.id); return ok })
		layers[leader.id].freeze(hung.addr)
		err := leader.group.Transfer(hung.id)
		if errors.Is(err, ErrNoSuccessor) {
			layers[leader.id].thaw() // too late for this time
		}
		return err != nil && !errors.Is(err, ErrNoSuccessor)
	})
	layers[leader.id].thaw()
	// The request may still arrive, and the peer take over.
	eventually(t, "entries are taken again", func() bool { return c.leader().group.Propose(entry("after"), nil) == nil })
	c.noFatal()
}

// TestATransferThatNeverEndsEndsTheProcess asks a peer that hangs to take over
// twice, while it is behind: Raft waits for the second without end, and accepts
// nothing meanwhile. Transfer itself would not have tried it again.
func TestATransferThatNeverEndsEndsTheProcess(t *testing.T) {
	c, layers := newIcy(t)
	leader, hung := c.leader(), c.followers()[0]
	layers[leader.id].freeze(hung.addr)
	c.propose("the peer has not this")
	for range 2 {
		if err := leader.group.transfer(Server{ID: hung.id, Addr: hung.addr}); err == nil {
			t.Fatal("transferred to a peer that hangs")
		}
	}
	eventually(t, "the wedge is reported", func() bool { return len(leader.fatal) > 0 })
	if reported := <-leader.fatal; !errors.Is(reported, raft.ErrLeadershipTransferInProgress) {
		t.Errorf("reported %v", reported)
	}
	layers[leader.id].thaw() // Raft's goroutines are to end
	eventually(t, "the transfer is over", func() bool { return leader.group.barrier() == nil || leader.group.raft.State() != raft.Leader })
}

// TestAServerThatReturnsIsHandedNothingBeforeItIsSentEntries has a server be
// away until Raft rests between two attempts to send it what it lacks. Its
// heartbeats may be answered before the next attempt.
func TestAServerThatReturnsIsHandedNothingBeforeItIsSentEntries(t *testing.T) {
	c := newCluster(t, 1, nil)
	leader, away := c.leader(), c.followers()[0]
	c.propose("before")
	c.stop(away)
	c.propose("while away")
	eventually(t, "many attempts have failed", func() bool { return leader.group.trans.peers.get(away.id).missed >= restAfter })
	c.restart(away)
	eventually(t, "it takes over", func() bool {
		err := leader.group.Transfer(away.id)
		if err != nil && !errors.Is(err, ErrNoSuccessor) {
			t.Fatal(err)
		}
		return err == nil
	})
	c.propose("after")
	c.noFatal()
}

// TestAServerThatReturnsIsSentEntriesAtOnce has one of Raft's attempts outlast
// the server's absence.
func TestAServerThatReturnsIsSentEntriesAtOnce(t *testing.T) {
	c := newCluster(t, 1, nil)
	leader, away := c.leader(), c.followers()[0]
	term, _ := leader.group.Leading()
	c.stop(away)
	c.propose("while away")
	trans := leader.group.trans
	eventually(t, "many attempts have failed", func() bool { return trans.peers.get(away.id).missed >= restAfter })
	sent := make(chan error, 1)
	id, addr := raft.ServerID(away.id), raft.ServerAddress(away.addr)
	args := &raft.AppendEntriesRequest{Term: term, PrevLogEntry: 1, PrevLogTerm: 1, RPCHeader: raft.RPCHeader{
		ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(leader.id),
		Addr: trans.EncodePeer(raft.ServerID(leader.id), raft.ServerAddress(leader.addr)),
	}}
	go func() {
		var resp raft.AppendEntriesResponse
		sent <- trans.AppendEntries(id, addr, args, &resp)
	}()
	eventually(t, "the attempt has failed", func() bool { return trans.peers.get(away.id).missed > restAfter })
	c.restart(away)
	if err := <-sent; err != nil {
		t.Error(err)
	}
	c.agree([]string{"while away"})
	c.noFatal()
}
