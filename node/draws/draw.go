// Package draws is what a slice's leader does with draws: it looks each one
// up, refuses what needs no log entry, proposes the rest in batches, parks
// those that met an empty purse, and wakes whoever waits.
package draws

import (
	"sync"

	"tombola/allocator"
)

// Limits on what a draw carries, in bytes.
const (
	MaxUser      = 128
	MaxRequestID = 64
)

// Failure says why a draw has no outcome.
type Failure uint8

// The failures. All but UnknownOutcome mean: certainly not done.
const (
	NoFailure      Failure = 0
	NoLeader       Failure = 1 // the draw's slice has no leader that could be reached
	Timeout        Failure = 2 // no token came within the draw's deadline
	Overloaded     Failure = 3 // shed: too many draws wait already
	Draining       Failure = 4 // the node is stopping
	DiskLow        Failure = 5 // the node's disk is below its floor
	UnknownOutcome Failure = 6 // it may or may not have been done
)

// Answer is what became of a draw: an outcome, or the failure that stands in
// for it.
type Answer struct {
	Failure Failure
	Slice   allocator.SliceNo // the slice that granted
	allocator.Outcome
}

// Notifier is told once that a draw has its answer.
type Notifier interface {
	// Answered is called with d.Answer set. It must not block. Whoever is
	// notified owns d again and calls Release when done with it.
	Answered(d *Draw)
}

// Draw is one draw on its way to an answer. Draws are pooled and hold their
// bytes themselves, so that the path of a draw allocates nothing.
//
// Ownership passes with the draw: from the caller to the router, to a slice's
// engine or to a forwarding connection, and back by Notifier.Answered.
type Draw struct {
	Prize    allocator.PrizeNo
	Deadline int64 // on the clock of Now, nanoseconds
	Hops     uint8 // how often it was forwarded already
	Homed    bool  // it belongs to its user's home slice, whatever else is known
	Answer   Answer

	user      [MaxUser]byte
	requestID [MaxRequestID]byte
	userLen   uint8
	reqLen    uint8

	notify Notifier
	wake   chan struct{}
}

// pool is shared by all who make draws. It is a variable of the package since
// a sync.Pool serves its purpose only when it is shared.
var pool = sync.Pool{New: func() any { return &Draw{wake: make(chan struct{}, 1)} }} //nolint:gochecknoglobals // see above

// New takes a draw from the pool with copies of user and requestID, which must
// be within their limits. notify may be nil: then Wait waits for the answer.
func New(prize allocator.PrizeNo, user, requestID []byte, deadline int64, notify Notifier) *Draw {
	d := pool.Get().(*Draw)
	d.Prize, d.Deadline, d.Hops, d.Homed, d.Answer = prize, deadline, 0, false, Answer{}
	d.userLen = uint8(copy(d.user[:], user))
	d.reqLen = uint8(copy(d.requestID[:], requestID))
	d.notify = notify
	return d
}

// User returns the user's id, valid until Release.
func (d *Draw) User() []byte { return d.user[:d.userLen] }

// RequestID returns the request id, empty when there is none, valid until
// Release.
func (d *Draw) RequestID() []byte { return d.requestID[:d.reqLen] }

// Finish hands the draw back with its answer.
func (d *Draw) Finish(a Answer) {
	d.Answer = a
	d.handBack()
}

// handBack hands the draw back with the answer that is set.
func (d *Draw) handBack() {
	if d.notify != nil {
		d.notify.Answered(d)
		return
	}
	d.wake <- struct{}{}
}

// Fail hands the draw back without an outcome.
func (d *Draw) Fail(f Failure) { d.Finish(Answer{Failure: f}) }

// Wait blocks until the draw is finished and returns its answer.
func (d *Draw) Wait() Answer {
	<-d.wake
	return d.Answer
}

// Release gives the draw back to the pool.
func (d *Draw) Release() { pool.Put(d) }
