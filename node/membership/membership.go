package membership

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// ErrClosed is returned by Await when the membership was closed before a
// cluster was known.
var ErrClosed = errors.New("membership: closed")

// Member is one server of the cluster, or one that gossip knows.
type Member struct {
	Server
	Alive   bool // gossip reaches it
	Leaving bool // it is draining
	Unfit   bool // it asks not to lead
	Self    bool
	// Cluster is the cluster it belongs to, zero while it has none.
	Cluster ID
}

// Membership is this server's identity and its view of the others. All
// methods may be called concurrently.
type Membership struct {
	options  Options
	identity Identity
	view     *view
	voice    *voice
	list     *memberlist.Memberlist // nil without gossip

	known chan struct{} // closed once cluster is set
	stop  context.CancelFunc
	done  sync.WaitGroup // the loop and its joins

	mu        sync.Mutex
	announced announced
	cluster   Cluster
	closed    bool
}

// Open loads or creates the identity in the data directory, starts gossip and
// goes on to find or create the cluster: see Await.
func Open(o Options) (*Membership, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("membership: %w", err)
	}
	if o.Slices == 0 {
		o.Slices = max(o.Expect, 1)
	}
	identity, err := LoadIdentity(o.DataDir, o.NodeID)
	if err != nil {
		return nil, err
	}
	cluster, known, err := loadCluster(o.DataDir)
	if err != nil {
		return nil, err
	}
	m := &Membership{
		options: o, identity: identity,
		view: newView(o.NodeID, o.Logger), voice: &voice{}, known: make(chan struct{}),
		announced: announced{
			Server: identity.ServerID(), ClusterAddr: o.ClusterAddr, HTTPAddr: o.HTTPAddr, Seed: identity.Seed,
			Expect: o.Expect, Slices: o.Slices, Format: Format,
		},
	}
	if known {
		m.settle(cluster)
	}
	if err := checkAnnounced(m.announced, memberlist.MetaMaxSize); err != nil {
		return nil, fmt.Errorf("membership: %w", err)
	}
	m.voice.set(m.announced)
	if err := m.start(); err != nil {
		return nil, err
	}
	return m, nil
}

// start begins gossip and the loop that joins and bootstraps.
func (m *Membership) start() error {
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	if m.options.GossipAddr == "" {
		return m.startAlone()
	}
	list, err := startGossip(m.options, m.voice, m.view)
	if err != nil {
		stop()
		return err
	}
	m.list = list
	m.announced.GossipAddr = nodeAddr(list.LocalNode())
	m.done.Add(1)
	go func() {
		defer m.done.Done()
		m.run(ctx)
	}()
	return nil
}

// startAlone creates the cluster of one server where there is none.
func (m *Membership) startAlone() error {
	if m.settled() {
		return nil
	}
	d := decide(m.announced, nil)
	return m.commit(*d.commit)
}

