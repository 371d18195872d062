package raftstore

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// errNoRoom is what the leader is told when this server takes nothing more.
var errNoRoom = errors.New("raftstore: the disk is nearly full, nothing more is written")

// noRoomEvery is how often refusals are logged.
const noRoomEvery = 30 * time.Second

// roomGate is Raft's queue of messages from the other servers, with those
// refused that would write to the log, or a snapshot, while there is no room.
// Heartbeats and votes pass, so that this server goes on as a follower and the
// leader catches it up as soon as there is room again: it tries at least every
// ten seconds or so.
type roomGate struct {
	room   func() bool
	out    chan raft.RPC
	stop   <-chan struct{}
	logger *slog.Logger
	drains sync.WaitGroup

	full   bool
	logged time.Time
}

func newRoomGate(room func() bool, stop <-chan struct{}, logger *slog.Logger) *roomGate {
	return &roomGate{room: room, out: make(chan raft.RPC), stop: stop, logger: logger}
}

// run passes on what comes in until stop is closed.
func (g *roomGate) run(in <-chan raft.RPC) {
	defer g.drains.Wait()
	for {
		select {
		case rpc := <-in:
			if fills(rpc) && !g.check() {
				g.refuse(rpc)
				continue
			}
			select {
			case g.out <- rpc:
			case <-g.stop:
				return
			}
		case <-g.stop:
			return
		}
	}
}

// fills reports whether a message makes the disk fuller.
func fills(rpc raft.RPC) bool {
	switch m := rpc.Command.(type) {
	case *raft.AppendEntriesRequest:
		return len(m.Entries) > 0
	case *raft.InstallSnapshotRequest:
		return true
	default:
		return false
	}
}

// check reports whether there is room, and logs when there is none.
func (g *roomGate) check() bool {
	ok := g.room()
	switch now := time.Now(); {
	case ok && g.full:
		g.full, g.logged = false, time.Time{}
		g.logger.Info("there is room on the disk again: entries are taken from the leader")
	case !ok && now.Sub(g.logged) >= noRoomEvery:
		g.full, g.logged = true, now
		g.logger.Error("the disk is nearly full: nothing is taken from the leader, this server falls behind")
	}
	return ok
}

// hasNoRoom reports whether err is a peer's answer that it has no room. Raft
// passes on no more than its text.
func hasNoRoom(err error) bool {
	return err != nil && strings.Contains(err.Error(), errNoRoom.Error())
}

func (g *roomGate) refuse(rpc raft.RPC) {
	m, ok := rpc.Command.(*raft.InstallSnapshotRequest)
	if !ok {
		rpc.Respond(&raft.AppendEntriesResponse{}, errNoRoom)
		return
	}
	// The rest of the message has to be read before the connection is good for
	// another one. That ends with the connection at the latest.
	g.drains.Go(func() {
		_, _ = io.Copy(io.Discard, io.LimitReader(rpc.Reader, m.Size))
		rpc.Respond(&raft.InstallSnapshotResponse{}, errNoRoom)
	})
}
