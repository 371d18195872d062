package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"tombola/node/ask"
	"tombola/raftstore"
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

// HandOver gives the leadership of the node's groups away, while it goes on
// answering: draws are forwarded to whoever leads now. It returns once the node
// leads nothing, nobody can take over, or ctx ends. It is for the goroutine that
// closes the node.
func (n *Node) HandOver(ctx context.Context) {
	select {
	case <-n.opened:
	default:
		return // it leads nothing yet, and opens groups at this moment
	}
	n.handedOver = true
	var wg sync.WaitGroup
	stepDown := func(g *raftstore.Group, name string) {
		wg.Go(func() {
			if err := g.StepDown(ctx); err != nil {
				n.log.Info("leads on until it stops", "group", name, "why", err)
			}
		})
	}
	for _, s := range n.slices {
		stepDown(s.Group, ask.Name(uint16(s.No)))
	}
	if n.bank != nil {
		stepDown(n.bank.Group, ask.Name(0))
	}
	wg.Wait()
}

// Drain has new draws refused. Those that wait already are decided.
func (n *Node) Drain() {
	n.log.Info("draining")
	n.Retire()
	n.backend.Drain()
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
		n.closeHTTP(ctx)
		if n.handedOver {
			n.HandOver(ctx) // what was given back while clients took their time
		}
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

// closeHTTP ends what clients have under way. They get half of the time that
// there is: one that does not read its answer is no reason to leave the rest
// undone.
func (n *Node) closeHTTP(ctx context.Context) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/2)
		defer cancel()
	}
	if err := n.http.Shutdown(ctx); err != nil {
		n.log.Warn("connections of clients were closed before their end", "why", err)
	}
}
