package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"tombola/allocator"
	"tombola/node/backend"
	"tombola/node/drain"
	"tombola/node/draws"
	"tombola/node/membership"
	"tombola/node/quota"
	"tombola/raftstore"
	"tombola/raftstore/machine"
	"tombola/raftstore/outbox"
)

// Bounds on what waits in one slice's leader, and for a leader.
const (
	maxQueued = 32768
	maxParked = 32768
	maxHeld   = 32768
)

// sunkWait is how long the drain waits for its slice to take in how far the sink
// is. It says so again.
const sunkWait = time.Second

// openGroups opens the groups that are placed on this server.
func (n *Node) openGroups() error {
	placement := membership.Placement(n.cluster.FounderIDs(), n.cluster.Slices)
	for no, servers := range placement {
		if !slices.Contains(servers, n.members.ServerID()) {
			continue
		}
		err := n.ctx.Err() // large ones take a while to load
		if err != nil {
			return err
		}
		if no == 0 {
			err = n.openBank(servers)
		} else {
			err = n.openSlice(allocator.SliceNo(no), servers)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) openBank(servers []string) error {
	bank := &backend.Bank{Machine: machine.NewBank(allocator.BankConfig{Slices: n.cluster.Slices}, n.learnFromBank)}
	bank.Stamp = n.guard.Stamp(n.cfg.Timing.AcceptClockBack, n.log.With("group", "bank"))
	bank.Loop = quota.NewBank(quota.Config{
		Log: lateLog{&bank.Group}, Headroom: raftstore.EntryHeadroom, State: bank.Machine,
		Clock: bank.Stamp.Next, Slice: n.post.words, Retain: n.cfg.Timing.Retain, Logger: n.log,
	})
	var err error
	bank.Group, err = n.openGroup(0, servers, bank.Machine, bank.Loop.Run)
	if err != nil {
		return err
	}
	n.bank = bank
	n.groups.add(0, bank.Group)
	return nil
}

func (n *Node) openSlice(no allocator.SliceNo, servers []string) error {
	log := n.log.With("slice", no)
	box, err := outbox.Open(outbox.Options{Dir: filepath.Join(n.groupDir(uint16(no)), "outbox"), Tag: uint16(no), Logger: log})
	if err != nil {
		return fmt.Errorf("node: slice %d: %w", no, err)
	}
	s := &backend.Slice{No: no, Outbox: box, Stamp: n.guard.Stamp(n.cfg.Timing.AcceptClockBack, log)}
	n.slices[no] = s // from here on closing is the node's
	s.Machine = machine.NewSlice(allocator.SliceConfig{
		Slice: no, Slices: n.cluster.Slices, Key: allocator.HashKeyOf(n.cluster.Key),
	}, box, n.learnFromSlice)
	if !n.sharedSink() {
		s.Machine.CarryAll() // this server's sink begins with the first event
	}
	s.Engine = draws.NewEngine(draws.Config{
		Slice: no, Log: lateLog{&s.Group}, Headroom: raftstore.EntryHeadroom, NotDone: notDone,
		Clock: s.Stamp.Next, Bank: n.post.notes, State: s.Machine, Dates: n.dates, Router: n.router,
		Logger: log, MaxQueued: maxQueued, MaxParked: maxParked,
	})
	s.Drain = drain.New(drain.Config{
		Slice: no, Source: box, Sink: n.sink, PrizeID: prizeIDs(s.Machine), Logger: n.log, // it names the slice itself
		Peers: n.peers(no, servers), Confirmed: sunk(s.Machine),
		Sunk: func(ctx context.Context, seq uint64) error {
			// The drain goes on whether or not the slice can decide anything.
			ctx, cancel := context.WithTimeout(ctx, sunkWait)
			defer cancel()
			_, err := s.Engine.Order(ctx, func(w *allocator.EntryWriter) { w.Sunk(seq) })
			return err
		},
	})
	s.Group, err = n.openGroup(uint16(no), servers, s.Machine, func(ctx context.Context) {
		var wg sync.WaitGroup
		wg.Go(func() { s.Drain.Run(ctx) })
		s.Engine.Run(ctx)
		wg.Wait()
	})
	if err != nil {
		return err
	}
	n.groups.add(uint16(no), s.Group)
	n.router.Add(no, s.Engine)
	return nil
}

// openGroup opens a group's Raft. lead runs while this server leads it, and
// not before all groups are open: leaders of different groups talk.
func (n *Node) openGroup(no uint16, servers []string, m raftstore.Machine, lead func(context.Context)) (*raftstore.Group, error) {
	var founders []raftstore.Server
	for _, id := range servers {
		for _, s := range n.cluster.Founders {
			if s.ID == id {
				founders = append(founders, raftstore.Server{ID: id, Addr: s.ClusterAddr})
			}
		}
	}
	logDir := filepath.Join(n.groupDir(no), "raft")
	// The mark is beside the identity, away from what it is the mark of.
	mark := filepath.Join(n.cfg.Data, "created-"+strconv.Itoa(int(no)))
	if err := checkLog(mark, logDir); err != nil {
		return nil, err
	}
	g, err := raftstore.Open(raftstore.Options{
		Group: no, Dir: logDir, Local: n.members.ServerID(),
		Advertise: n.cfg.Advertise.Cluster, Layer: n.mux.StreamLayer(no), Resolve: n.members.Resolve,
		Eligible: n.members.Eligible,
		Machine:  m, Lead: n.leading(lead), Bootstrap: founders, Election: n.cfg.Timing.ElectionTimeout,
		DiskStall: n.cfg.Timing.DiskStallTimeout, SnapshotBytes: int64(n.cfg.SnapshotBytes), Room: n.disk.Room,
		Logger: n.log, Fatal: n.fail,
	})
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	if err := markCreated(mark); err != nil {
		return nil, errors.Join(err, g.Shutdown(n.ctx))
	}
	g.Prefer(servers[0])
	return g, nil
}

func (n *Node) leading(lead func(context.Context)) func(context.Context, uint64) {
	return func(ctx context.Context, _ uint64) {
		select {
		case <-n.opened:
		case <-ctx.Done():
			return
		}
		lead(ctx)
	}
}

func (n *Node) groupDir(no uint16) string {
	return filepath.Join(n.cfg.Data, "groups", strconv.Itoa(int(no)))
}

// learnFromBank keeps the catalog up to date with the bank's state here.
func (n *Node) learnFromBank(b *allocator.Bank, touched []allocator.PrizeNo) {
	if touched == nil {
		for _, def := range b.Definitions(0, 1<<31) {
			n.catalog.Learn(def)
		}
	}
	for _, no := range touched {
		if def, ok := b.Definition(no); ok && def.Version > n.catalog.Version(no) {
			n.catalog.Learn(def)
		}
	}
}

// learnFromSlice keeps it up to date with what a slice here has committed.
func (n *Node) learnFromSlice(s *allocator.Slice, touched []allocator.PrizeNo) {
	if touched == nil {
		touched = s.Prizes()
	}
	for _, no := range touched {
		if def, ok := s.Definition(no); ok && def.Version > n.catalog.Version(no) {
			n.catalog.Learn(def)
		}
	}
}

func prizeIDs(m *machine.Slice) func(allocator.PrizeNo) (string, bool) {
	return func(no allocator.PrizeNo) (id string, ok bool) {
		m.Read(func(s *allocator.Slice) { id, ok = s.PrizeID(no) })
		return id, ok
	}
}

func sunk(m *machine.Slice) func() uint64 {
	return func() (seq uint64) {
		m.Read(func(s *allocator.Slice) { seq = s.Sunk() })
		return seq
	}
}

// lateLog is a group that is opened after those who use it, which they do only
// while it leads.
type lateLog struct{ group **raftstore.Group }

func (l lateLog) Propose(entry []byte, into any) error { return (*l.group).Propose(entry, into) }

func (l lateLog) Verify(ctx context.Context) error { return (*l.group).Verify(ctx) }
