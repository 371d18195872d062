package raftstore

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

// repeatEvery is how often a message that Raft repeats while a peer is away is
// let through.
const repeatEvery = 10 * time.Second

// hcLogger passes Raft's messages on to slog. What Raft calls info is detail
// here, since the group itself logs what operators need (who leads, snapshots,
// what failed); what it calls an error while a peer is merely away is a
// warning, once in a while.
type hcLogger struct {
	out    *slog.Logger
	name   string
	args   []any
	shared *logState
}

// logState is shared by a logger and those derived from it.
type logState struct {
	stopping atomic.Bool // failures to talk are expected

	mu   sync.Mutex
	last map[string]time.Time // of repeated messages, few in number
}

func newHCLogger(out *slog.Logger) *hcLogger {
	return &hcLogger{out: out, shared: &logState{last: make(map[string]time.Time)}}
}

// quiet demotes all that follows to detail.
func (l *hcLogger) quiet() { l.shared.stopping.Store(true) }

// awayMessage reports whether Raft says msg again and again while a peer is away.
func awayMessage(msg string) bool {
	for _, prefix := range []string{
		"failed to heartbeat to", "failed to appendEntries to", "failed to contact",
		"failed to make requestVote RPC", "failed to start pipeline replication to",
		"failed to pipeline appendEntries", "unable to get address for server",
		"failed to decode incoming command", "failed to flush response",
		"failed to install snapshot", "failed to send snapshot to",
		"Election timeout reached", "rejecting vote request", "rejecting pre-vote request",
		"appendEntries rejected, sending older logs", "failed to get previous log", "failed to get log",
		"not part of stable configuration", "no known peers",
	} {
		if strings.HasPrefix(msg, prefix) {
			return true
		}
	}
	return false
}

// handoverMessage reports whether Raft says msg, as an error, of a leader that
// has handed over as it should.
func handoverMessage(msg string) bool {
	return strings.HasPrefix(msg, "peer has newer term, stopping replication")
}

// electionMessage reports whether Raft says msg, as a warning, of an election:
// that is how every group begins, and goes on without a server that stops.
func electionMessage(msg string) bool {
	for _, prefix := range []string{
		"heartbeat timeout reached", "Election timeout reached", "rejecting vote request", "rejecting pre-vote request",
	} {
		if strings.HasPrefix(msg, prefix) {
			return true
		}
	}
	return false
}

func (s *logState) due(msg string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.last[msg]) < repeatEvery {
		return false
	}
	s.last[msg] = now
	return true
}

func slogLevel(level hclog.Level) slog.Level {
	switch level {
	case hclog.Error:
		return slog.LevelError
	case hclog.Warn:
		return slog.LevelWarn
	case hclog.Info:
		return slog.LevelDebug
	case hclog.Trace:
		return slog.LevelDebug - 8
	default:
		return slog.LevelDebug - 4
	}
}

// Log implements hclog.Logger.
func (l *hcLogger) Log(level hclog.Level, msg string, args ...any) {
	to := slogLevel(level)
	if l.shared.stopping.Load() || handoverMessage(msg) {
		to = min(to, slog.LevelDebug)
	}
	if to > slog.LevelDebug && awayMessage(msg) {
		if !l.shared.due(msg, time.Now()) {
			return
		}
		to = slog.LevelWarn
	}
	if electionMessage(msg) {
		to = min(to, slog.LevelInfo)
	}
	if !l.out.Enabled(context.Background(), to) {
		return
	}
	if l.name != "" {
		msg = l.name + ": " + msg
	}
	l.out.Log(context.Background(), to, "raft: "+msg, plain(append(l.args[:len(l.args):len(l.args)], args...))...)
}

// plain renders hclog's format values, which only hclog understands.
func plain(args []any) []any {
	for i, a := range args {
		if f, ok := a.(hclog.Format); ok && len(f) > 0 {
			if format, ok := f[0].(string); ok {
				args[i] = fmt.Sprintf(format, f[1:]...)
			}
		}
	}
	return args
}

func (l *hcLogger) Trace(msg string, args ...any) { l.Log(hclog.Trace, msg, args...) }
func (l *hcLogger) Debug(msg string, args ...any) { l.Log(hclog.Debug, msg, args...) }
func (l *hcLogger) Info(msg string, args ...any)  { l.Log(hclog.Info, msg, args...) }
func (l *hcLogger) Warn(msg string, args ...any)  { l.Log(hclog.Warn, msg, args...) }
func (l *hcLogger) Error(msg string, args ...any) { l.Log(hclog.Error, msg, args...) }

func (l *hcLogger) enabled(level hclog.Level) bool {
	return l.out.Enabled(context.Background(), slogLevel(level))
}

func (l *hcLogger) IsTrace() bool { return l.enabled(hclog.Trace) }
func (l *hcLogger) IsDebug() bool { return l.enabled(hclog.Debug) }
func (l *hcLogger) IsInfo() bool  { return l.enabled(hclog.Info) }
func (l *hcLogger) IsWarn() bool  { return l.enabled(hclog.Warn) }
func (l *hcLogger) IsError() bool { return l.enabled(hclog.Error) }

// ImpliedArgs implements hclog.Logger.
func (l *hcLogger) ImpliedArgs() []any { return l.args }

// With implements hclog.Logger.
func (l *hcLogger) With(args ...any) hclog.Logger {
	c := *l
	c.args = append(l.args[:len(l.args):len(l.args)], args...)
	return &c
}

// Name implements hclog.Logger.
func (l *hcLogger) Name() string { return l.name }

// Named implements hclog.Logger.
func (l *hcLogger) Named(name string) hclog.Logger {
	if l.name != "" {
		name = l.name + "." + name
	}
	return l.ResetNamed(name)
}

// ResetNamed implements hclog.Logger.
func (l *hcLogger) ResetNamed(name string) hclog.Logger {
	c := *l
	c.name = name
	return &c
}

// SetLevel implements hclog.Logger; the level is slog's to set.
func (l *hcLogger) SetLevel(hclog.Level) {}

// GetLevel implements hclog.Logger.
func (l *hcLogger) GetLevel() hclog.Level {
	for _, level := range []hclog.Level{hclog.Trace, hclog.Debug, hclog.Info, hclog.Warn} {
		if l.enabled(level) {
			return level
		}
	}
	return hclog.Error
}

// StandardLogger implements hclog.Logger.
func (l *hcLogger) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return log.New(l.StandardWriter(nil), "", 0)
}

// StandardWriter implements hclog.Logger.
func (l *hcLogger) StandardWriter(*hclog.StandardLoggerOptions) io.Writer {
	return lineWriter{l}
}

type lineWriter struct{ to *hcLogger }

func (w lineWriter) Write(p []byte) (int, error) {
	w.to.Info(strings.TrimSpace(string(p)))
	return len(p), nil
}
