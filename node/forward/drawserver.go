package forward

import (
	"context"
	"net"
	"sync"
	"time"

	"tombola/node/draws"
)

// ServeDraws reads draws from conn, routes them and writes their answers until
// the connection ends or the server closes; it closes conn. peer is the server
// id of the other side.
func (s *Server) ServeDraws(conn net.Conn, peer string) {
	if !s.enter(conn) {
		_ = conn.Close()
		return
	}
	defer s.leave(conn)
	c := &drawConn{conn: conn, wake: make(chan struct{}, 1), out: batch{kind: frameAnswers}}
	c.room = sync.NewCond(&c.mu)
	var writer sync.WaitGroup
	writer.Go(c.write)
	closing, err := c.read(s)
	if closing != nil {
		c.settle(closing)
	}
	c.finish()
	writer.Wait()
	s.report(peer, "draws", err)
}

// drawConn is one connection that draws come in by.
type drawConn struct {
	conn net.Conn
	wake chan struct{} // one slot: the writer has something to do
	room *sync.Cond    // on mu: fewer draws unanswered, or answers written

	mu         sync.Mutex
	out        batch     // answers that wait to be written
	tickets    []*ticket // unused ones
	unanswered int
	waiting    bool // the writer sleeps on wake
	finished   bool // nothing is added to out any more
}

// ticket remembers, for one draw on its way, where its answer goes. It is the
// draw's notifier.
type ticket struct {
	conn *drawConn
	id   uint64
}

// Answered implements draws.Notifier.
func (t *ticket) Answered(d *draws.Draw) {
	c := t.conn
	c.mu.Lock()
	if !c.finished {
		c.out.room()
		c.out.buf = appendAnswer(c.out.buf, t.id, &d.Answer)
		c.out.added()
	}
	c.tickets = append(c.tickets, t)
	c.unanswered--
	wake := c.waiting
	c.waiting = false
	c.room.Signal()
	c.mu.Unlock()
	if wake {
		c.signal()
	}
	d.Release()
}

func (c *drawConn) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// read routes what comes in until the connection ends. Where it ends because
// the server closes, it returns how long that may take.
func (c *drawConn) read(s *Server) (closing context.Context, err error) {
	in := newFrameReader(c.conn, maxBatchBytes)
	var items []drawItem
	var tickets []*ticket
	for {
		if closing = s.awaitFrame(c.conn); closing != nil {
			return closing, net.ErrClosed
		}
		f, err := in.next()
		if err != nil {
			return s.awaitFrame(c.conn), err
		}
		// A frame is read as a whole before any of its draws is routed, so
		// that a malformed one has no effect at all.
		if items, err = decodeDraws(f, items[:0]); err != nil {
			return nil, err
		}
		if len(items) == 0 {
			c.sign()
			continue
		}
		tickets = c.take(len(items), tickets[:0])
		now := s.options.Now()
		for i, it := range items {
			t := tickets[i]
			t.id = it.id
			d := draws.New(it.prize, it.user, it.requestID, now+int64(it.remaining)*int64(time.Millisecond), t)
			d.Hops = it.hops + 1
			s.options.Router.Route(it.group, d)
		}
	}
}

// take returns n tickets, after waiting until not too much is on its way.
func (c *drawConn) take(n int, into []*ticket) []*ticket {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.unanswered+n > maxUnanswered || len(c.out.buf) > maxUnwritten {
		if c.finished {
			break
		}
		c.room.Wait()
	}
	c.unanswered += n
	for range n {
		if k := len(c.tickets); k > 0 {
			into = append(into, c.tickets[k-1])
			c.tickets = c.tickets[:k-1]
		} else {
			into = append(into, &ticket{conn: c})
		}
	}
	return into
}

// sign sends a sign of life.
func (c *drawConn) sign() {
	c.mu.Lock()
	c.out.sign()
	c.waiting = false
	c.mu.Unlock()
	c.signal()
}

// settle waits until all draws are answered or ctx ends.
func (c *drawConn) settle(ctx context.Context) {
	unhook := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.room.Broadcast()
	})
	defer unhook()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.unanswered > 0 && ctx.Err() == nil && !c.finished {
		c.room.Wait()
	}
}

// finish lets the writer write what is there and end.
func (c *drawConn) finish() {
	c.mu.Lock()
	c.finished, c.waiting = true, false
	c.room.Broadcast()
	c.mu.Unlock()
	c.signal()
}

// write writes answers, all that wait at once, until finish.
func (c *drawConn) write() {
	var writing []byte
	for {
		c.mu.Lock()
		for len(c.out.buf) == 0 {
			if c.finished {
				c.mu.Unlock()
				return
			}
			c.waiting = true
			c.mu.Unlock()
			<-c.wake
			c.mu.Lock()
		}
		c.out.seal()
		writing, c.out.buf = c.out.buf, writing[:0]
		c.room.Signal()
		c.mu.Unlock()
		_ = c.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := c.conn.Write(writing); err != nil {
			// The reader finds the connection closed and ends it all; answers
			// that still come have nowhere to go.
			_ = c.conn.Close()
			c.mu.Lock()
			c.finished = true
			c.out.reset()
			c.room.Broadcast()
			c.mu.Unlock()
			return
		}
		if cap(writing) > keepBatch {
			writing = nil
		}
	}
}
