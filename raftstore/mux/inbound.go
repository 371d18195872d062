package mux

import (
	"container/list"
	"net"
	"sync"
)

// inbound keeps every accepted connection until it is closed, so that Close
// finds them all, and bounds those that are still shaking hands.
type inbound struct {
	mu      sync.Mutex
	closed  bool
	all     map[*inboundConn]struct{}
	pending *list.List // of *inboundConn, oldest first
}

// inboundConn is an accepted connection; closing it forgets it.
type inboundConn struct {
	net.Conn
	owner *inbound
	place *list.Element // in owner.pending, nil once established
}

func newInbound() *inbound {
	return &inbound{all: make(map[*inboundConn]struct{}), pending: list.New()}
}

// add registers conn as shaking hands. It returns nil, with conn closed, after
// closeAll.
func (i *inbound) add(conn net.Conn) *inboundConn {
	c := &inboundConn{Conn: conn, owner: i}
	i.mu.Lock()
	if i.closed {
		i.mu.Unlock()
		_ = conn.Close()
		return nil
	}
	var oldest *inboundConn
	if i.pending.Len() >= maxPending {
		oldest = i.pending.Front().Value.(*inboundConn)
	}
	i.all[c] = struct{}{}
	c.place = i.pending.PushBack(c)
	i.mu.Unlock()
	if oldest != nil {
		_ = oldest.Close()
	}
	return c
}

func (i *inbound) established(c *inboundConn) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.leavePending(c)
}

func (i *inbound) leavePending(c *inboundConn) {
	if c.place != nil {
		i.pending.Remove(c.place)
		c.place = nil
	}
}

func (i *inbound) closeAll() {
	i.mu.Lock()
	i.closed = true
	conns := make([]*inboundConn, 0, len(i.all))
	for c := range i.all {
		conns = append(conns, c)
	}
	i.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
}

// Close closes the connection and forgets it. It is idempotent but for the
// error.
func (c *inboundConn) Close() error {
	c.owner.mu.Lock()
	delete(c.owner.all, c)
	c.owner.leavePending(c)
	c.owner.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite announces the end of what this side has to say.
func (c *inboundConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
