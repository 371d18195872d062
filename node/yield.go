package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"tombola/node/diskroom"
	"tombola/raftstore"
)

// watchDisk begins to watch the disk that the data are on.
func (n *Node) watchDisk() {
	n.disk = diskroom.New(n.cfg.Data, int64(n.cfg.DiskFloor))
	judge := func() {
		problem := n.disk.Problem()
		n.fitness.Set("disk", problem)
		if problem != nil {
			n.log.Error("draws are refused", "why", problem)
		}
	}
	judge()
	n.loops.Go(func() {
		n.disk.Run(n.ctx, func() {
			judge()
			if !n.disk.Low() {
				n.log.Info("the disk has room again", "free_bytes", n.disk.Free())
			}
		})
	})
}

// yieldEvery is how often a server that is not fit looks for one that is.
const yieldEvery = 100 * time.Millisecond

// yield tells the others whether this server is fit to lead, and hands over
// what it leads while it is not, until ctx ends. A group without a member that
// is fit keeps its leader: somebody has to go on draining.
func (n *Node) yield(ctx context.Context) {
	ticker := time.NewTicker(yieldEvery)
	defer ticker.Stop()
	for {
		fit, changed := n.fitness.Fit()
		n.members.SetFit(fit)
		var again <-chan time.Time
		if !fit {
			n.yieldAll(ctx)
			again = ticker.C
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-again:
		}
	}
}

func (n *Node) yieldAll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainWait)
	defer cancel()
	var wg sync.WaitGroup
	for no, g := range n.groups.all() {
		wg.Go(func() {
			if err := g.Yield(ctx); err != nil && !errors.Is(err, raftstore.ErrNoSuccessor) {
				n.log.Warn("the leadership could not be handed over", "group", no, "err", err)
			}
		})
	}
	wg.Wait()
}
