package httpapi

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// patient is a connection that may be opened ahead of need: until its first
// byte arrives it is idle like any other between requests, and closes without
// a word. fasthttp alone would hold the limit for a whole request against it
// and answer 408, which a client that sends at that moment takes for the answer
// to its draw. It is read by one goroutine at a time; retire and Close may be
// called beside that.
type patient struct {
	net.Conn
	owner *conns

	begun     atomic.Bool  // something was read
	linger    atomic.Bool  // wait at Close for what the client still sends
	over      atomic.Bool  // nothing is read any more
	idleSince atomic.Int64 // nanoseconds; 0 while a request is under way
}

// How much of a body that is too large is read before the connection closes,
// and for how long.
const (
	lingerBytes = 16 << 20
	lingerTime  = time.Second
)

// patientOf returns the connection below a TLS session, or nil.
func patientOf(c net.Conn) *patient {
	if session, ok := c.(*tls.Conn); ok {
		c = session.NetConn()
	}
	p, _ := c.(*patient)
	return p
}

// lingerOn has a connection wait at its close: a client that is still sending
// would have its connection reset, and never see the answer.
func lingerOn(c net.Conn) {
	if p := patientOf(c); p != nil {
		p.linger.Store(true)
	}
}

// Close implements net.Conn. One that was retired is closed by its reader.
func (p *patient) Close() error {
	if p.over.Load() {
		return nil
	}
	if p.linger.CompareAndSwap(true, false) {
		p.hearOut()
	}
	p.owner.remove(p)
	return p.Conn.Close()
}

// hearOut announces the end and takes in what the client still sends.
func (p *patient) hearOut() {
	if half, ok := p.Conn.(interface{ CloseWrite() error }); ok &&
		half.CloseWrite() == nil && p.Conn.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.CopyN(io.Discard, p.Conn, lingerBytes)
	}
}

// retire ends a connection between requests: its reader finds that it is over.
// Closed from here it would be reset if a request was just coming in, and the
// client could not tell that from a fault.
func (p *patient) retire() {
	if p.idleSince.Load() == 0 {
		return // its answer is the last one
	}
	p.over.Store(true)
	if p.idleSince.Load() == 0 {
		p.over.Store(false)
		return
	}
	_ = p.Conn.SetReadDeadline(time.Now())
}

// end closes a connection that was retired. It is called by its reader.
func (p *patient) end() {
	p.hearOut()
	p.owner.remove(p)
	_ = p.Conn.Close()
}

// SetReadDeadline implements net.Conn. Before the first byte the idle limit
// stands in for whatever is asked for.
func (p *patient) SetReadDeadline(t time.Time) error {
	if !p.begun.Load() {
		t = time.Now().Add(p.owner.limits.Idle)
	}
	if err := p.Conn.SetReadDeadline(p.owner.bounded(t)); err != nil {
		return err
	}
	if p.over.Load() {
		p.end()
		return net.ErrClosed
	}
	return nil
}

// Read implements net.Conn.
func (p *patient) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	switch {
	case p.over.Load():
		p.end() // what comes now came too late to be answered
		return 0, io.EOF
	case p.begun.Load():
	case n > 0:
		p.idleSince.Store(0)
		p.begun.Store(true)
		if late := p.SetReadDeadline(time.Now().Add(p.owner.limits.Read)); late != nil && err == nil {
			err = late
		}
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = io.EOF
	}
	return n, err
}
