package raftstore

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"
)

// Machine is the state machine of one group. Its methods are called by one
// goroutine at a time; Image.Persist runs beside them.
type Machine interface {
	// Apply applies one committed entry. The entry may be kept but not
	// changed. into is what the proposer passed to Propose if that was called
	// on this server in this process and still waits, else nil. An error
	// means that this copy of the state can't go on: it is fatal for the
	// process, and nothing is applied after it.
	Apply(entry []byte, into any) error
	// Snapshot captures the state as it is now. Apply waits meanwhile, so it
	// must be quick: the work belongs in Image.Persist.
	Snapshot() (Image, error)
	// Restore replaces the whole state. An error is fatal for the process.
	Restore(r io.Reader) error
}

// Image is a captured state.
type Image interface {
	// Persist writes the state; Apply goes on beside it.
	Persist(w io.Writer) error
	// Release is called once, whether or not Persist was.
	Release()
}

// Server is a member of a group.
type Server struct {
	ID   string // unique for all time: a server that lost its disk has a new one
	Addr string // host:port of its mux
}

// Defaults of Options.
const (
	DefaultElection      = 500 * time.Millisecond
	DefaultSnapshotBytes = 64 << 20
	DefaultSnapshotEvery = 5 * time.Minute
)

// Options is what Open needs. Fields are required unless they say otherwise.
type Options struct {
	Group     uint16 // for logs and errors
	Dir       string // the group's own directory; created where missing
	Local     string // this server's id
	Advertise string // the address at which the others reach Layer
	Layer     raft.StreamLayer

	// Resolve returns the current address of a server; where it is nil or has
	// none, the address in the group's configuration is used. It is called
	// for every message outside of a pipeline, so it must be quick.
	Resolve func(server string) (addr string, ok bool)

	Machine Machine

	// Lead, if not nil, runs while this server leads, from the term's barrier
	// until ctx ends with the leadership. It should return soon after that:
	// no later term begins before it has. It may be called before Open has
	// returned.
	Lead func(ctx context.Context, term uint64)

	// Bootstrap lists the first members of a new group, the same on each of
	// them. Once the group has a log or a snapshot here, only their order
	// counts: when a leader dies, the first of the others is the first to ask
	// for votes. Empty: wait to be added by a leader.
	Bootstrap []Server

	// Eligible reports whether a server may be given the leadership; nil: all
	// may. It is called often and must be quick. Elections don't ask it.
	Eligible func(server string) bool

	// Election is the heartbeat timeout, the election timeout and the
	// leader's lease. The same on all members. Default DefaultElection.
	Election time.Duration

	// A snapshot is due once SnapshotBytes of entries were applied since the
	// last one, or SnapshotEvery has passed and anything was applied. Default
	// DefaultSnapshotBytes and DefaultSnapshotEvery.
	SnapshotBytes int64
	SnapshotEvery time.Duration

	// DiskStall is how long a write to the log, or the Machine's of an entry,
	// may take before it is fatal: a disk that hangs gives no error. 0: any time.
	DiskStall time.Duration

	// Room, if not nil, reports whether there is room on the disk for what a
	// leader sends. While there is none, entries and snapshots are refused
	// before they touch the disk, and this server is a follower that falls
	// behind; nor does it take snapshots of its own. It is called for every message with entries, so it must be quick.
	Room func() bool

	Logger *slog.Logger

	// Fatal is called at most once, with what makes going on impossible, from
	// any goroutine; it should end the process. It must not wait for the
	// group. From then on proposals fail with ErrUnknown.
	Fatal func(error)
}

func (o Options) withDefaults() Options {
	if o.Election == 0 {
		o.Election = DefaultElection
	}
	if o.SnapshotBytes == 0 {
		o.SnapshotBytes = DefaultSnapshotBytes
	}
	if o.SnapshotEvery == 0 {
		o.SnapshotEvery = DefaultSnapshotEvery
	}
	return o
}

func (o Options) check() error {
	switch {
	case o.Dir == "":
		return errors.New("no directory")
	case o.Local == "":
		return errors.New("no server id")
	case o.Advertise == "":
		return errors.New("no address to advertise")
	case o.Layer == nil || o.Machine == nil || o.Logger == nil || o.Fatal == nil:
		return errors.New("layer, machine, logger and fatal are all needed")
	case o.Election < 10*time.Millisecond:
		return errors.New("election timeout under 10ms")
	case o.DiskStall < 0:
		return errors.New("negative disk stall timeout")
	case o.SnapshotBytes < 0 || o.SnapshotEvery < 0:
		return errors.New("negative snapshot trigger")
	}
	return nil
}
