package httpapi

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// Config is what a Server is made of. Backend, Logger and Metrics are required.
type Config struct {
	Backend Backend
	Logger  *slog.Logger
	// Metrics is where the server registers its own metrics.
	Metrics *metrics.Set
	// WriteMetrics writes what /metrics answers: usually Metrics and the sets
	// of the rest of the node. Nil writes Metrics alone.
	WriteMetrics func(io.Writer)
	// Tokens can be replaced later with Server.SetTokens.
	Tokens Tokens
	// SeparateAdmin moves /admin, /metrics and /debug/pprof to the listener
	// given to Server.ServeAdmin. Probes are answered on both.
	SeparateAdmin bool
	// TLS, when set, is spoken on all listeners.
	TLS    *tls.Config
	Limits Limits
}

// Limits bound what clients can make a server do. Zero values stand for the
// defaults.
type Limits struct {
	Connections int           // open at once on one listener; 65,536
	Draws       int           // being decided at once; 32,768
	Header      int           // bytes of request line and header; 8 KiB
	DrawBody    int           // bytes; 4 KiB
	AdminBody   int           // bytes; 64 KiB
	Read        time.Duration // for a request to arrive, from its first byte; 10 s
	Write       time.Duration // for an answer to be taken; 10 s
	Idle        time.Duration // between requests of one connection; 2 min
}

// withDefaults fills in what was left at zero.
func (l Limits) withDefaults() Limits {
	l.Connections = or(l.Connections, 65536)
	l.Draws = or(l.Draws, 32768)
	l.Header = or(l.Header, 8<<10)
	l.DrawBody = or(l.DrawBody, 4<<10)
	l.AdminBody = or(l.AdminBody, 64<<10)
	l.Read = or(l.Read, 10*time.Second)
	l.Write = or(l.Write, 10*time.Second)
	l.Idle = or(l.Idle, 2*time.Minute)
	return l
}

// or returns v, or def where v is not positive.
func or[T int | time.Duration](v, def T) T {
	if v > 0 {
		return v
	}
	return def
}

// ErrConfig is wrapped by New's errors.
var ErrConfig = errors.New("httpapi: incomplete configuration")

// Time limits of calls, where the header Tombola-Timeout-Ms does not say.
const (
	timeoutHeader = "Tombola-Timeout-Ms"
	drawWait      = time.Second
	callWait      = 5 * time.Second
	verifyWait    = time.Minute
	maxWaitMillis = 10000
)
