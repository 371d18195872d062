package forward

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"tombola/node/draws"
)

// Limits of a server's connections.
const (
	// silence is how long a connection may say nothing: the other side gives
	// a sign of life every second or so.
	silence = 15 * time.Second
	// writeTimeout is how long the other side may take to read answers.
	writeTimeout = 10 * time.Second
	// maxUnanswered is how many draws of one connection may be on their way;
	// beyond it nothing more is read. A link's window is well below it.
	maxUnanswered = 65536
	// maxUnwritten is how many bytes of answers may wait to be written before
	// nothing more is read.
	maxUnwritten = 4 << 20
	// maxCalls is how many calls of one connection are handled at once.
	maxCalls = 64
)

// Router takes the draws that arrive.
type Router interface {
	// Route hands d, whose Hops counts this forwarding, to the engine of
	// group, or forwards it again. It must not block; the answer comes by d's
	// notifier.
	Route(group uint16, d *draws.Draw)
}

// Handler answers a call from peer, a server id. body is JSON and belongs to
// the handler; the response is encoded as JSON. An error that is a
// *RemoteError crosses the wire as it is, any other with CodeInternal. ctx ends
// when the caller's time is up or the connection is gone.
type Handler func(ctx context.Context, peer string, group uint16, body []byte) (response any, err error)

// PostHandler takes a one-way message from peer. It must not block; payload
// belongs to it.
type PostHandler func(peer string, group uint16, kind byte, payload []byte)

// ServerOptions are what a Server needs.
type ServerOptions struct {
	Router Router
	Now    func() int64 // the clock of draws' deadlines, nanoseconds
	Logger *slog.Logger
}

// Server is the receiving side of forwarding. Its methods may be called
// concurrently.
type Server struct {
	options ServerOptions

	mu       sync.RWMutex
	handlers map[string]Handler
	posts    PostHandler
	conns    map[net.Conn]struct{}
	closing  context.Context // set when Close has begun: until when to wait
	serving  sync.WaitGroup
}

// NewServer returns a server that serves the connections that it is given.
func NewServer(o ServerOptions) *Server {
	return &Server{options: o, handlers: make(map[string]Handler), conns: make(map[net.Conn]struct{})}
}

// Handle registers the handler of a method, replacing the one before.
func (s *Server) Handle(method string, h Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[method] = h
}

// HandlePosts registers who takes one-way messages; until then they are
// dropped.
func (s *Server) HandlePosts(h PostHandler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posts = h
}

// HandleJSON turns a function with a typed request into a Handler.
func HandleJSON[Request, Response any](f func(ctx context.Context, peer string, group uint16, request Request) (Response, error)) Handler {
	return func(ctx context.Context, peer string, group uint16, body []byte) (any, error) {
		var request Request
		if len(body) > 0 {
			if err := json.Unmarshal(body, &request); err != nil {
				return nil, &RemoteError{Code: CodeBadRequest, Text: err.Error()}
			}
		}
		return f(ctx, peer, group, request)
	}
}

// Close stops reading, waits until the draws and calls that were read are
// answered, no longer than ctx, and closes all connections.
func (s *Server) Close(ctx context.Context) {
	s.mu.Lock()
	if s.closing == nil {
		s.closing = ctx
	}
	for c := range s.conns {
		_ = c.SetReadDeadline(time.Unix(1, 0)) // ends the reading, not the writing
	}
	s.mu.Unlock()
	s.serving.Wait()
}

// enter registers a connection; false when the server is closing.
func (s *Server) enter(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing != nil {
		return false
	}
	s.conns[conn] = struct{}{}
	s.serving.Add(1)
	return true
}

func (s *Server) leave(conn net.Conn) {
	_ = conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
	s.serving.Done()
}

// awaitFrame prepares conn for the next read: closing is nil while the server
// is open, else what is left to do is bounded by it.
func (s *Server) awaitFrame(conn net.Conn) (closing context.Context) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closing == nil {
		_ = conn.SetReadDeadline(time.Now().Add(silence))
	}
	return s.closing
}

// report logs why a connection ended, where that tells something.
func (s *Server) report(peer, what string, err error) {
	s.mu.RLock()
	closing := s.closing != nil
	s.mu.RUnlock()
	switch {
	case closing || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed):
	case errors.Is(err, errMalformed):
		s.options.Logger.Error("forward: closing a connection that can't be understood", "peer", peer, "carries", what, "error", err)
	default:
		s.options.Logger.Info("forward: connection from peer lost", "peer", peer, "carries", what, "error", err)
	}
}
