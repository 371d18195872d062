package mux

import (
	"context"
	"net"
	"time"

	"github.com/hashicorp/raft"
)

// layer is one Raft group's share of the listener.
type layer struct {
	mux      *Mux
	group    uint16
	incoming chan net.Conn
	ctx      context.Context // ends with Close, and with the mux
	cancel   context.CancelFunc
}

func newLayer(m *Mux, group uint16) *layer {
	ctx, cancel := context.WithCancel(m.ctx)
	return &layer{mux: m, group: group, incoming: make(chan net.Conn), ctx: ctx, cancel: cancel}
}

// deliver passes an accepted connection on to Accept. A group that doesn't
// accept in time loses it, and the peer dials again.
func (l *layer) deliver(conn net.Conn, _ Peer) {
	timer := time.NewTimer(handshakeTime)
	defer timer.Stop()
	select {
	case l.incoming <- conn:
	case <-l.ctx.Done():
		_ = conn.Close()
	case <-timer.C:
		_ = conn.Close()
	}
}

// Accept implements net.Listener.
func (l *layer) Accept() (net.Conn, error) {
	if l.ctx.Err() != nil {
		return nil, ErrClosed
	}
	select {
	case conn := <-l.incoming:
		return conn, nil
	case <-l.ctx.Done():
		return nil, ErrClosed
	}
}

// Close implements net.Listener. Connections that were accepted or dialled
// before stay open; their owner closes them.
func (l *layer) Close() error {
	l.mux.mu.Lock()
	if l.mux.layers[l.group] == l {
		delete(l.mux.layers, l.group)
	}
	l.mux.mu.Unlock()
	l.cancel()
	return nil
}

// Addr implements net.Listener.
func (l *layer) Addr() net.Addr { return l.mux.Addr() }

// Dial implements raft.StreamLayer.
func (l *layer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	if l.ctx.Err() != nil {
		return nil, ErrClosed
	}
	if timeout <= 0 {
		timeout = handshakeTime
	}
	ctx, cancel := context.WithTimeout(l.ctx, timeout)
	defer cancel()
	return l.mux.Dial(ctx, KindRaft, l.group, string(address))
}
