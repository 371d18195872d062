package mux

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// handshakeTime bounds everything from the first byte to the answer,
	// TLS included.
	handshakeTime = 5 * time.Second
	// maxPending bounds the connections that have not finished their
	// handshake. Beyond it the oldest one is dropped: an honest peer is done
	// within a round trip, so it is the slow ones that go.
	maxPending = 128
)

// ErrClosed is returned by whatever is called after Close.
var ErrClosed = errors.New("mux: closed")

// Config is what Listen needs.
type Config struct {
	Addr      string    // host:port to listen on; port 0 picks one
	ClusterID ClusterID // connections of other clusters are refused
	Server    string    // this server's Raft id, 1 to MaxServerID bytes

	// ServerTLS and ClientTLS are both set or both nil. ClientTLS without a
	// ServerName expects the host name that is dialled.
	ServerTLS *tls.Config
	ClientTLS *tls.Config

	Logger *slog.Logger
}

func (c Config) check() error {
	switch {
	case c.Server == "" || len(c.Server) > MaxServerID:
		return errServerID
	case (c.ServerTLS == nil) != (c.ClientTLS == nil):
		return errors.New("TLS needs a configuration for either side")
	case c.Logger == nil:
		return errors.New("a logger is missing")
	}
	return nil
}

// Mux is one server's listener and dialer. All methods may be called
// concurrently.
type Mux struct {
	cfg      Config
	listener net.Listener
	inbound  *inbound
	refusals *refusals

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	layers   map[uint16]*layer
	handlers map[Kind]func(net.Conn, Peer)
}

// Listen opens the listener and starts to accept. Until StreamLayer and Handle
// say who serves what, every connection is refused.
func Listen(cfg Config) (*Mux, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("mux: listen: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	lc := net.ListenConfig{KeepAliveConfig: keepAlive(), Control: boundSilence}
	listener, err := lc.Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("mux: listen: %w", err)
	}
	m := &Mux{
		cfg:      cfg,
		listener: listener,
		inbound:  newInbound(),
		refusals: newRefusals(cfg.Logger),
		ctx:      ctx,
		cancel:   cancel,
		layers:   make(map[uint16]*layer),
		handlers: make(map[Kind]func(net.Conn, Peer)),
	}
	m.wg.Go(m.acceptLoop)
	return m, nil
}

// silence is how long what was sent may go unacknowledged before a connection
// counts as dead. The kernel alone goes on sending for a quarter of an hour, and
// probes nothing meanwhile.
const silence = 10 * time.Second

// keepAlive notices within half a minute that a silent peer's machine is gone.
func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}
}

// Addr returns the address that is listened on.
func (m *Mux) Addr() net.Addr { return m.listener.Addr() }

// StreamLayer returns the connections of one Raft group. Closing it makes the
// group unknown here; it may then be asked for again. While it is open, asking
// again for the same group returns the same one.
func (m *Mux) StreamLayer(group uint16) raft.StreamLayer {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.layers[group]; l != nil {
		return l
	}
	l := newLayer(m, group)
	m.layers[group] = l
	return l
}

// Handle has f serve the connections of a kind other than KindRaft, each in a
// goroutine of its own. The connection is closed when f returns, and by Close,
// which waits for f. A nil f ends the service for new connections.
func (m *Mux) Handle(kind Kind, f func(net.Conn, Peer)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f == nil {
		delete(m.handlers, kind)
		return
	}
	m.handlers[kind] = f
}

// Dial connects to the server at addr for the given kind and group. It returns
// once the other side has accepted; its refusal is an error that wraps
// ErrRefused. The connection belongs to the caller, also beyond Close. ctx
// bounds the dialling only.
func (m *Mux) Dial(ctx context.Context, kind Kind, group uint16, addr string) (net.Conn, error) {
	conn, err := m.dial(ctx, Peer{Server: m.cfg.Server, Kind: kind, Group: group}, addr)
	if err != nil {
		return nil, fmt.Errorf("mux: dial %s: %w", addr, err)
	}
	return conn, nil
}

func (m *Mux) dial(ctx context.Context, self Peer, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	defer context.AfterFunc(m.ctx, cancel)()

	dialer := net.Dialer{KeepAliveConfig: keepAlive(), Control: boundSilence}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err == nil {
		conn, err = m.introduce(ctx, conn, self, addr)
	}
	switch {
	case err == nil:
		return conn, nil
	case m.ctx.Err() != nil:
		return nil, ErrClosed
	default:
		return nil, err
	}
}

// introduce does the dialer's half of the handshake; it closes conn when that
// fails.
func (m *Mux) introduce(ctx context.Context, conn net.Conn, self Peer, addr string) (_ net.Conn, err error) {
	raw := conn
	defer func() {
		if err != nil {
			_ = raw.Close()
		}
	}()
	setNoDelay(conn)
	// The deadline is moved into the past when ctx ends, which also covers
	// ctx's own deadline.
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	if m.cfg.ClientTLS != nil {
		cfg := m.cfg.ClientTLS
		if cfg.ServerName == "" {
			host, _, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			cfg = cfg.Clone()
			cfg.ServerName = host
		}
		secure := tls.Client(conn, cfg)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = secure
	}
	h := hello{version: Version, cluster: m.cfg.ClusterID, peer: self}
	if _, err := conn.Write(appendHello(nil, h)); err != nil {
		return nil, fmt.Errorf("write handshake: %w", err)
	}
	if err := readAnswer(conn); err != nil {
		return nil, err
	}
	if !stop() {
		return nil, context.Cause(ctx)
	}
	return conn, nil
}

// setNoDelay asks for small writes to leave at once. Go does so by default;
// the batching above this layer depends on it, so it is said here.
func setNoDelay(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetNoDelay(true)
	}
}

// Close stops to listen, closes all accepted connections and stream layers,
// breaks off dials on their way and waits for every handler to return. It is
// idempotent.
func (m *Mux) Close() error {
	m.cancel()
	err := m.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	m.inbound.closeAll()
	m.mu.Lock()
	layers := make([]*layer, 0, len(m.layers))
	for _, l := range m.layers {
		layers = append(layers, l)
	}
	m.mu.Unlock()
	for _, l := range layers {
		_ = l.Close()
	}
	m.wg.Wait()
	if err != nil {
		return fmt.Errorf("mux: close: %w", err)
	}
	return nil
}
