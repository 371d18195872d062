package testcluster

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy stands between a client and a server and breaks what passes. Its
// methods may be called concurrently.
type Proxy struct {
	// Addr is where clients connect.
	Addr string

	listener net.Listener
	server   string

	mu      sync.Mutex
	open    map[net.Conn]bool
	cut     []byte // cut the reply to what contains this; nil for none
	cuts    int
	silent  chan struct{} // while not nil nothing passes; closed at the end of it
	stopped bool
}

// NewProxy forwards to server until the test ends.
func NewProxy(t testing.TB, server string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), listener: l, server: server, open: make(map[net.Conn]bool)}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		p.mu.Lock()
		p.stopped = true
		p.mu.Unlock()
		_ = l.Close()
		p.Speak()
		p.Cut()
		conns.Wait()
	})
	return p
}

// CutReplyTo has the server receive the next request that contains text, and
// the client lose its connection instead of getting the reply.
func (p *Proxy) CutReplyTo(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = []byte(text)
}

// Cuts returns how many replies were cut.
func (p *Proxy) Cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

// Hush lets nothing pass any more, as a machine that has vanished: connections
// stay open, new ones are accepted.
func (p *Proxy) Hush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.silent == nil {
		p.silent = make(chan struct{})
	}
}

// Speak ends Hush.
func (p *Proxy) Speak() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.silent != nil {
		close(p.silent)
		p.silent = nil
	}
}

// Cut breaks all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.Close()
	}
}

func (p *Proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.open[client], p.open[server] = true, true
	if p.stopped {
		_, _ = client.Close(), server.Close()
	}
	p.mu.Unlock()
	doomed := make(chan struct{})
	var both sync.WaitGroup
	both.Go(func() {
		defer server.Close()
		p.pass(server, client, func(data []byte) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.cut != nil && bytes.Contains(data, p.cut) {
				p.cut = nil
				p.cuts++
				close(doomed)
			}
			return nil
		})
	})
	both.Go(func() {
		defer client.Close()
		p.pass(client, server, func([]byte) error {
			select {
			case <-doomed: // what comes now is the reply
				return fmt.Errorf("testcluster: reply cut")
			default:
				return nil
			}
		})
	})
	both.Wait()
	p.mu.Lock()
	delete(p.open, client)
	delete(p.open, server)
	p.mu.Unlock()
}

// pass copies until one side ends or look has an error.
func (p *Proxy) pass(to io.Writer, from io.Reader, look func([]byte) error) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		silent := p.silent
		p.mu.Unlock()
		if silent != nil {
			<-silent
		}
		if n > 0 {
			if look(buf[:n]) != nil {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
