package raftstore

import (
	"context"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"
)

// verifier lets any number of callers share one round trip to a majority. A
// caller that arrives while one is under way waits for the next: the one under
// way may have been answered before the caller's question came up.
type verifier struct {
	check func() error

	mu      sync.Mutex
	running bool
	next    *verification // joined by those who arrive now, or nil
}

type verification struct {
	done chan struct{}
	err  error // set before done is closed
}

func (v *verifier) verify(ctx context.Context) error {
	v.mu.Lock()
	round := v.next
	if round == nil {
		round = &verification{done: make(chan struct{})}
		v.next = round
		if !v.running {
			v.running = true
			go v.run()
		}
	}
	v.mu.Unlock()
	select {
	case <-round.done:
		return round.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run goes from round to round for as long as there is one to do.
func (v *verifier) run() {
	for {
		v.mu.Lock()
		round := v.next
		v.next = nil
		v.running = round != nil
		v.mu.Unlock()
		if round == nil {
			return
		}
		round.err = v.check()
		close(round.done)
	}
}

// Verify returns nil if, at some time after it was called, a majority of the
// group agreed that this server leads, and has led since before the call. Then
// everything that any server had acknowledged before the call is in this
// server's Machine. Other errors than ctx's wrap ErrNotLeader.
//
// It may be called concurrently, and concurrent calls cost little more than
// one.
func (g *Group) Verify(ctx context.Context) error {
	if !g.gate.enter() {
		return fmt.Errorf("raftstore: verify: %w (%w)", ErrNotLeader, errClosing)
	}
	defer g.gate.leave()
	if err := g.verifier.verify(ctx); err != nil {
		return fmt.Errorf("raftstore: verify: %w", err)
	}
	return nil
}

// verifyOnce asks the majority. That the term is the same before and after
// means that it was led without a break.
func (g *Group) verifyOnce() error {
	// The callers may all have given up, so the round counts for itself.
	if !g.gate.enter() {
		return fmt.Errorf("%w (%w)", ErrNotLeader, errClosing)
	}
	defer g.gate.leave()
	term, ok := g.Leading()
	if !ok {
		return ErrNotLeader
	}
	if err := g.await(g.raft.VerifyLeader()); err != nil {
		return fmt.Errorf("%w (%w)", ErrNotLeader, err)
	}
	if now, ok := g.Leading(); !ok || now != term {
		return fmt.Errorf("%w (%w)", ErrNotLeader, raft.ErrLeadershipLost)
	}
	return nil
}
