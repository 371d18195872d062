package node

import (
	"context"
	"maps"
	"sync"
	"time"

	"tombola/allocator"
	"tombola/node/forward"
	"tombola/raftstore"
)

// leaders knows who leads each group: from Raft where the group is kept here,
// by asking its members where it is not.
type leaders struct {
	mu     sync.RWMutex
	groups map[uint16]*raftstore.Group
	remote map[uint16]string
}

func newLeaders() *leaders {
	return &leaders{groups: make(map[uint16]*raftstore.Group), remote: make(map[uint16]string)}
}

func (l *leaders) add(no uint16, g *raftstore.Group) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.groups[no] = g
}

// Leader returns the server that leads a group, as far as this one knows.
func (l *leaders) Leader(no uint16) (string, bool) {
	l.mu.RLock()
	g, remote := l.groups[no], l.remote[no]
	l.mu.RUnlock()
	if g != nil {
		return g.Leader()
	}
	return remote, remote != ""
}

// all returns the groups that are kept here.
func (l *leaders) all() map[uint16]*raftstore.Group {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return maps.Clone(l.groups)
}

// askLeader is what every server answers about the groups that it keeps.
const askLeader = "node/leader"

// lookEvery is how often the leaders of groups that are kept elsewhere are
// asked for.
const lookEvery = 200 * time.Millisecond

// follow keeps track of the groups that are kept elsewhere only. placement is
// who keeps which group.
func (l *leaders) follow(ctx context.Context, placement [][]string, caller *forward.Caller) {
	var elsewhere []uint16
	for no := range placement {
		if l.groups[uint16(no)] == nil {
			elsewhere = append(elsewhere, uint16(no))
		}
	}
	if len(elsewhere) == 0 {
		return
	}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		for _, no := range elsewhere {
			l.learn(ctx, no, placement[no], caller)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (l *leaders) learn(ctx context.Context, no uint16, servers []string, caller *forward.Caller) {
	var leader string
	for _, server := range servers {
		callCtx, cancel := context.WithTimeout(ctx, lookEvery)
		err := caller.Call(callCtx, server, no, askLeader, nil, &leader)
		cancel()
		if err == nil && leader != "" {
			break
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remote[no] = leader
}

// The kinds of one-way messages between servers.
const (
	postNotes byte = 1 // to the bank's leader
	postWords byte = 2 // to a slice's leader
)

// post carries notes and words to whoever leads. They may be lost: both sides
// repeat them.
type post struct {
	n *Node
}

func (p post) notes(notes []allocator.Note) {
	switch server, ok := p.n.groups.Leader(0); {
	case !ok:
	case server == p.n.members.ServerID():
		p.n.bank.Loop.Hear(notes)
	default:
		p.n.caller.Post(server, 0, postNotes, allocator.AppendNotes(nil, notes))
	}
}

func (p post) words(slice allocator.SliceNo, words []allocator.Word) {
	switch server, ok := p.n.groups.Leader(uint16(slice)); {
	case !ok:
	case server == p.n.members.ServerID():
		p.n.slices[slice].Engine.Hear(words)
	default:
		p.n.caller.Post(server, uint16(slice), postWords, allocator.AppendWords(nil, words))
	}
}

// deliver takes in a message of another server.
func (p post) deliver(peer string, group uint16, kind byte, payload []byte) {
	var err error
	switch {
	case kind == postNotes && group == 0 && p.n.bank != nil:
		var notes []allocator.Note
		if notes, err = allocator.DecodeNotes(payload); err == nil {
			p.n.bank.Loop.Hear(notes)
		}
	case kind == postWords && p.n.slices[allocator.SliceNo(group)] != nil:
		var words []allocator.Word
		if words, err = allocator.DecodeWords(payload); err == nil {
			p.n.slices[allocator.SliceNo(group)].Engine.Hear(words)
		}
	}
	if err != nil {
		p.n.log.Warn("a message could not be read", "from", peer, "group", group, "kind", kind, "err", err)
	}
}
