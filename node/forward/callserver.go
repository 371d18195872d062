package forward

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// ServeCalls handles the calls and posts that come in by conn until the
// connection ends or the server closes; it closes conn. peer is the server id
// of the other side.
func (s *Server) ServeCalls(conn net.Conn, peer string) {
	if !s.enter(conn) {
		_ = conn.Close()
		return
	}
	defer s.leave(conn)
	ctx, cancel := context.WithCancel(context.Background())
	c := &callConn{server: s, conn: conn, peer: peer, ctx: ctx, places: make(chan struct{}, maxCalls)}
	closing, err := c.read()
	if closing != nil {
		unhook := context.AfterFunc(closing, cancel)
		c.running.Wait()
		unhook()
	}
	cancel() // nobody is left to tell
	_ = conn.Close()
	c.running.Wait()
	s.report(peer, "calls", err)
}

// callConn is one connection that calls come in by.
type callConn struct {
	server  *Server
	conn    net.Conn
	peer    string
	ctx     context.Context // of all handlers; ends with the connection
	places  chan struct{}   // one for each call that is being handled
	running sync.WaitGroup

	writing sync.Mutex
}

func (c *callConn) read() (closing context.Context, err error) {
	in := newFrameReader(c.conn, maxCallBytes)
	for {
		if closing = c.server.awaitFrame(c.conn); closing != nil {
			return closing, net.ErrClosed
		}
		f, err := in.next()
		if err != nil {
			return c.server.awaitFrame(c.conn), err
		}
		switch f.kind {
		case framePing:
			err = c.write(appendSign(nil, framePong))
		case framePost:
			err = c.post(f.payload)
		case frameCall:
			err = c.call(f.payload)
		default:
			err = fmt.Errorf("%w: kind %d where calls were due", errMalformed, f.kind)
		}
		if err != nil {
			return nil, err
		}
	}
}

func (c *callConn) post(payload []byte) error {
	group, kind, message, err := decodePost(payload)
	if err != nil {
		return err
	}
	c.server.mu.RLock()
	handle := c.server.posts
	c.server.mu.RUnlock()
	if handle != nil {
		handle(c.peer, group, kind, slices.Clone(message))
	}
	return nil
}

func (c *callConn) call(payload []byte) error {
	f, err := decodeCall(payload)
	if err != nil {
		return err
	}
	method := string(f.method)
	c.server.mu.RLock()
	handle := c.server.handlers[method]
	c.server.mu.RUnlock()
	if handle == nil {
		return c.write(appendReply(nil, replyFrame{id: f.id, failed: &RemoteError{Code: CodeUnknownMethod, Text: "no method " + method}}))
	}
	select {
	case c.places <- struct{}{}:
	default:
		return c.write(appendReply(nil, replyFrame{id: f.id, failed: &RemoteError{Code: CodeBusy, Text: "too many calls at once"}}))
	}
	id, group, body := f.id, f.group, slices.Clone(f.body)
	ctx, cancel := c.ctx, context.CancelFunc(func() {})
	if f.remaining > 0 {
		ctx, cancel = context.WithTimeout(c.ctx, time.Duration(f.remaining)*time.Millisecond)
	}
	c.running.Go(func() {
		defer func() { <-c.places }()
		defer cancel()
		response, err := handle(ctx, c.peer, group, body)
		// A reply that can't be written ends the connection; its reader
		// reports that.
		_ = c.write(appendReply(nil, result(id, response, err)))
	})
	return nil
}

// result makes the reply of what a handler returned.
func result(id uint64, response any, err error) replyFrame {
	var body []byte
	if err == nil {
		body, err = json.Marshal(response)
	}
	if err == nil && len(body) > maxBody {
		err = fmt.Errorf("%w: response of %d bytes", ErrTooLarge, len(body))
	}
	if err == nil {
		return replyFrame{id: id, body: body}
	}
	var remote *RemoteError
	if !errors.As(err, &remote) {
		remote = &RemoteError{Code: CodeInternal, Text: err.Error()}
	}
	return replyFrame{id: id, failed: remote}
}

func (c *callConn) write(frame []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := c.conn.Write(frame); err != nil {
		_ = c.conn.Close()
		return err
	}
	return nil
}
