package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"tombola/httpapi/wire"
)

// serverName is what the header Server says.
const serverName = "tombola"

const (
	// adminConnections bounds the operators' own listener.
	adminConnections = 1024
	// lastRequest is how long a client that is sending a request, or has just
	// connected, gets to end it when the server stops.
	lastRequest = time.Second
)

// ErrStopped is returned by Serve and ServeAdmin after Shutdown.
var ErrStopped = errors.New("httpapi: the server was shut down")

// Server answers the API on one listener, or on two where operators have their
// own. All its methods may be called concurrently.
type Server struct {
	cfg     Config
	limits  Limits
	log     *slog.Logger
	meters  *meters
	tokens  atomic.Pointer[tokenSet]
	calls   sync.Pool    // of *drawCall
	drawing atomic.Int64 // draws being decided
	drained atomic.Bool

	// base is the parent of all calls' contexts; cancel ends them.
	base   context.Context
	cancel context.CancelFunc

	listeners listeners
}

// listeners are the sockets and the servers on them.
type listeners struct {
	public *fasthttp.Server
	admin  *fasthttp.Server // nil when operators share the public listener
	mu     sync.Mutex
	open   []*guarded
	closed bool
}

// New returns a Server that answers nothing yet; see Serve.
func New(cfg Config) (*Server, error) {
	switch {
	case cfg.Backend == nil:
		return nil, fmt.Errorf("%w: no backend", ErrConfig)
	case cfg.Logger == nil:
		return nil, fmt.Errorf("%w: no logger", ErrConfig)
	case cfg.Metrics == nil:
		return nil, fmt.Errorf("%w: no metrics set", ErrConfig)
	}
	if cfg.WriteMetrics == nil {
		cfg.WriteMetrics = cfg.Metrics.WritePrometheus
	}
	s := &Server{cfg: cfg, limits: cfg.Limits.withDefaults(), log: cfg.Logger, meters: newMeters(cfg.Metrics)}
	s.base, s.cancel = context.WithCancel(context.Background())
	s.calls.New = func() any { return new(drawCall) }
	s.SetTokens(cfg.Tokens)
	if cfg.SeparateAdmin {
		s.listeners.public = s.newFasthttp(public)
		s.listeners.admin = s.newFasthttp(admin)
	} else {
		s.listeners.public = s.newFasthttp(both)
	}
	s.watch()
	return s, nil
}

// newFasthttp returns a server for the routes of one side.
func (s *Server) newFasthttp(on side) *fasthttp.Server {
	l := s.limits
	return &fasthttp.Server{
		Handler:        s.handler(on),
		ErrorHandler:   s.unreadable,
		HeaderReceived: s.requestLimits,
		Name:           serverName,
		ConnState:      follow,
		Logger:         printer{s.log},
		// The listener refuses connections beyond the limit with a proper
		// answer; this one is behind it, and above what it has let go of.
		Concurrency:                  2 * l.Connections,
		ReadBufferSize:               l.Header,
		WriteBufferSize:              2 << 10, // a draw's answer fits in; each open connection holds one
		ReadTimeout:                  l.Read,
		WriteTimeout:                 l.Write,
		IdleTimeout:                  l.Idle,
		MaxRequestBodySize:           l.DrawBody,
		DisablePreParseMultipartForm: true,
		NoDefaultContentType:         true,
		SecureErrorLogMessage:        true,
		CloseOnShutdown:              true,
		MaxIdleWorkerDuration:        2 * time.Second, // goroutines of connections that are gone
	}
}

// requestLimits tells fasthttp how large this request's body may be, before
// the body is read. Handlers look again, by the table of routes.
func (s *Server) requestLimits(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	limit := s.limits.DrawBody
	if uri := h.RequestURI(); len(uri) > 7 && string(uri[:7]) == "/admin/" {
		limit = s.limits.AdminBody
	}
	return fasthttp.RequestConfig{MaxRequestBodySize: limit}
}

