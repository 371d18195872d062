package raftstore

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// cable is a stream layer whose network can be cut.
type cable struct {
	raft.StreamLayer

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

// set cuts or mends the cable.
func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	if cut {
		for _, conn := range c.conns {
			_ = conn.Close()
		}
		c.conns = nil
	}
}

func (c *cable) plug(conn net.Conn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		_ = conn.Close()
		return errors.New("the cable is cut")
	}
	c.conns = append(c.conns, conn)
	return nil
}

// Accept leaves what arrives over a cut cable unanswered.
func (c *cable) Accept() (net.Conn, error) {
	for {
		conn, err := c.StreamLayer.Accept()
		if err != nil {
			return nil, err
		}
		if c.plug(conn) == nil {
			return conn, nil
		}
	}
}

func (c *cable) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	conn, err := c.StreamLayer.Dial(addr, timeout)
	if err != nil {
		return nil, err
	}
	if err := c.plug(conn); err != nil {
		return nil, err
	}
	return conn, nil
}
