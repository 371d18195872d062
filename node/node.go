// Package node puts a server together: membership, Raft groups, the loops that
// follow leadership, forwarding and the HTTP API. It is the only package that
// knows them all.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"tombola/allocator"
	"tombola/httpapi"
	"tombola/node/ask"
	"tombola/node/backend"
	"tombola/node/calendar"
	"tombola/node/clockguard"
	"tombola/node/config"
	"tombola/node/diskroom"
	"tombola/node/drain"
	"tombola/node/draws"
	"tombola/node/fitness"
	"tombola/node/forward"
	"tombola/node/membership"
	"tombola/node/route"
	"tombola/persist"
	"tombola/raftstore"
	"tombola/raftstore/mux"
)

// Node is one server. Open starts it, Close stops it.
type Node struct {
	cfg     config.Config
	secrets config.Secrets
	log     *slog.Logger
	clock   *clockguard.Clock
	ctx     context.Context // ends when the node's own loops should
	cancel  context.CancelFunc
	loops   sync.WaitGroup
	failed  chan error    // what makes going on impossible
	opened  chan struct{} // closed once all groups are open

	handedOver bool // leadership is to be given away before the node closes

	lock    *dirLock
	disk    *diskroom.Watch
	fitness *fitness.Fitness
	guard   *clockguard.Guard
	metrics *metrics.Set
	http    *httpapi.Server
	certs   *httpapi.Certificates
	backend *backend.Backend

	members *membership.Membership
	cluster membership.Cluster
	sink    *drain.Opener

	mux    *mux.Mux
	server *forward.Server
	pool   *forward.Pool
	caller *forward.Caller

	router  *route.Router
	catalog *route.Catalog
	dates   *calendar.Calendar
	groups  *leaders
	post    post
	bank    *backend.Bank
	slices  map[allocator.SliceNo]*backend.Slice
}

// Open starts a server. It returns once the server answers probes; that it has
// found its cluster, and grants, shows in /readyz. ctx is for starting only.
//
// The order is this: HTTP first, so that whoever watches can see it start; then
// the cluster's identity, without which no connection between servers can be
// told from another cluster's; then everything that groups need; then the
// groups, whose loops wait until all are open.
func Open(ctx context.Context, cfg config.Config, secrets config.Secrets, logger *slog.Logger) (*Node, error) {
	n := &Node{
		cfg: cfg, secrets: secrets, log: logger.With("node", cfg.NodeID), clock: clockguard.NewClock(),
		failed: make(chan error, 1), opened: make(chan struct{}),
		metrics: metrics.NewSet(), backend: backend.New(),
		catalog: route.NewCatalog(), dates: calendar.New(), groups: newLeaders(),
		fitness: fitness.New(), slices: make(map[allocator.SliceNo]*backend.Slice),
	}
	n.post = post{n}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	for _, start := range []func(context.Context) error{n.setClock, n.lockData, n.listenHTTP, n.findPeers} {
		if err := start(ctx); err != nil {
			return nil, errors.Join(err, n.Close(context.Background()))
		}
	}
	n.loops.Go(func() {
		if err := n.join(n.ctx); err != nil && n.ctx.Err() == nil {
			n.fail(err)
		}
	})
	return n, nil
}

// Failed delivers the error that makes going on impossible. The process should
// end: other servers take over what this one leads.
func (n *Node) Failed() <-chan error { return n.failed }

func (n *Node) fail(err error) {
	select {
	case n.failed <- err:
	default:
	}
}

func (n *Node) lockData(context.Context) (err error) {
	if n.lock, err = lockDir(n.cfg.Data); err != nil {
		return err
	}
	n.watchDisk()
	return nil
}

// findPeers begins to look for the other servers.
func (n *Node) findPeers(context.Context) (err error) {
	founders, err := membership.Founders(n.cfg.Data)
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	gossip := n.cfg.Listen.Gossip
	if n.cfg.Cluster.BootstrapExpect == 1 && len(n.cfg.Cluster.Join) == 0 && founders <= 1 {
		gossip = "" // a cluster of one has nobody to talk to
	}
	n.members, err = membership.Open(membership.Options{
		NodeID: n.cfg.NodeID, DataDir: n.cfg.Data, Expect: n.cfg.Cluster.BootstrapExpect, Slices: n.cfg.Cluster.Slices,
		GossipAddr: gossip, AdvertiseGossip: n.cfg.Advertise.Gossip,
		ClusterAddr: n.cfg.Advertise.Cluster, HTTPAddr: n.cfg.Advertise.HTTP,
		Join: n.cfg.Cluster.Join, GossipKey: n.secrets.GossipKey, Logger: n.log,
	})
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	return nil
}

