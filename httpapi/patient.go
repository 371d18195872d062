package httpapi

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// patient is a connection that may be opened ahead of need: until its first
// byte arrives it is idle like any other between requests, and closes without
// a word. fasthttp alone would hold the limit for a whole request against it
// and answer 408, which a client that sends at that moment takes for the answer
// to its draw. It is read by one goroutine at a time.
type patient struct {
	net.Conn
	begun      bool
	linger     bool // wait at Close for what the client still sends
	idle, read time.Duration
}

// How much of a body that is too large is read before the connection closes,
// and for how long.
const (
	lingerBytes = 16 << 20
	lingerTime  = time.Second
)

// lingerOn has a connection wait at its close: a client that is still sending
// would have its connection reset, and never see the answer.
func lingerOn(c net.Conn) {
	if session, ok := c.(*tls.Conn); ok {
		c = session.NetConn()
	}
	if p, ok := c.(*patient); ok {
		p.linger = true
	}
}

// Close implements net.Conn.
func (p *patient) Close() error {
	if half, ok := p.Conn.(interface{ CloseWrite() error }); ok && p.linger {
		p.linger = false
		if half.CloseWrite() == nil && p.Conn.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
			_, _ = io.CopyN(io.Discard, p.Conn, lingerBytes)
		}
	}
	return p.Conn.Close()
}

// SetReadDeadline implements net.Conn. Before the first byte the idle limit
// stands in for whatever is asked for.
func (p *patient) SetReadDeadline(t time.Time) error {
	if !p.begun {
		t = time.Now().Add(p.idle)
	}
	return p.Conn.SetReadDeadline(t)
}

// Read implements net.Conn.
func (p *patient) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	switch {
	case p.begun:
	case n > 0:
		p.begun = true
		if late := p.SetReadDeadline(time.Now().Add(p.read)); late != nil && err == nil {
			err = late
		}
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = io.EOF
	}
	return n, err
}
