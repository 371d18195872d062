package raftstore

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// fsm is what Raft drives; it drives the Machine. After a failure it applies
// nothing more and takes no snapshot, since that would cover the entry that
// failed.
type fsm struct {
	machine   Machine
	pending   *pending
	fault     *fault
	closing   *atomic.Bool
	room      func() bool // whether snapshots may be written; nil: always
	stall     watchdog    // an entry's events are written to the disk
	installs  *installs
	started   atomic.Bool              // what is restored from now on came from a leader
	unsnapped atomic.Int64             // bytes applied since the last snapshot
	restored  func(took time.Duration) // told of each Restore
}

// Apply implements raft.FSM. The response is nil or an error.
func (f *fsm) Apply(entry *raft.Log) any {
	if err := f.fault.cause(); err != nil {
		return err
	}
	if len(entry.Data) < EntryHeadroom {
		err := fmt.Errorf("apply entry %d: %d bytes are too few", entry.Index, len(entry.Data))
		f.fault.fail(err)
		return err
	}
	p := f.pending.take(entry.Data)
	var into any
	if p != nil {
		into = p.into
	}
	w := f.stall.begin("state machine: apply")
	err := f.machine.Apply(entry.Data[EntryHeadroom:], into)
	w.end()
	if err != nil {
		err = fmt.Errorf("apply entry %d: %w", entry.Index, err)
		f.fault.fail(err)
	}
	f.unsnapped.Add(int64(len(entry.Data)))
	if p != nil {
		p.finish(err)
	}
	if err != nil {
		return err
	}
	return nil
}

// Snapshot implements raft.FSM.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	if err := f.fault.cause(); err != nil {
		return nil, err
	}
	image, err := f.machine.Snapshot()
	if err != nil {
		return nil, err
	}
	return &fsmImage{image: image, covered: f.unsnapped.Load(), fsm: f}, nil
}

// Restore implements raft.FSM. A machine that could not be restored may be in
// any state, so no older snapshot is tried on it either.
func (f *fsm) Restore(r io.ReadCloser) error {
	if err := f.fault.cause(); err != nil {
		return err
	}
	start := time.Now()
	if err := f.machine.Restore(r); err != nil {
		err = fmt.Errorf("restore a snapshot: %w", err)
		f.fault.fail(err)
		return err
	}
	f.unsnapped.Store(0)
	if f.started.Load() {
		f.installs.happened("", time.Now())
	}
	f.restored(time.Since(start))
	return nil
}

// fsmImage is a captured state on its way to the disk.
type fsmImage struct {
	image   Image
	covered int64 // bytes that the log no longer has to hold
	fsm     *fsm
}

// Persist implements raft.FSMSnapshot.
func (i *fsmImage) Persist(sink raft.SnapshotSink) error {
	err := i.image.Persist(stoppable{to: sink, stop: i.fsm.closing, room: i.fsm.room})
	if err != nil {
		_ = sink.Cancel()
		return err
	}
	if err := sink.Close(); err != nil {
		return err
	}
	i.fsm.unsnapped.Add(-i.covered)
	return nil
}

// Release implements raft.FSMSnapshot.
func (i *fsmImage) Release() { i.image.Release() }

// stoppable fails writes once stop is set, so that a shutdown need not wait
// for a large snapshot, and while the disk has no room: what is left of it
// belongs to the log.
type stoppable struct {
	to   io.Writer
	stop *atomic.Bool
	room func() bool // nil: always
}

func (s stoppable) Write(p []byte) (int, error) {
	if s.stop.Load() {
		return 0, errClosing
	}
	if s.room != nil && !s.room() {
		return 0, errNoRoom
	}
	return s.to.Write(p)
}
