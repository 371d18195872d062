package forward

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// DialFunc connects to a server, named by its server id: it finds the address
// and agrees with the other side on what the connection is for.
type DialFunc func(ctx context.Context, server string) (net.Conn, error)

// Pace of connecting and of noticing that a connection is dead.
const (
	dialTimeout = 3 * time.Second
	backoffMin  = 50 * time.Millisecond
	backoffMax  = time.Second
	// freshDial is how long a draw may wait for a connection that is being
	// made. A server that is up answers well within it.
	freshDial = 100 * time.Millisecond
	// A link asks for a sign of life when it has heard nothing for pingAfter,
	// and gives its connection up when it has heard nothing for linkPatience.
	pingAfter    = time.Second
	linkPatience = 3 * time.Second
)

type phase uint8

const (
	idle    phase = iota // not connected, nothing to send
	dialing              // being connected
	resting              // the last attempt failed, the next one is due later
	up                   // connected
	closed               // for good
)

// lineConfig is what a line is made with.
type lineConfig struct {
	server   string
	dial     DialFunc
	log      *slog.Logger
	now      func() int64  // nanoseconds
	patience time.Duration // how long nothing may be heard
}

// line is one connection to one server: made when there is something to send,
// made again when it broke. What is sent on it is its carrier's business.
type line struct {
	lineConfig
	wake  chan struct{} // one slot: something to send
	quiet atomic.Int32  // beats since something was read

	mu      sync.Mutex // guards the rest, and the carrier's queues
	phase   phase
	since   int64 // when the phase began
	demand  bool  // something wants to be sent
	waiting bool  // a goroutine sleeps on wake
	ping    bool  // a sign of life is to be asked for
	conn    net.Conn
}

// carrier is what uses a line.
type carrier interface {
	// carry writes and reads until conn breaks or ctx ends, and closes conn.
	carry(ctx context.Context, conn net.Conn)
	// disconnected fails what may have been written, after carry. It is
	// called with mu held and returns what to do without.
	disconnected() (after func())
	// unreachable fails what was not written, after an attempt to connect
	// failed. It is called with mu held and returns what to do without.
	unreachable(err error) (after func())
	// waits reports whether something waits to be written. Called with mu held.
	waits() bool
}

func newLine(c lineConfig) line {
	c.log = c.log.With("server", c.server)
	return line{lineConfig: c, wake: make(chan struct{}, 1)}
}

// run keeps the line until ctx ends.
func (l *line) run(ctx context.Context, c carrier) {
	backoff, failing := backoffMin, false
	for l.awaitDemand(ctx) {
		dialCtx, cancel := context.WithTimeout(ctx, dialTimeout)
		conn, err := l.dial(dialCtx, l.server)
		cancel()
		if err != nil {
			l.enter(resting, nil, func() func() { return c.unreachable(err) })
			if !failing && ctx.Err() == nil {
				l.log.Warn("forward: server can't be reached; trying on", "error", err)
			}
			failing = true
			if !rest(ctx, backoff) {
				break
			}
			backoff = min(2*backoff, backoffMax)
			l.enter(idle, nil, nil)
			continue
		}
		if failing {
			l.log.Info("forward: server reached again")
		}
		backoff, failing = backoffMin, false
		l.quiet.Store(0)
		l.enter(up, conn, nil)
		c.carry(ctx, conn)
		l.enter(idle, nil, c.disconnected)
		l.mu.Lock()
		l.demand = l.demand || c.waits()
		l.mu.Unlock()
	}
	l.enter(closed, nil, func() func() { return c.unreachable(ErrClosed) })
}

// rest waits for about d; false when ctx ended.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// enter changes the phase together with what carrier does about it, so that
// nobody finds the new phase with the old queues.
func (l *line) enter(p phase, conn net.Conn, with func() func()) {
	l.mu.Lock()
	l.phase, l.since, l.conn, l.ping = p, l.now(), conn, false
	var after func()
	if with != nil {
		after = with()
	}
	l.mu.Unlock()
	if after != nil {
		after()
	}
}

// awaitDemand blocks until something wants to be sent, and begins to dial;
// false once ctx ended.
func (l *line) awaitDemand(ctx context.Context) bool {
	for {
		if ctx.Err() != nil {
			return false
		}
		l.mu.Lock()
		if l.demand {
			l.demand, l.phase, l.since = false, dialing, l.now()
			l.mu.Unlock()
			return true
		}
		l.waiting = true
		l.mu.Unlock()
		select {
		case <-l.wake:
		case <-ctx.Done():
			return false
		}
	}
}

// nudge returns whether signal must be called, after mu was released: only
// when somebody sleeps. The caller holds mu.
func (l *line) nudge() bool {
	w := l.waiting
	l.waiting = false
	return w
}

func (l *line) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// hear returns a reader of conn that notes that something was heard.
func (l *line) hear(conn net.Conn) io.Reader { return heard{conn, &l.quiet} }

type heard struct {
	io.Reader
	quiet *atomic.Int32
}

// Read implements io.Reader.
func (h heard) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	h.quiet.Store(0)
	return n, err
}

// stale reports whether the line has been dialling for longer than a draw
// should wait. The caller holds mu.
func (l *line) stale(now int64) bool {
	return l.phase == dialing && now-l.since > int64(freshDial)
}

// beat is called every interval. It counts beats, not time, so that a process
// that stood still itself does not take its connections for dead.
func (l *line) beat(interval time.Duration) {
	l.mu.Lock()
	if l.phase != up {
		l.mu.Unlock()
		return
	}
	quiet := time.Duration(l.quiet.Add(1)) * interval
	conn, wake := l.conn, false
	if quiet >= pingAfter && quiet < pingAfter+interval {
		l.ping = true
		wake = l.nudge()
	}
	l.mu.Unlock()
	if wake {
		l.signal()
	}
	if quiet >= l.patience {
		l.log.Warn("forward: nothing heard; giving the connection up", "for", quiet)
		_ = conn.Close() // ends carry
	}
}

// next blocks a carrier's writer until there is something to write; false
// when broken was closed or ctx ended. It returns with mu held if true.
func (l *line) next(ctx context.Context, broken <-chan struct{}, c carrier) bool {
	for {
		select {
		case <-broken:
			return false
		case <-ctx.Done():
			return false
		default:
		}
		l.mu.Lock()
		if l.ping || c.waits() {
			return true
		}
		l.waiting = true
		l.mu.Unlock()
		select {
		case <-l.wake:
		case <-broken:
		case <-ctx.Done():
		}
	}
}

// converse runs a carrier's reader and writer on conn until either ends, and
// closes conn. write gets a channel that is closed when read has ended.
func (l *line) converse(ctx context.Context, conn net.Conn, read func() error, write func(broken <-chan struct{}) error) {
	broken := make(chan struct{})
	var readErr error
	go func() {
		defer close(broken)
		readErr = read()
		_ = conn.Close() // a writer may be blocked in it
	}()
	unhook := context.AfterFunc(ctx, func() { _ = conn.Close() })
	writeErr := write(broken)
	_ = conn.Close()
	<-broken
	unhook()
	switch {
	case ctx.Err() != nil:
	case errors.Is(readErr, errMalformed):
		l.log.Error("forward: closing a connection that can't be understood", "error", readErr)
	case writeErr != nil:
		l.log.Info("forward: connection lost", "error", writeErr)
	default:
		l.log.Info("forward: connection lost", "error", readErr)
	}
}
