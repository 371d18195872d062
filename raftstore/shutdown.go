package raftstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// stopGrace is how long Raft's goroutines get to end when Shutdown's context
// leaves them less.
const stopGrace = 2 * time.Second

// ending is what Shutdown needs.
type ending struct {
	once    sync.Once
	err     error
	closing atomic.Bool    // snapshots on their way are given up
	stop    chan struct{}  // closed to end the loops
	down    chan struct{}  // closed once Raft answers nothing any more
	loops   sync.WaitGroup // of Group's own goroutines
	gone    chan struct{}  // closed once the transport is
	gates   sync.WaitGroup // of what is in front of the transport
	log     *hcLogger
	notices chan bool // from Raft, of leadership won and lost
}

func newEnding(log *hcLogger) *ending {
	return &ending{
		stop:    make(chan struct{}),
		down:    make(chan struct{}),
		gone:    make(chan struct{}),
		notices: make(chan bool), // unbuffered: see leadership
		log:     log,
	}
}

// Shutdown ends Lead and waits for it, lets proposals and verifications that
// are under way finish, stops Raft and closes the log and the layer. It does
// not hand over the leadership; StepDown does. It is idempotent.
//
// When ctx ends first, the steps that are left are taken without waiting for
// what is under way. Should Raft not stop even then, the log stays open and
// the error says so; the process should end.
func (g *Group) Shutdown(ctx context.Context) error {
	g.end.once.Do(func() {
		if err := g.shutdown(ctx); err != nil {
			g.end.err = fmt.Errorf("raftstore: shut down group %d: %w", g.opts.Group, err)
		}
	})
	return g.end.err
}

func (g *Group) shutdown(ctx context.Context) error {
	// Raft answers what is under way for as long as it runs, and part of it
	// never once it is told to stop, so that comes last.
	var errs []error
	inside := g.gate.shut()
	errs = append(errs, waitFor(ctx, "lead", g.lead.close()))
	errs = append(errs, waitFor(ctx, "proposals", inside))

	g.end.closing.Store(true)
	g.end.log.quiet()
	stopping := g.raft.Shutdown()
	_ = g.trans.Close()
	close(g.end.gone)
	stopped := make(chan struct{})
	go func() {
		_ = stopping.Error()
		g.streams.wait()
		g.end.gates.Wait()
		close(stopped)
	}()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	err := waitFor(ctx, "raft", stopped)
	if err != nil {
		err = waitFor(grace, "raft", stopped)
	}
	close(g.end.down)
	if err != nil {
		// Its goroutines may still use the log.
		close(g.end.stop)
		return errors.Join(append(errs, err)...)
	}
	close(g.end.stop)
	g.end.loops.Wait()
	return errors.Join(append(errs, g.store.close())...)
}

func waitFor(ctx context.Context, what string, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	default:
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for %s: %w", what, ctx.Err())
	}
}
