package raftstore

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// cachedEntries stay in memory, so that followers that keep up are never
	// served from the disk. An entry is a batch, so there are few.
	cachedEntries = 64
	// maxTogether bounds how many entries travel in one message, are written
	// in one transaction and are applied at once.
	maxTogether = 32
)

// Group is one Raft group on this server. Its methods may be called
// concurrently.
type Group struct {
	opts     Options
	raft     *raft.Raft
	trans    *transport
	streams  *streams
	store    *store
	fsm      *fsm
	pending  *pending
	lead     *leadership
	verifier *verifier
	wedge    *wedge
	fault    *fault
	gate     *gate
	balance  *balance
	prompt   *prompt
	end      *ending
}

// Open opens or creates the group's log in opts.Dir, restores the Machine from
// the last snapshot and joins in. Entries after the snapshot are applied again
// once a leader has said that they are committed.
//
// The layer is the group's from then on: Shutdown closes it, and so does Open
// when it fails.
func Open(opts Options) (*Group, error) {
	g, err := open(opts.withDefaults())
	if err != nil {
		if opts.Layer != nil {
			_ = opts.Layer.Close()
		}
		return nil, fmt.Errorf("raftstore: open group %d: %w", opts.Group, err)
	}
	return g, nil
}

func open(opts Options) (*Group, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	opts.Logger = opts.Logger.With("group", opts.Group)
	end := newEnding(newHCLogger(opts.Logger))
	fault := &fault{group: opts.Group, report: opts.Fatal}
	g := &Group{
		opts:    opts,
		pending: newPending(),
		// An honest transfer lasts two election timeouts at most.
		wedge:   &wedge{limit: 5 * opts.Election / 2, fail: fault.fail},
		fault:   fault,
		gate:    newGate(),
		end:     end,
		streams: newStreams(opts.Layer, opts.Advertise),
	}
	stall := watchdog{limit: opts.DiskStall, fail: fault.hang}
	g.fsm = &fsm{
		machine: opts.Machine, pending: g.pending, fault: fault, closing: &end.closing, room: opts.Room,
		stall: stall, installs: newInstalls(opts.Logger), restored: g.restored,
	}
	g.verifier = &verifier{check: g.verifyOnce}
	g.lead = &leadership{
		lead:    opts.Lead,
		won:     g.wedge.reset,
		barrier: g.barrier,
		current: func() uint64 { return g.raft.CurrentTerm() },
		retry:   opts.Election / 10,
		logger:  opts.Logger,
	}
	g.balance = &balance{
		local:    opts.Local,
		election: opts.Election,
		leading:  g.lead.leading,
		ready: func(server string) bool {
			_, ok := g.ready(server)
			return ok && g.eligible(server)
		},
		transfer: g.Transfer,
		logger:   opts.Logger,
	}
	g.prompt = &prompt{local: opts.Local, election: opts.Election}
	for _, s := range opts.Bootstrap {
		g.prompt.order = append(g.prompt.order, s.ID)
	}
	var err error
	if g.store, err = openStore(opts.Dir, fault.fail, stall); err != nil {
		return nil, err
	}
	if err := g.start(); err != nil {
		return nil, errors.Join(err, g.store.close())
	}
	return g, nil
}

// start brings Raft up on the open store. On an error nothing of it is left.
func (g *Group) start() error {
	if err := removeTorn(g.opts.Dir); err != nil {
		return err
	}
	files, err := raft.NewFileSnapshotStoreWithLogger(g.opts.Dir, retainedSnapshots, g.end.log.Named("snapshot"))
	if err != nil {
		return fmt.Errorf("open snapshots: %w", err)
	}
	snaps := &keptSnapshots{
		SnapshotStore: files, dir: filepath.Join(g.opts.Dir, "snapshots"), log: g.store, logger: g.opts.Logger,
	}
	if err := snaps.check(); err != nil {
		return err
	}
	cache, err := raft.NewLogCache(cachedEntries, g.store)
	if err != nil {
		return err
	}
	g.trans = g.newTransport()
	conf := g.config()
	if len(g.opts.Bootstrap) > 0 {
		err = bootstrap(conf, g.store, snaps, g.trans, g.opts.Bootstrap)
	}
	if err == nil {
		// Raft may report leadership before NewRaft has returned, so notices
		// are read only after the field is set; until then Raft waits.
		g.raft, err = raft.NewRaft(conf, g.fsm, cache, g.store, snaps, g.trans)
	}
	if err != nil {
		_ = g.trans.Close()
		close(g.end.gone)
		g.streams.wait()
		g.end.gates.Wait()
		return cmp.Or(g.fault.cause(), snaps.lost(), err)
	}
	g.fsm.started.Store(true)
	snaps.started.Store(true)
	g.prompt.raft.Store(g.raft)
	g.runLoops()
	g.fault.arm()
	return nil
}

func (g *Group) newTransport() *transport {
	conf := &raft.NetworkTransportConfig{
		Stream:  g.streams,
		MaxPool: pooledConns,
		Timeout: rpcTime,
		Logger:  g.end.log.Named("net"),
	}
	if g.opts.Resolve != nil {
		conf.ServerAddressProvider = resolver{
			local: g.opts.Local, advertise: g.opts.Advertise, resolve: g.opts.Resolve,
		}
	}
	t := &transport{
		NetworkTransport: raft.NewNetworkTransportWithConfig(conf),
		peers:            newPeers(),
		prompt:           g.prompt,
		patience:         g.opts.Election / 2,
		sent:             newInstalls(g.opts.Logger),
	}
	if g.opts.Room != nil {
		t.room = newRoomGate(g.opts.Room, g.end.gone, g.opts.Logger)
		g.end.gates.Go(func() { t.room.run(t.NetworkTransport.Consumer()) })
	}
	return t
}

func (g *Group) config() *raft.Config {
	conf := raft.DefaultConfig()
	conf.LocalID = raft.ServerID(g.opts.Local)
	conf.HeartbeatTimeout = heartbeatTimeout(g.opts.Election)
	conf.ElectionTimeout = conf.HeartbeatTimeout
	conf.LeaderLeaseTimeout = g.opts.Election
	conf.MaxAppendEntries = maxTogether
	conf.TrailingLogs = trailingEntries
	// The snapshotter decides instead.
	conf.SnapshotThreshold = math.MaxUint64
	conf.SnapshotInterval = 24 * time.Hour
	// A removed member stays a follower without a vote until the node, which
	// knows why it was removed, shuts it down.
	conf.ShutdownOnRemove = false
	conf.NotifyCh = g.end.notices
	conf.Logger = g.end.log
	conf.NoLegacyTelemetry = true
	return conf
}

func (g *Group) runLoops() {
	snapshots := &snapshotter{
		take:   g.Snapshot,
		bytes:  g.fsm.unsnapped.Load,
		limit:  g.opts.SnapshotBytes,
		every:  g.opts.SnapshotEvery,
		logger: g.opts.Logger,
	}
	g.end.loops.Go(func() { g.lead.watch(g.end.notices, g.end.stop) })
	g.end.loops.Go(func() { snapshots.run(g.end.stop) })
	g.end.loops.Go(func() { g.balance.run(g.end.stop) })
	g.end.loops.Go(func() { g.prompt.run(g.end.stop) })
}

// enqueueTime is how long an entry may wait for the leader to take it.
func (g *Group) enqueueTime() time.Duration { return 4 * g.opts.Election }

// barrier returns once the Machine has applied everything that was committed
// before.
func (g *Group) barrier() error {
	err := g.await(g.raft.Barrier(g.enqueueTime()))
	g.wedge.observe(err)
	return err
}
