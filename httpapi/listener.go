package httpapi

import (
	"crypto/tls"
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
	limits Limits
	full   func() bool
	refuse func(net.Conn)
	once   sync.Once
	err    error
}

// guard returns ln with the limit on connections, and TLS where it is wanted.
func (s *Server) guard(srv *fasthttp.Server, ln net.Listener) net.Listener {
	answer := refusal()
	if s.cfg.TLS != nil {
		answer = nil // there is no TLS session yet to say it in
	}
	g := &guarded{
		Listener: ln,
		limits:   s.limits,
		full:     func() bool { return int(srv.GetOpenConnectionsCount()) >= s.limits.Connections },
		refuse: func(c net.Conn) {
			s.meters.refused.Inc()
			_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			_, _ = c.Write(answer)
			_ = c.Close()
		},
	}
	if s.cfg.TLS != nil {
		return tls.NewListener(g, s.cfg.TLS)
	}
	return g
}

// Accept implements net.Listener.
func (g *guarded) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		switch {
		case err != nil:
			return nil, err
		case !g.full():
			return &patient{Conn: c, idle: g.limits.Idle, read: g.limits.Read}, nil
		}
		g.refuse(c)
	}
}

// Close implements net.Listener. fasthttp and Shutdown both call it.
func (g *guarded) Close() error {
	g.once.Do(func() { g.err = g.Listener.Close() })
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
