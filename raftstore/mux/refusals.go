package mux

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// refusalEvery is how often the same refusal of the same host is logged: a
// misconfigured peer tries again many times a second.
const refusalEvery = 10 * time.Second

// maxRefusals bounds the memory spent on remembering what was logged.
const maxRefusals = 256

// refusals logs handshakes that came to nothing.
type refusals struct {
	logger *slog.Logger

	mu   sync.Mutex
	last map[refusal]time.Time
}

type refusal struct {
	host   string
	reason string
}

func newRefusals(logger *slog.Logger) *refusals {
	return &refusals{logger: logger, last: make(map[refusal]time.Time)}
}

func (r *refusals) log(from net.Addr, peer Peer, err error) {
	if !errors.Is(err, ErrRefused) {
		// Port scanners, health checks and peers that went away.
		r.logger.Debug("a connection ended before its handshake", "from", from, "error", err)
		return
	}
	host, _, splitErr := net.SplitHostPort(from.String())
	if splitErr != nil {
		host = from.String()
	}
	if !r.due(refusal{host: host, reason: err.Error()}, time.Now()) {
		return
	}
	r.logger.Warn("refused a connection", "from", from, "server", peer.Server,
		"kind", peer.Kind, "group", peer.Group, "error", err)
}

func (r *refusals) due(what refusal, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last, ok := r.last[what]; ok && now.Sub(last) < refusalEvery {
		return false
	}
	if len(r.last) >= maxRefusals {
		clear(r.last)
	}
	r.last[what] = now
	return true
}
