package httpapi

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"tombola/httpapi/wire"
)

// guarded is a listener that refuses connections while too many are open, with
// an answer that a client understands.
type guarded struct {
	net.Listener
	conns  *conns
	refuse func(net.Conn)
	log    *slog.Logger
	ending chan struct{} // closed when Close begins
	closed chan struct{} // and when it has taken what came late
	once   sync.Once
	late   []net.Conn // to be accepted after the end; set before closed is closed
	err    error
}

// guard returns ln with the limit on connections, and what to serve: the same
// with TLS where it is wanted.
func (s *Server) guard(ln net.Listener, limits Limits) (*guarded, net.Listener) {
	answer := refusal()
	if s.cfg.TLS != nil {
		answer = nil // there is no TLS session yet to say it in
	}
	g := &guarded{
		Listener: ln,
		conns:    newConns(limits),
		log:      s.log,
		ending:   make(chan struct{}),
		closed:   make(chan struct{}),
		refuse: func(c net.Conn) {
			s.meters.refused.Inc()
			_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			_, _ = c.Write(answer)
			_ = c.Close()
		},
	}
	if s.cfg.TLS != nil {
		return g, tls.NewListener(g, s.cfg.TLS)
	}
	return g, g
}

// Accept implements net.Listener. It survives whatever may pass, above all that
// there are no file descriptors: fasthttp would end the server. It is called by
// one goroutine.
func (g *guarded) Accept() (net.Conn, error) {
	var pause time.Duration
	for {
		c, err := g.accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil, net.ErrClosed
		case err != nil:
			if pause == 0 {
				g.log.Error("httpapi: no connection can be accepted; trying on", "error", err)
			}
			pause = min(max(2*pause, acceptPause), time.Second)
			select {
			case <-time.After(pause):
			case <-g.ending:
			}
			continue
		case pause > 0:
			g.log.Info("httpapi: connections are accepted again")
			pause = 0
		}
		if p, fits := g.conns.add(c); fits {
			return p, nil
		}
		g.refuse(c)
	}
}

// accept takes the next connection. What had come in when the listener was
// closed comes last.
func (g *guarded) accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err == nil {
		return c, nil
	}
	select {
	case <-g.ending:
		<-g.closed
	default:
		return nil, err
	}
	if len(g.late) == 0 {
		return nil, net.ErrClosed
	}
	c, g.late = g.late[0], g.late[1:]
	return c, nil
}

// acceptPause is how long to wait first after an accept that failed.
const acceptPause = 5 * time.Millisecond

// Close implements net.Listener. fasthttp and Shutdown both call it.
func (g *guarded) Close() error {
	g.once.Do(func() {
		close(g.ending)
		g.late = takeBacklog(g.Listener)
		close(g.closed)
		g.err = g.Listener.Close()
	})
	return g.err
}

// refusal is the whole answer to a connection beyond the limit.
func refusal() []byte {
	p := &wire.Problem{Code: wire.CodeOverloaded, Detail: "too many connections", RetryAfter: time.Second}
	p.Status = statusOf(p.Code)
	body := wire.AppendProblem(nil, p, fasthttp.StatusMessage(p.Status))
	head := "HTTP/1.1 " + strconv.Itoa(p.Status) + " " + fasthttp.StatusMessage(p.Status) + "\r\n" +
		"Server: " + serverName + "\r\nConnection: close\r\nRetry-After: 1\r\n" +
		"Content-Type: " + problemType + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
	return append([]byte(head), body...)
}
