package raftstore

import (
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// Snapshots that a server is sent are rare: when it is new, or was away for
// long. installsAlarm of them within installsWindow say that it can't keep up,
// or that something makes it lose what it had.
const (
	installsAlarm  = 3
	installsWindow = 5 * time.Minute
)

// installs counts snapshots that went from a leader to a follower, and raises
// an alarm when they repeat.
type installs struct {
	logger *slog.Logger
	total  atomic.Uint64

	mu     sync.Mutex
	recent map[string][]time.Time // by peer, as far as they are in the window
}

func newInstalls(logger *slog.Logger) *installs {
	return &installs{logger: logger, recent: make(map[string][]time.Time)}
}

// happened counts one that was installed on this server (peer is "") or sent
// to a peer.
func (i *installs) happened(peer string, now time.Time) {
	i.total.Add(1)
	i.mu.Lock()
	recent := slices.DeleteFunc(append(i.recent[peer], now), func(t time.Time) bool {
		return now.Sub(t) >= installsWindow
	})
	i.recent[peer] = recent
	i.mu.Unlock()
	switch {
	case len(recent) < installsAlarm:
	case peer == "":
		i.logger.Error("the leader's snapshot is installed here again and again: this server does not keep up with the log",
			"installs", len(recent), "within", installsWindow)
	default:
		i.logger.Error("a snapshot is sent to a follower again and again: it does not keep up with the log",
			"to", peer, "sent", len(recent), "within", installsWindow)
	}
}

// InstallSnapshot implements raft.Transport.
func (t *transport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest,
	resp *raft.InstallSnapshotResponse, data io.Reader) error {
	err := t.NetworkTransport.InstallSnapshot(id, target, args, resp, data)
	t.peers.replicated(string(id), err == nil)
	if err == nil && resp.Success {
		t.sent.happened(string(id), time.Now())
	}
	return err
}