// Await blocks until the cluster is known: at once after a restart, else when
// the expected servers have found each other. It returns ctx's error, or
// ErrClosed. What it waits for is in the log.
func (m *Membership) Await(ctx context.Context) (Cluster, error) {
	select {
	case <-m.known:
	default:
		select {
		case <-m.known:
		case <-ctx.Done():
			return Cluster{}, fmt.Errorf("membership: no cluster yet: %w", ctx.Err())
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cluster.ID == (ID{}) {
		return Cluster{}, ErrClosed
	}
	return m.cluster, nil
}

// Identity returns who this server is.
func (m *Membership) Identity() Identity { return m.identity }

// ServerID returns this server's id.
func (m *Membership) ServerID() string { return m.identity.ServerID() }

// GossipAddr returns the address that gossip listens on, as advertised; empty
// without gossip.
func (m *Membership) GossipAddr() string { return m.self().GossipAddr }

// Resolve returns the address of a server's cluster listener: the one it
// announced last, or the one it had when it created the cluster. ok is false
// for a server never heard of.
func (m *Membership) Resolve(serverID string) (clusterAddr string, ok bool) {
	self := m.self()
	if serverID == self.Server {
		return self.ClusterAddr, true
	}
	if s, ok := m.view.server(serverID); ok {
		return s.ClusterAddr, true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.cluster.Founders {
		if f.ID == serverID {
			return f.ClusterAddr, true
		}
	}
	return "", false
}

// Members returns the founders of the cluster and all servers that gossip has
// told of, this one included, sorted by server id.
func (m *Membership) Members() []Member {
	self := m.self()
	all := []Member{{Server: self.server(), Alive: true, Leaving: self.Leaving, Unfit: self.Unfit, Self: true, Cluster: settledID(self)}}
	for _, s := range m.view.sightings() {
		all = append(all, Member{Server: s.server(), Alive: s.alive, Leaving: s.Leaving, Unfit: s.Unfit, Cluster: settledID(s.announced)})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.cluster.Founders {
		if !slices.ContainsFunc(all, func(k Member) bool { return k.ID == f.ID }) {
			all = append(all, Member{Server: f, Cluster: m.cluster.ID})
		}
	}
	slices.SortFunc(all, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	return all
}

func settledID(a announced) ID {
	if !a.Settled {
		return ID{}
	}
	return a.Cluster
}

// Changed returns a channel that is closed at the next change of what Members
// and Resolve tell of other servers. Take the channel first, then look.
func (m *Membership) Changed() <-chan struct{} { return m.view.change() }

// Drain tells the others that this server is about to stop. It returns at
// once; the others learn of it within a fraction of a second.
func (m *Membership) Drain() {
	m.mu.Lock()
	m.announced.Leaving = true
	m.mu.Unlock()
	m.view.poke()
}

// SetFit tells the others whether this server should lead. It returns at once,
// as Drain does.
func (m *Membership) SetFit(fit bool) {
	m.mu.Lock()
	m.announced.Unfit = !fit
	m.mu.Unlock()
	m.view.poke()
}

// Eligible reports whether gossip holds a server to be alive, fit, and not about
// to stop. Without gossip all are.
func (m *Membership) Eligible(serverID string) bool {
	if self := m.self(); serverID == self.Server {
		return !self.Leaving && !self.Unfit
	}
	s, ok := m.view.server(serverID)
	return !ok || s.alive && !s.Leaving && !s.Unfit
}

// leaveWait is how long a message to the others takes at most, when they are
// there: it is sent a few times, each a gossip interval after the one before.
const leaveWait = time.Second

// Leave takes this server out of gossip, so that the others need not find out
// that it is gone. It waits for the message to be sent, for a second at most
// and no longer than ctx: when all servers stop at once, the last ones have
// nobody to send it to, which gossip does not tell. Call Close afterwards.
func (m *Membership) Leave(ctx context.Context) {
	m.stop()
	m.done.Wait()
	m.mu.Lock()
	closed := m.closed
	m.mu.Unlock()
	if m.list == nil || closed {
		return
	}
	timeout := leaveWait
	if deadline, ok := ctx.Deadline(); ok {
		// Zero would mean "for ever" to memberlist.
		timeout = max(min(timeout, time.Until(deadline)), time.Millisecond)
	}
	if err := m.list.Leave(timeout); err != nil {
		m.options.Logger.Info("the others have to find out that this server is gone", "why", err)
	}
}

// Close stops gossip. Without Leave before, the others see a failed server.
func (m *Membership) Close() error {
	m.stop()
	m.done.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	if m.cluster.ID == (ID{}) {
		close(m.known) // wakes Await, which finds no cluster
	}
	if m.list == nil {
		return nil
	}
	if err := m.list.Shutdown(); err != nil {
		return fmt.Errorf("membership: stop gossip: %w", err)
	}
	return nil
}

// settle takes c as this server's cluster. The caller holds mu or is alone.
func (m *Membership) settle(c Cluster) {
	if m.options.Slices != c.Slices && m.options.Expect > 0 && m.options.Slices != m.options.Expect {
		m.options.Logger.Warn("the number of slices was fixed when the cluster was created; the setting is ignored",
			"setting", m.options.Slices, "slices", c.Slices)
	}
	m.cluster = c
	m.announced.Cluster, m.announced.Settled = c.ID, true
	m.announced.Expect, m.announced.Slices, m.announced.Format = len(c.Founders), c.Slices, c.Format
	close(m.known)
}

func (m *Membership) self() announced {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.announced
}

func (m *Membership) settled() bool { return m.self().Settled }
