package testcluster

import (
	"net"
	"sync"
)

// Relay passes TCP connections on to a server, and stops doing so when it is
// told to: the network between two machines. Its methods may be called
// concurrently.
type Relay struct {
	listener net.Listener
	to       string
	wg       sync.WaitGroup

	mu      sync.Mutex
	passing chan struct{} // closed while bytes pass
	conns   map[net.Conn]struct{}
	closed  bool
}

// NewRelay listens on a free port of 127.0.0.1 for connections to the server at
// addr.
func NewRelay(addr string) (*Relay, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Relay{listener: ln, to: addr, passing: make(chan struct{}), conns: make(map[net.Conn]struct{})}
	close(r.passing)
	r.wg.Go(r.accept)
	return r, nil
}

// Addr is where the relay listens.
func (r *Relay) Addr() string { return r.listener.Addr().String() }

// Silence has nothing pass in either direction, and nobody told: connections
// stay as they are, and new ones are taken but come to nothing.
func (r *Relay) Silence() {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.passing:
		r.passing = make(chan struct{})
	default:
	}
}

// Resume ends Silence. What was held back passes.
func (r *Relay) Resume() {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.passing:
	default:
		close(r.passing)
	}
}

// Cut closes all connections.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		_ = c.Close()
	}
}

// Close ends the relay.
func (r *Relay) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	_ = r.listener.Close()
	r.Resume()
	r.Cut()
	r.wg.Wait()
}

func (r *Relay) accept() {
	for {
		from, err := r.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", r.to)
		if err != nil {
			_ = from.Close()
			continue
		}
		if !r.add(from, to) {
			return
		}
		r.wg.Go(func() { r.pass(from, to) })
		r.wg.Go(func() { r.pass(to, from) })
	}
}

func (r *Relay) add(both ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range both {
		if r.closed {
			_ = c.Close()
		}
		r.conns[c] = struct{}{}
	}
	return !r.closed
}

// pass copies until either end closes, and then closes both.
func (r *Relay) pass(from, to net.Conn) {
	defer func() {
		_ = from.Close()
		_ = to.Close()
		r.mu.Lock()
		delete(r.conns, from)
		r.mu.Unlock()
	}()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		r.mu.Lock()
		pass := r.passing
		r.mu.Unlock()
		<-pass
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
