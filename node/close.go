package node

import (
	"context"
	"errors"
	"sync"
)

// Retire makes the node unready while it goes on as before: load balancers turn
// away, and clients are asked to close their connections, before anything is
// refused.
func (n *Node) Retire() {
	n.http.Drain()
	if n.members != nil {
		n.members.Drain()
	}
}

// Drain makes the node unready and hands the leadership of its groups over; it
// goes on answering what it was sent. New draws are refused.
func (n *Node) Drain(ctx context.Context) {
	n.log.Info("draining")
	n.Retire()
	n.backend.Drain()
	select {
	case <-n.opened:
	default:
		return // it leads nothing yet, and opens groups at this moment
	}
	var wg sync.WaitGroup
	for _, s := range n.slices {
		wg.Go(func() {
			if err := s.Group.StepDown(ctx); err != nil {
				n.log.Info("leads on until it stops", "slice", s.No, "why", err)
			}
		})
	}
	if n.bank != nil {
		wg.Go(func() {
			if err := n.bank.Group.StepDown(ctx); err != nil {
				n.log.Info("leads on until it stops", "group", "bank", "why", err)
			}
		})
	}
	wg.Wait()
}

// Close stops the node, in the opposite order of Open. It may be called on a
// node that has not fully started; ctx bounds how long it waits for what is
// under way.
func (n *Node) Close(ctx context.Context) error {
	var errs []error
	keep := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	if n.http != nil {
		keep(n.http.Shutdown(ctx))
	}
	// The loops include join: nothing is added any more once they have ended,
	// and what join has opened until then is there to be closed.
	n.cancel()
	n.loops.Wait()
	if n.server != nil {
		n.server.Close(ctx)
		n.pool.Close()
		n.caller.Close()
	}
	for _, s := range n.slices {
		if s.Group != nil {
			keep(s.Group.Shutdown(ctx))
		}
		keep(s.Outbox.Close())
	}
	if n.bank != nil {
		keep(n.bank.Group.Shutdown(ctx))
	}
	if n.mux != nil {
		keep(n.mux.Close())
	}
	if n.sink != nil {
		keep(n.sink.Close())
	}
	if n.members != nil {
		n.members.Leave(ctx)
		keep(n.members.Close())
	}
	n.lock.release()
	n.log.Info("stopped")
	return errors.Join(errs...)
}
