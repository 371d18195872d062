package raftstore

import (
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// streams is the group's stream layer as Raft's transport sees it. It knows
// every connection that is open: the transport leaves those that it accepted
// to their peers to close, and their goroutines must be gone before the log is.
type streams struct {
	raft.StreamLayer
	advertise address

	mu       sync.Mutex
	closed   bool
	open     map[*stream]struct{}
	accepted sync.WaitGroup // accepted streams that their goroutine has not closed
}

func newStreams(layer raft.StreamLayer, advertise string) *streams {
	return &streams{StreamLayer: layer, advertise: address(advertise), open: make(map[*stream]struct{})}
}

// address is a host and port by which others reach this server.
type address string

// Network implements net.Addr.
func (address) Network() string { return "tcp" }

// String implements net.Addr.
func (a address) String() string { return string(a) }

// Addr implements net.Listener. Raft takes it for this server's address.
func (s *streams) Addr() net.Addr { return s.advertise }

// Accept implements net.Listener.
func (s *streams) Accept() (net.Conn, error) {
	conn, err := s.StreamLayer.Accept()
	if err != nil {
		return nil, err
	}
	return s.track(conn, true)
}

// Dial implements raft.StreamLayer.
func (s *streams) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	conn, err := s.StreamLayer.Dial(addr, timeout)
	if err != nil {
		return nil, err
	}
	return s.track(conn, false)
}

func (s *streams) track(conn net.Conn, accepted bool) (net.Conn, error) {
	c := &stream{Conn: conn, owner: s, accepted: accepted}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	s.open[c] = struct{}{}
	if accepted {
		s.accepted.Add(1)
	}
	return c, nil
}

// Close implements net.Listener. It closes the layer and all connections.
func (s *streams) Close() error {
	s.mu.Lock()
	s.closed = true
	conns := make([]net.Conn, 0, len(s.open))
	for c := range s.open {
		conns = append(conns, c.Conn)
	}
	s.mu.Unlock()
	err := s.StreamLayer.Close()
	for _, c := range conns {
		_ = c.Close()
	}
	return err
}

// wait returns once the transport has let go of all that it accepted.
func (s *streams) wait() { s.accepted.Wait() }

// stream is an open connection; closing it forgets it.
type stream struct {
	net.Conn
	owner    *streams
	accepted bool
}

// Close implements net.Conn.
func (c *stream) Close() error {
	c.owner.mu.Lock()
	_, known := c.owner.open[c]
	delete(c.owner.open, c)
	c.owner.mu.Unlock()
	err := c.Conn.Close()
	if known && c.accepted {
		c.owner.accepted.Done()
	}
	return err
}
