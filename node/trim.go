package node

import (
	"context"
	"time"

	"tombola/allocator"
	"tombola/node/backend"
)

// trimEvery is how often outboxes are trimmed, and archived prizes forgotten.
const trimEvery = time.Minute

// forgetBudget is how many records of an archived prize one entry forgets.
const forgetBudget = 10_000

// trim frees what need not be kept any more until ctx ends: events that the
// sink has had for as long as --retain, and the users and request ids of
// prizes that are over.
func (n *Node) trim(ctx context.Context) {
	ticker := time.NewTicker(trimEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, s := range n.slices {
			n.trimOutbox(s)
			n.forget(ctx, s)
		}
	}
}

// trimOutbox drops old events. Where each server has a database of its own, a
// new leader begins a new one with the first event: then all are kept.
func (n *Node) trimOutbox(s *backend.Slice) {
	if !n.sharedSink() {
		return
	}
	now, ok := n.guard.Now()
	if !ok {
		return
	}
	old, err := s.Outbox.OlderThan(now.Add(-n.cfg.Timing.Retain))
	if err == nil {
		var sunk uint64
		s.Machine.Read(func(m *allocator.Slice) { sunk = m.Sunk() })
		if s.Engine.Leading() { // a sink that went back is sent again what it lost
			sunk = min(sunk, s.Drain.Status().Seq)
		}
		err = s.Outbox.Trim(min(old, sunk+1))
	}
	if err != nil {
		n.log.Warn("an outbox could not be trimmed", "slice", s.No, "err", err)
	}
}

// forget frees what a slice led here keeps of archived prizes, a little with
// each entry, so that draws go on in between.
func (n *Node) forget(ctx context.Context, s *backend.Slice) {
	var archived []allocator.PrizeNo
	s.Machine.Read(func(m *allocator.Slice) { archived = m.Forgettable() })
	for _, no := range archived {
		for s.Engine.Leading() {
			out, err := s.Engine.Order(ctx, func(w *allocator.EntryWriter) { w.Forget(no, forgetBudget) })
			if err != nil || out.Verdict != allocator.Again {
				break
			}
		}
	}
}
