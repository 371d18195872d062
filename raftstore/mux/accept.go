package mux

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// acceptLoop hands every connection to a goroutine of its own. It never waits
// for a peer.
func (m *Mux) acceptLoop() {
	var delay time.Duration
	for {
		conn, err := m.listener.Accept()
		if err != nil {
			if m.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			// Most likely out of file descriptors: others may come free.
			if delay == 0 {
				m.cfg.Logger.Error("no connection from a peer can be accepted; trying on", "error", err)
			}
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(delay):
				continue
			case <-m.ctx.Done():
				return
			}
		}
		delay = 0
		in := m.inbound.add(conn)
		if in == nil {
			continue // closing
		}
		m.wg.Go(func() { m.welcome(in) })
	}
}

// welcome does the acceptor's half of the handshake and passes the connection
// on to whom it is for.
func (m *Mux) welcome(in *inboundConn) {
	deadline := time.Now().Add(handshakeTime)
	_ = in.SetDeadline(deadline)
	setNoDelay(in.Conn)
	conn, peer, serve, err := m.negotiate(in, deadline)
	if err != nil {
		m.refusals.log(in.RemoteAddr(), peer, err)
		_ = in.Close()
		return
	}
	m.inbound.established(in)
	_ = in.SetDeadline(time.Time{})
	serve(conn, peer)
}

// negotiate returns the connection to use, which wraps in when TLS is on, and
// what serves it.
func (m *Mux) negotiate(in *inboundConn, deadline time.Time) (net.Conn, Peer, func(net.Conn, Peer), error) {
	var conn net.Conn = in
	if m.cfg.ServerTLS != nil {
		ctx, cancel := context.WithDeadline(m.ctx, deadline)
		defer cancel()
		secure := tls.Server(in, m.cfg.ServerTLS)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, Peer{}, nil, err
		}
		conn = secure
	}
	h, err := readHello(conn)
	switch {
	case errors.Is(err, errVersion):
		reason := fmt.Sprintf("format version %d is spoken here, not %d", Version, h.version)
		return nil, h.peer, nil, m.refuse(conn, statusVersion, reason)
	case err != nil:
		// A stranger to the protocol would not understand an answer.
		return nil, h.peer, nil, err
	case h.cluster != m.cfg.ClusterID:
		return nil, h.peer, nil, m.refuse(conn, statusCluster, "this server belongs to another cluster")
	}
	serve, reason := m.service(h.peer)
	if serve == nil {
		return nil, h.peer, nil, m.refuse(conn, statusUnknown, reason)
	}
	if _, err := conn.Write(appendAnswer(nil, statusOK, "")); err != nil {
		return nil, h.peer, nil, fmt.Errorf("write answer: %w", err)
	}
	return conn, h.peer, serve, nil
}

// service returns what serves peer, or nil and the reason why nothing does.
func (m *Mux) service(peer Peer) (func(net.Conn, Peer), string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if peer.Kind == KindRaft {
		if l := m.layers[peer.Group]; l != nil {
			return l.deliver, ""
		}
		return nil, fmt.Sprintf("group %d is not served here", peer.Group)
	}
	if f := m.handlers[peer.Kind]; f != nil {
		return func(c net.Conn, p Peer) {
			defer func() { _ = c.Close() }()
			f(c, p)
		}, ""
	}
	return nil, fmt.Sprintf("connections of kind %d are not served here", peer.Kind)
}

// refuse answers with the reason and returns it as an error that wraps
// ErrRefused.
func (m *Mux) refuse(conn net.Conn, s status, reason string) error {
	err := fmt.Errorf("%w: %s", ErrRefused, reason)
	if _, werr := conn.Write(appendAnswer(nil, s, reason)); werr != nil {
		return err
	}
	// Closing with unread input would reset the connection and could take
	// the answer with it, so the end is announced and the peer closes first.
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Second))
	var rest [512]byte
	for drained := 0; drained < 64<<10; {
		n, rerr := conn.Read(rest[:])
		if rerr != nil {
			break
		}
		drained += n
	}
	return err
}
