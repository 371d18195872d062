package membership

import (
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/memberlist"
)

// view is what gossip has told about the other servers. It outlives gossip's
// own memory, which forgets the dead after half a minute. It is the delegate
// of memberlist's events, which come one at a time while memberlist holds its
// lock: nothing here may call memberlist.
type view struct {
	self string // own node id
	log  *slog.Logger

	mu      sync.Mutex
	peers   map[string]sighting // by node id
	changed chan struct{}       // closed and replaced on each change
	quarrel string              // the last name conflict reported
	// misplaced is set when others hold this server to be alive at an address
	// that it had before.
	misplaced bool
}

func newView(self string, log *slog.Logger) *view {
	return &view{self: self, log: log, peers: make(map[string]sighting), changed: make(chan struct{})}
}

// NotifyJoin implements memberlist.EventDelegate.
func (v *view) NotifyJoin(n *memberlist.Node) { v.note(n, true) }

// NotifyUpdate implements memberlist.EventDelegate.
func (v *view) NotifyUpdate(n *memberlist.Node) { v.note(n, true) }

// NotifyLeave implements memberlist.EventDelegate.
func (v *view) NotifyLeave(n *memberlist.Node) { v.note(n, false) }

func (v *view) note(n *memberlist.Node, alive bool) {
	if n.Name == v.self {
		return
	}
	a, err := decodeAnnounced(n.Meta)
	if err != nil {
		v.log.Warn("gossip: a node announces nothing that this version can read", "node", n.Name, "address", nodeAddr(n), "error", err)
		return
	}
	a.GossipAddr = nodeAddr(n)
	v.mu.Lock()
	defer v.mu.Unlock()
	was, known := v.peers[n.Name]
	now := sighting{announced: a, alive: alive}
	if known && was == now {
		return
	}
	v.peers[n.Name] = now
	close(v.changed)
	v.changed = make(chan struct{})
	switch {
	case alive && (!known || !was.alive || was.Server != a.Server):
		v.log.Info("server seen", "server", a.Server, "cluster_addr", a.ClusterAddr)
	case !alive:
		v.log.Info("server gone", "server", a.Server)
	}
}

// NotifyConflict implements memberlist.ConflictDelegate: a node with the name
// of one that is alive at another address. Gossip keeps the one it knows.
func (v *view) NotifyConflict(existing, other *memberlist.Node) {
	mine, err1 := decodeAnnounced(existing.Meta)
	theirs, err2 := decodeAnnounced(other.Meta)
	if err1 != nil || err2 != nil {
		return // reported by note
	}
	quarrel := fmt.Sprint(mine.Server, nodeAddr(existing), theirs.Server, nodeAddr(other))
	v.mu.Lock()
	repeated := v.quarrel == quarrel
	v.quarrel = quarrel
	v.misplaced = v.misplaced || existing.Name == v.self && mine.Server == theirs.Server
	v.mu.Unlock()
	switch {
	case repeated:
	case mine.Server == theirs.Server:
		v.log.Info("a server moved; its new address counts once the old one is known to be dead",
			"server", theirs.Server, "old", nodeAddr(existing), "new", nodeAddr(other))
	default:
		v.log.Error("two servers use the same node id: stop one of them", "node", existing.Name,
			"known", mine.Server, "known_address", nodeAddr(existing), "other", theirs.Server, "other_address", nodeAddr(other))
	}
}

// sightings returns all servers ever seen, sorted by server id.
func (v *view) sightings() []sighting {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := make([]sighting, 0, len(v.peers))
	for _, s := range v.peers {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b sighting) int { return strings.Compare(a.Server, b.Server) })
	return all
}

// server returns what is known of one server id.
func (v *view) server(id string) (sighting, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, ok := v.peers[NodeID(id)]
	return s, ok && s.Server == id
}

// takeMisplaced reports whether the others were wrong about this server's
// address since the last call.
func (v *view) takeMisplaced() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	was := v.misplaced
	v.misplaced = false
	return was
}

// change returns a channel that is closed at the next change.
func (v *view) change() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.changed
}

func nodeAddr(n *memberlist.Node) string {
	return net.JoinHostPort(n.Addr.String(), strconv.Itoa(int(n.Port)))
}