// handler returns what serves one request of one side.
func (s *Server) handler(on side) fasthttp.RequestHandler {
	routed := s.newRouter(on).Handler
	draws := on&public != 0
	return func(ctx *fasthttp.RequestCtx) {
		defer s.recovered(ctx)
		if s.drained.Load() {
			// Asked to, clients close; a connection that the server closes may
			// be carrying a draw at that moment.
			ctx.SetConnectionClose()
		}
		if draws {
			if prize, ok := drawPath(ctx); ok {
				s.serveDraw(ctx, prize)
				return
			}
		}
		routed(ctx)
	}
}

// recovered turns a panic of a handler into an answer: fasthttp would end the
// process.
func (s *Server) recovered(ctx *fasthttp.RequestCtx) {
	if v := recover(); v != nil {
		s.log.Error("httpapi: panic in a handler", "panic", v,
			"method", string(ctx.Method()), "path", string(ctx.Path()), "stack", string(debug.Stack()))
		ctx.Response.Reset()
		ctx.SetConnectionClose()
		s.problem(ctx, "panic", &wire.Problem{Code: wire.CodeInternal, Detail: "a fault of the server; it is in its log"})
	}
}

// Serve answers on ln until Shutdown, and closes it. It may be called for more
// than one listener.
func (s *Server) Serve(ln net.Listener) error {
	return s.serveOn(s.listeners.public, ln)
}

// ServeAdmin is Serve for the operators' listener; only with SeparateAdmin.
func (s *Server) ServeAdmin(ln net.Listener) error {
	if s.listeners.admin == nil {
		return fmt.Errorf("%w: operators have no listener of their own", ErrConfig)
	}
	return s.serveOn(s.listeners.admin, ln)
}

func (s *Server) serveOn(srv *fasthttp.Server, ln net.Listener) error {
	limits := s.limits
	if srv == s.listeners.admin {
		limits.Connections = min(limits.Connections, adminConnections)
	}
	guarded, serving := s.guard(ln, limits)
	s.listeners.mu.Lock()
	if s.listeners.closed {
		s.listeners.mu.Unlock()
		_ = guarded.Close()
		return ErrStopped
	}
	s.listeners.open = append(s.listeners.open, guarded)
	s.listeners.mu.Unlock()
	if err := srv.Serve(serving); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("httpapi: serve %s: %w", ln.Addr(), err)
	}
	return ErrStopped
}

// Drain makes /readyz say 503, so that load balancers turn away, and every
// answer ask for its connection to be closed, while all goes on being answered.
func (s *Server) Drain() { s.drained.Store(true) }

// Shutdown takes no more connections, ends those between requests, lets the
// calls that are under way finish and closes all connections. When ctx ends
// first it ends the calls' contexts, closes their connections all the same, and
// returns ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	defer s.cancel()
	s.listeners.mu.Lock()
	s.listeners.closed = true
	open := s.listeners.open
	s.listeners.open = nil
	s.listeners.mu.Unlock()
	var err error
	for _, ln := range open {
		err = errors.Join(err, ln.Close())
		ln.conns.retire(lastRequest)
	}
	results := make(chan error, 2)
	stop := func(srv *fasthttp.Server) {
		if srv == nil {
			results <- nil
			return
		}
		results <- srv.ShutdownWithContext(ctx)
	}
	go stop(s.listeners.public)
	go stop(s.listeners.admin)
	err = errors.Join(err, <-results, <-results)
	for _, ln := range open {
		ln.conns.abandon()
	}
	if err != nil {
		return fmt.Errorf("httpapi: shut down: %w", err)
	}
	return nil
}

// printer passes what fasthttp logs on. It is about single connections and what
// clients do to them, so it is for debugging.
type printer struct{ log *slog.Logger }

// Printf implements fasthttp.Logger.
func (p printer) Printf(format string, args ...any) {
	p.log.Debug("httpapi: connection", "event", fmt.Sprintf(format, args...))
}
