package raftstore

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"
)

// EntryHeadroom is the number of bytes at the start of an entry that belong to
// this package: callers of Propose leave them free, and Machine.Apply doesn't
// see them. They hold the proposal's number, by which the server that proposed
// an entry knows it again when it is applied.
const EntryHeadroom = 8

// Propose replicates one entry and returns once this server's Machine has
// applied it; into is passed to that Apply and is not touched after Propose has
// returned. Errors wrap ErrNotLeader, when the entry is certainly not and never
// applied, or ErrUnknown. It may be called concurrently; entries proposed
// concurrently are applied in no particular order.
//
// The first EntryHeadroom bytes of entry are overwritten. Its memory then
// belongs to the group, also after Propose has returned: the log's cache and
// slow followers' replication still read it, so it must not be used again.
func (g *Group) Propose(entry []byte, into any) error {
	if len(entry) < EntryHeadroom {
		return fmt.Errorf("raftstore: propose: entry of %d bytes has no room for %d: %w",
			len(entry), EntryHeadroom, ErrNotLeader)
	}
	if !g.gate.enter() {
		return proposalError(fmt.Errorf("%w: %w", raft.ErrNotLeader, errClosing))
	}
	defer g.gate.leave()
	if g.raft.State() != raft.Leader {
		return proposalError(raft.ErrNotLeader)
	}
	p := g.pending.add(entry, into)
	err := g.await(g.raft.ApplyLog(raft.Log{Data: entry}, g.enqueueTime()))
	g.wedge.observe(err)
	if g.pending.settle(p) {
		// Applied here, whatever became of the leadership meanwhile.
		if p.err != nil {
			return proposalError(p.err)
		}
		return nil
	}
	if err == nil {
		// Committed but not applied: the group has failed before it got there.
		if err = g.fault.cause(); err == nil {
			err = errClosing
		}
	}
	return proposalError(err)
}

// await waits for a future, but not beyond the group's end: Raft leaves
// futures unanswered that are under way when it is shut down.
func (g *Group) await(f raft.Future) error {
	result := make(chan error, 1)
	go func() { result <- f.Error() }()
	select {
	case err := <-result:
		return err
	case <-g.end.down:
		return raft.ErrRaftShutdown
	}
}

// proposal is one entry that its proposer waits for.
type proposal struct {
	entry []byte
	into  any
	err   error         // Machine.Apply's, set before done is closed
	done  chan struct{} // closed once the machine has applied the entry
}

func (p *proposal) finish(err error) {
	p.err = err
	close(p.done)
}

// pending holds the proposals that wait. A proposal is found by a number that
// starts with random bits of this process, so that numbers of other servers
// and of earlier runs are other numbers; that it is the very same memory
// proves it.
type pending struct {
	salt uint64 // in the upper half

	mu   sync.Mutex
	next uint32
	all  map[uint64]*proposal
}

func newPending() *pending {
	var salt [4]byte
	_, _ = rand.Read(salt[:]) // never fails
	return &pending{
		salt: uint64(binary.BigEndian.Uint32(salt[:])) << 32,
		all:  make(map[uint64]*proposal),
	}
}

// add registers a proposal and writes its number into the entry.
func (w *pending) add(entry []byte, into any) *proposal {
	p := &proposal{entry: entry, into: into, done: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	number := w.salt | uint64(w.next)
	w.next++
	binary.BigEndian.PutUint64(entry, number)
	w.all[number] = p
	return p
}

// take removes and returns the proposal of an entry that is about to be
// applied, or nil. Whoever takes it must finish it.
func (w *pending) take(entry []byte) *proposal {
	number := binary.BigEndian.Uint64(entry)
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.all[number]
	if p == nil || &p.entry[0] != &entry[0] {
		return nil
	}
	delete(w.all, number)
	return p
}

// settle reports whether the machine has applied the proposal; if it is just
// about to, settle waits for it. If not, it never gets hold of into.
func (w *pending) settle(p *proposal) bool {
	number := binary.BigEndian.Uint64(p.entry)
	w.mu.Lock()
	waiting := w.all[number] == p
	if waiting {
		delete(w.all, number)
	}
	w.mu.Unlock()
	if waiting {
		return false
	}
	<-p.done
	return true
}

// gate counts the calls inside and can be closed against new ones.
type gate struct {
	mu     sync.Mutex
	closed bool
	inside int
	empty  chan struct{} // closed once closed and nobody is inside
}

func newGate() *gate { return &gate{empty: make(chan struct{})} }

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.inside++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.closed && g.inside == 0 {
		close(g.empty)
	}
}

// shut lets nobody in any more; the channel is closed once all have left.
func (g *gate) shut() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.closed = true
		if g.inside == 0 {
			close(g.empty)
		}
	}
	return g.empty
}
