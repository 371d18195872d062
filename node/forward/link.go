package forward

import (
	"context"
	"net"

	"tombola/node/draws"
)

// Link forwards draws to one server. All methods may be called concurrently.
type Link struct {
	line
	window int

	// guarded by line.mu
	pending  []outgoing // not yet being written
	spare    []outgoing // the writer's other buffer for pending
	inFlight slots      // may have been written
}

// outgoing is a draw that waits to be written.
type outgoing struct {
	draw  *draws.Draw
	group uint16
}

// Send forwards d to the engine of group on the link's server and returns at
// once; d comes back by its notifier. It must not be called by somebody who
// holds a lock that the notifier takes: a draw that can't be sent comes back
// before Send returns.
func (l *Link) Send(group uint16, d *draws.Draw) {
	l.mu.Lock()
	if f := l.admit(); f != draws.NoFailure {
		l.mu.Unlock()
		d.Fail(f)
		return
	}
	l.pending = append(l.pending, outgoing{d, group})
	wake := l.nudge()
	l.mu.Unlock()
	if wake {
		l.signal()
	}
}

// admit says whether a draw may wait to be written. The caller holds mu.
func (l *Link) admit() draws.Failure {
	switch l.phase {
	case closed:
		return draws.Draining
	case resting:
		l.demand = true
		return draws.NoLeader
	case idle:
		l.demand = true
	case dialing:
		if l.stale(l.now()) {
			return draws.NoLeader
		}
	case up:
	}
	if len(l.pending)+l.inFlight.used() >= l.window {
		return draws.Overloaded
	}
	return draws.NoFailure
}

// Waiting returns how many draws wait to be written, and how many were written
// and wait for their answer.
func (l *Link) Waiting() (unwritten, unanswered int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pending), l.inFlight.used()
}

// Connected reports whether the link has a connection now. Links connect when
// there is something to send.
func (l *Link) Connected() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.phase == up
}

func (l *Link) waits() bool { return len(l.pending) > 0 }

func (l *Link) carry(ctx context.Context, conn net.Conn) {
	l.converse(ctx, conn,
		func() error { return l.read(conn) },
		func(broken <-chan struct{}) error { return l.write(ctx, conn, broken) })
}

// write sends whatever waits, batch after batch: while one is being written
// the next one fills.
func (l *Link) write(ctx context.Context, conn net.Conn, broken <-chan struct{}) error {
	out := batch{kind: frameDraws}
	var ids []uint64
	var expired []*draws.Draw
	for l.next(ctx, broken, l) {
		sending := l.pending
		l.pending, l.spare = l.spare[:0], nil
		ids = ids[:0]
		for range sending {
			ids = append(ids, l.inFlight.reserve())
		}
		ping := l.ping
		l.ping = false
		l.mu.Unlock()

		// The draws of this batch belong to this goroutine alone now: they are
		// neither pending nor in flight, so that nobody else may finish them
		// while they are being read.
		out.reset()
		expired = l.encode(&out, sending, ids, expired[:0])
		if ping {
			out.sign()
		}
		l.mu.Lock()
		for i, o := range sending {
			if o.draw != nil {
				l.inFlight.put(ids[i], o.draw)
			} else {
				l.inFlight.release(ids[i])
			}
		}
		clear(sending)
		l.spare = sending[:0]
		l.mu.Unlock()

		failAll(expired, draws.Timeout)
		if len(out.buf) == 0 {
			continue
		}
		if _, err := conn.Write(out.buf); err != nil {
			return err
		}
	}
	return nil
}

// encode adds the draws to out. Those whose time is up it takes from sending
// and appends to expired.
func (l *Link) encode(out *batch, sending []outgoing, ids []uint64, expired []*draws.Draw) []*draws.Draw {
	now := l.now()
	for i, o := range sending {
		left := remaining(o.draw.Deadline - now)
		if left == 0 {
			expired = append(expired, o.draw)
			sending[i].draw = nil
			continue
		}
		out.room()
		out.buf = appendDraw(out.buf, ids[i], o.group, o.draw, left)
		out.added()
	}
	out.seal()
	return expired
}

// remaining turns what is left of a draw's time, in nanoseconds, into the
// milliseconds that the other side gets: a sixteenth less, at most 50 ms, so
// that its "certainly not done" is back before this side has to give up with
// "unknown".
func remaining(left int64) uint32 {
	const ms = 1_000_000
	if left <= 0 {
		return 0
	}
	left -= min(left/16, 50*ms)
	return uint32(min(left/ms, maxRemaining))
}

// read completes draws with the answers that come in.
func (l *Link) read(conn net.Conn) error {
	type finished struct {
		draw   *draws.Draw
		answer *draws.Answer
	}
	in := newFrameReader(l.hear(conn), maxBatchBytes)
	var items []answerItem
	var done []finished
	for {
		f, err := in.next()
		if err != nil {
			return err
		}
		if items, err = decodeAnswers(f, items[:0]); err != nil {
			return err
		}
		done = done[:0]
		l.mu.Lock()
		for i := range items {
			// None is there when the draw's deadline passed, or when the
			// other side answers twice.
			if d := l.inFlight.take(items[i].id); d != nil {
				done = append(done, finished{d, &items[i].answer})
			}
		}
		l.mu.Unlock()
		for _, f := range done {
			f.draw.Finish(*f.answer)
		}
	}
}

func (l *Link) disconnected() func() {
	lost := l.inFlight.all(nil)
	return func() { failAll(lost, draws.UnknownOutcome) }
}

func (l *Link) unreachable(error) func() {
	failure := draws.NoLeader
	if l.phase == closed {
		failure = draws.Draining
	}
	unsent := l.dropPending(nil, func(*draws.Draw) bool { return true })
	return func() { failAll(unsent, failure) }
}

// dropPending takes the draws that match from those that wait to be written
// and appends them to into. The caller holds mu.
func (l *Link) dropPending(into []*draws.Draw, match func(*draws.Draw) bool) []*draws.Draw {
	kept := l.pending[:0]
	for _, o := range l.pending {
		if match(o.draw) {
			into = append(into, o.draw)
		} else {
			kept = append(kept, o)
		}
	}
	clear(l.pending[len(kept):])
	l.pending = kept
	return into
}

// sweep fails the draws whose deadline has passed, and those that have waited
// too long for a connection. scratch is used again by the next sweep.
func (l *Link) sweep(now int64, scratch []*draws.Draw) []*draws.Draw {
	l.mu.Lock()
	failed := l.inFlight.expired(now, scratch[:0])
	unknown := len(failed)
	if len(l.pending) > 0 {
		failed = l.dropPending(failed, func(d *draws.Draw) bool { return d.Deadline < now })
	}
	late := len(failed)
	if l.stale(now) {
		failed = l.dropPending(failed, func(*draws.Draw) bool { return true })
	}
	l.mu.Unlock()
	failAll(failed[:unknown], draws.UnknownOutcome)
	failAll(failed[unknown:late], draws.Timeout)
	failAll(failed[late:], draws.NoLeader)
	clear(failed)
	return failed
}

func failAll(all []*draws.Draw, f draws.Failure) {
	for _, d := range all {
		d.Fail(f)
	}
}