// join waits for the cluster and takes this server's part in it.
func (n *Node) join(ctx context.Context) (err error) {
	if n.cluster, err = n.members.Await(ctx); err != nil {
		return fmt.Errorf("node: %w", err)
	}
	n.log.Info("member of the cluster", "cluster", n.cluster.ID.String(), "server", n.members.ServerID(), "slices", n.cluster.Slices)
	for _, start := range []func(context.Context) error{n.openSink, n.listenCluster, n.guardClock, n.openAll} {
		if err := start(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) openSink(ctx context.Context) (err error) {
	cfg := persist.Config{
		Driver: persist.DriverSQLite, Path: n.cfg.Sink.SQLite, ClusterID: n.cluster.ID.String(), Logger: n.log,
	}
	if n.secrets.MySQL != "" {
		cfg.Driver, cfg.DSN = persist.DriverMySQL, n.secrets.MySQL
	}
	const patience = 5 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if n.sink, err = drain.Open(ctx, cfg, n.log); err != nil {
		return fmt.Errorf("node: %w", err)
	}
	n.loops.Go(func() { n.sink.Run(n.ctx) })
	return nil
}

// listenCluster brings up what servers talk through.
func (n *Node) listenCluster(context.Context) error {
	server, client, err := clusterTLS(n.cfg.TLS)
	if err != nil {
		return err
	}
	n.mux, err = mux.Listen(mux.Config{
		Addr: n.cfg.Listen.Cluster, ClusterID: mux.ClusterID(n.cluster.ID), Server: n.members.ServerID(),
		ServerTLS: server, ClientTLS: client, Logger: n.log,
	})
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	n.caller = forward.NewCaller(forward.CallerOptions{Dial: n.dial(mux.KindCalls), Logger: n.log})
	n.pool = forward.NewPool(forward.PoolOptions{Dial: n.dial(mux.KindDraws), Now: draws.Now, Logger: n.log})
	n.router = route.NewRouter(route.Config{
		Self: n.members.ServerID(), Slices: n.cluster.Slices, Key: allocator.HashKeyOf(n.cluster.Key),
		Groups: n.groups, Links: n.pool, Catalog: n.catalog, MaxHeld: maxHeld, DiskLow: n.disk.Low,
	})
	n.server = forward.NewServer(forward.ServerOptions{Router: n.router, Now: draws.Now, Logger: n.log})
	return nil
}

// dial connects to another server for one kind of traffic.
func (n *Node) dial(kind mux.Kind) forward.DialFunc {
	return func(ctx context.Context, server string) (net.Conn, error) {
		addr, ok := n.members.Resolve(server)
		if !ok {
			return nil, fmt.Errorf("node: no address of server %s is known", server)
		}
		return n.mux.Dial(ctx, kind, 0, addr)
	}
}

// openAll opens the groups and lets their loops, peers and clients in.
func (n *Node) openAll(context.Context) error {
	if err := n.openGroups(); err != nil {
		return err
	}
	asker := ask.New(n.members.ServerID(), n.groups, n.caller, n.server)
	ask.Handle(asker, askLeader, func(_ context.Context, group uint16, _ struct{}) (string, error) {
		leader, _ := n.groups.Leader(group)
		return leader, nil
	})
	ask.Handle(asker, askClock, func(context.Context, uint16, struct{}) (allocator.Micros, error) {
		return allocator.MicrosOf(n.clock.Wall()), nil
	})
	n.servePeers(asker)
	n.backend.Open(&backend.Parts{
		Members: n.members, Cluster: n.cluster, Slices: n.slices, Bank: n.bank, Router: n.router, Catalog: n.catalog,
		Ask: asker, Groups: n.groups, Sink: n.sink, SharedSink: n.sharedSink(),
		Fitness: n.fitness, Disk: n.disk, Dates: n.dates, Clock: n.clock.Wall, Version: Version(), Logger: n.log,
	})
	n.server.HandlePosts(n.post.deliver)
	n.mux.Handle(mux.KindDraws, func(c net.Conn, p mux.Peer) { n.server.ServeDraws(c, p.Server) })
	n.mux.Handle(mux.KindCalls, func(c net.Conn, p mux.Peer) { n.server.ServeCalls(c, p.Server) })
	close(n.opened)
	placement := membership.Placement(n.cluster.FounderIDs(), n.cluster.Slices)
	n.loops.Go(func() { n.guard.Run(n.ctx) })
	n.loops.Go(func() { n.router.Run(n.ctx) })
	n.loops.Go(func() { n.groups.follow(n.ctx, placement, n.caller) })
	n.loops.Go(func() { n.trim(n.ctx) })
	n.loops.Go(func() { n.yield(n.ctx) })
	n.register()
	return nil
}

// sharedSink reports whether all servers write to one database.
func (n *Node) sharedSink() bool {
	return n.secrets.MySQL != "" || len(n.cluster.Founders) == 1 || n.cfg.Sink.SQLite != filepath.Join(n.cfg.Data, "tombola.db")
}

func notDone(err error) bool { return errors.Is(err, raftstore.ErrNotLeader) }
