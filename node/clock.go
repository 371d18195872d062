package node

import (
	"context"
	"slices"
	"time"

	"tombola/allocator"
	"tombola/node/clockguard"
)

// askClock is what every server answers about its clock, and nothing else: the
// answer should be quick.
const askClock = "node/clock"

// setClock sets the clock wrong where that is what is to be tested.
func (n *Node) setClock(context.Context) error {
	file := n.cfg.ChaosClockFile
	if file == "" {
		return nil
	}
	n.log.Warn("CHAOS: this node's clock is as wrong as a file says; never do this in production", "file", file)
	return n.clock.Misset(n.ctx, file, n.loops.Go, n.log)
}

// guardClock makes the guard without which nothing is dated.
func (n *Node) guardClock(context.Context) error {
	self := n.members.ServerID()
	n.guard = clockguard.New(clockguard.Config{
		Read:  n.clock.Read,
		Peers: slices.DeleteFunc(n.cluster.FounderIDs(), func(id string) bool { return id == self }),
		Ask: func(ctx context.Context, server string) (time.Time, error) {
			var now allocator.Micros
			err := n.caller.Call(ctx, server, 0, askClock, struct{}{}, &now)
			return now.Time(), err
		},
		Found:  func(problem error) { n.fitness.Set("clock", problem) },
		Logger: n.log,
	})
	return nil
}
