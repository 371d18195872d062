package forward

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
)

// Limits of what waits on one line.
const (
	maxPending   = 1024    // calls without a reply
	maxPosts     = 1024    // posts that wait to be written
	maxPostBytes = 8 << 20 // their bytes
)

// call is one call on its way.
type call struct {
	id    uint64
	frame []byte // nil once it is being written
	reply chan callResult
}

type callResult struct {
	body []byte
	err  error
}

// callLine carries calls and posts to one server.
type callLine struct {
	line

	// guarded by line.mu
	lastID    uint64
	queue     []*call          // not yet being written
	calls     map[uint64]*call // all without a result, written or not
	posts     [][]byte
	postBytes int
}

// start queues a call.
func (l *callLine) start(method string, group uint16, remaining uint32, body []byte) (*call, error) {
	c := &call{reply: make(chan callResult, 1)}
	l.mu.Lock()
	switch {
	case l.phase == closed:
		l.mu.Unlock()
		return nil, ErrClosed
	case l.phase == resting:
		l.demand = true
		l.mu.Unlock()
		return nil, ErrUnreachable
	case len(l.calls) >= maxPending:
		l.mu.Unlock()
		return nil, fmt.Errorf("%w: %d calls wait already", ErrUnreachable, maxPending)
	}
	l.lastID++
	c.id = l.lastID
	c.frame = appendCall(make([]byte, 0, len(body)+len(method)+64),
		callFrame{id: c.id, group: group, remaining: remaining, method: []byte(method), body: body})
	l.calls[c.id] = c
	l.queue = append(l.queue, c)
	l.poke()
	return c, nil
}

// poke wakes the line. The caller holds mu, which is released.
func (l *callLine) poke() {
	l.demand = l.demand || l.phase == idle
	wake := l.nudge()
	l.mu.Unlock()
	if wake {
		l.signal()
	}
}

// abandon takes a call back whose caller has gone, and reports whether it may
// have been written.
func (l *callLine) abandon(c *call) (written bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.calls, c.id)
	if c.frame == nil {
		return true
	}
	c.frame = nil
	l.queue = slices.DeleteFunc(l.queue, func(q *call) bool { return q == c })
	return false
}

// post queues a message; the oldest ones make room for it where needed.
func (l *callLine) post(frame []byte) {
	l.mu.Lock()
	if l.phase == closed {
		l.mu.Unlock()
		return
	}
	l.demand = l.demand || l.phase == resting
	l.posts = append(l.posts, frame)
	l.postBytes += len(frame)
	drop := 0
	for len(l.posts)-drop > maxPosts || l.postBytes > maxPostBytes && len(l.posts)-drop > 1 {
		l.postBytes -= len(l.posts[drop])
		drop++
	}
	l.posts = slices.Delete(l.posts, 0, drop)
	l.poke()
}

func (l *callLine) waits() bool { return len(l.queue) > 0 || len(l.posts) > 0 }

func (l *callLine) carry(ctx context.Context, conn net.Conn) {
	l.converse(ctx, conn,
		func() error { return l.read(conn) },
		func(broken <-chan struct{}) error { return l.write(ctx, conn, broken) })
}

func (l *callLine) write(ctx context.Context, conn net.Conn, broken <-chan struct{}) error {
	out := bufio.NewWriterSize(conn, readBuffer)
	ping := appendSign(nil, framePing)
	var frames [][]byte
	for l.next(ctx, broken, l) {
		frames = frames[:0]
		for _, c := range l.queue {
			frames = append(frames, c.frame)
			c.frame = nil // from here on it may have been written
		}
		frames = append(frames, l.posts...)
		clear(l.queue)
		clear(l.posts)
		l.queue, l.posts, l.postBytes = l.queue[:0], l.posts[:0], 0
		if l.ping {
			frames = append(frames, ping)
			l.ping = false
		}
		l.mu.Unlock()
		for _, f := range frames {
			if _, err := out.Write(f); err != nil {
				return err
			}
		}
		clear(frames)
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func (l *callLine) read(conn net.Conn) error {
	in := newFrameReader(l.hear(conn), maxCallBytes)
	for {
		f, err := in.next()
		if err != nil {
			return err
		}
		switch f.kind {
		case framePong:
		case frameReply:
			p, err := decodeReply(f.payload)
			if err != nil {
				return err
			}
			l.mu.Lock()
			c := l.calls[p.id]
			delete(l.calls, p.id)
			l.mu.Unlock()
			if c == nil {
				continue // its caller has gone
			}
			if p.failed != nil {
				c.reply <- callResult{err: p.failed}
			} else {
				c.reply <- callResult{body: slices.Clone(p.body)}
			}
		default:
			return fmt.Errorf("%w: kind %d where replies were due", errMalformed, f.kind)
		}
	}
}

// disconnected ends the calls that may have been written; the others stay
// queued for the next connection.
func (l *callLine) disconnected() func() {
	var lost []*call
	for id, c := range l.calls {
		if c.frame == nil {
			lost = append(lost, c)
			delete(l.calls, id)
		}
	}
	return func() { endCalls(lost, ErrLost) }
}

func (l *callLine) unreachable(err error) func() {
	unsent := slices.Clone(l.queue)
	clear(l.queue)
	l.queue = l.queue[:0]
	for _, c := range unsent {
		delete(l.calls, c.id)
	}
	if l.phase == closed {
		l.posts, l.postBytes = nil, 0
	}
	if !errors.Is(err, ErrClosed) {
		err = fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return func() { endCalls(unsent, err) }
}

func endCalls(calls []*call, err error) {
	for _, c := range calls {
		c.reply <- callResult{err: err}
	}
}
