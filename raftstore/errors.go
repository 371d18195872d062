package raftstore

import (
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"
)

// ErrNotLeader means that this server does not lead the group, or not any
// more, or not yet. What was asked for has certainly not been done and will not
// be.
var ErrNotLeader = errors.New("not the leader")

// ErrUnknown means that an entry was handed to Raft and that its fate is open:
// it may be applied later, by whoever leads then, or never.
var ErrUnknown = errors.New("outcome unknown")

// errClosing is the cause of errors during and after Shutdown.
var errClosing = errors.New("the group is shut down")

// proposalError sorts Raft's error for a proposal by what it says about the
// entry.
func proposalError(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader),
		errors.Is(err, raft.ErrEnqueueTimeout),
		errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return fmt.Errorf("raftstore: propose: %w (%w)", ErrNotLeader, err)
	default:
		return fmt.Errorf("raftstore: propose: %w (%w)", ErrUnknown, err)
	}
}

// fault takes the first error that makes going on impossible to
// Options.Fatal. Until it is armed it only remembers, so that Open can return
// what went wrong.
type fault struct {
	group  uint16
	report func(error)

	mu    sync.Mutex
	err   error
	armed bool
}

// fail records err and, once armed, reports it. Later errors are dropped.
func (f *fault) fail(err error) {
	f.mu.Lock()
	first := f.err == nil
	if first {
		f.err = fmt.Errorf("raftstore: group %d: %w", f.group, err)
	}
	err, report := f.err, first && f.armed
	f.mu.Unlock()
	if report {
		f.report(err)
	}
}

// arm starts to report; what was recorded before is reported now.
func (f *fault) arm() {
	f.mu.Lock()
	unreported := !f.armed && f.err != nil
	f.armed = true
	err := f.err
	f.mu.Unlock()
	if unreported {
		f.report(err)
	}
}

// hang records that something never returns and reports it at once: Open may
// be what waits for it.
func (f *fault) hang(err error) {
	f.fail(err)
	f.arm()
}

// cause returns what was recorded, or nil.
func (f *fault) cause() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}
