package raftstore

import (
	"errors"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// snapshotPoll is how often the triggers are looked at.
	snapshotPoll = time.Second
	// snapshotRetry is how long to wait after a snapshot that failed.
	snapshotRetry = 30 * time.Second
	// trailingEntries stay in the log after a snapshot, so that a follower
	// that was away for a moment doesn't need the whole of it.
	trailingEntries = 256
)

// snapshotter takes snapshots by bytes and time. Raft's own trigger counts
// entries, which says little when an entry is a batch.
type snapshotter struct {
	take   func() error
	bytes  func() int64 // applied since the last one
	limit  int64
	every  time.Duration
	logger *slog.Logger
}

// run looks at the triggers until stop is closed.
func (s *snapshotter) run(stop <-chan struct{}) {
	ticker := time.NewTicker(min(snapshotPoll, s.every))
	defer ticker.Stop()
	last := time.Now()
	var notBefore time.Time
	for {
		select {
		case <-stop:
			return
		case now := <-ticker.C:
			logged := s.bytes()
			if logged == 0 {
				last = now
			}
			if now.Before(notBefore) || !s.due(logged, now.Sub(last)) {
				continue
			}
			if !s.once(logged) {
				notBefore = time.Now().Add(snapshotRetry)
			}
			last = time.Now()
		}
	}
}

func (s *snapshotter) due(logged int64, passed time.Duration) bool {
	return logged >= s.limit || logged > 0 && passed >= s.every
}

// once reports whether all is well.
func (s *snapshotter) once(logged int64) bool {
	start := time.Now()
	err := s.take()
	switch {
	case err == nil:
		s.logger.Info("snapshot taken", "log_bytes", logged, "took", time.Since(start))
	case errors.Is(err, raft.ErrNothingNewToSnapshot):
	case errors.Is(err, raft.ErrRaftShutdown), errors.Is(err, errClosing):
	case errors.Is(err, raft.ErrLeadershipTransferInProgress):
		s.logger.Debug("snapshot put off", "error", err)
	default:
		s.logger.Error("snapshot failed", "error", err, "retry_in", snapshotRetry)
		return false
	}
	return true
}

// Snapshot takes a snapshot now, whatever the triggers say.
func (g *Group) Snapshot() error { return g.await(g.raft.Snapshot()) }

// restored says where the state came from: this server's disk, when it starts,
// or the leader, whose log no longer has what this server lacks.
func (g *Group) restored(took time.Duration) {
	from := "disk"
	if g.prompt.raft.Load() != nil {
		from = "leader"
	}
	g.opts.Logger.Info("snapshot restored", "from", from, "took", took)
}
