package membership

import (
	"bytes"
	"context"
	"log"
	"log/slog"
	"sync"
	"time"
)

// gossipLog turns memberlist's lines, "[WARN] memberlist: text", into records.
// Levels are lowered by one: gossip repairs itself, and what an operator has
// to know is reported by this package in its own words.
//
// Whoever can reach the port can make it complain, so that only so many lines
// of a level come in a while; the first one after that tells how many did not.
type gossipLog struct {
	to  *slog.Logger
	now func() time.Time

	mu      sync.Mutex
	since   map[slog.Level]time.Time
	said    map[slog.Level]int
	dropped map[slog.Level]int
}

const (
	gossipLines = 10
	gossipWhile = 10 * time.Second
)

func newGossipLogger(to *slog.Logger) *log.Logger { return log.New(newGossipLog(to, time.Now), "", 0) }

func newGossipLog(to *slog.Logger, now func() time.Time) *gossipLog {
	return &gossipLog{
		to: to, now: now,
		since: make(map[slog.Level]time.Time), said: make(map[slog.Level]int), dropped: make(map[slog.Level]int),
	}
}

// admit reports whether a line may be said now, and how many could not before.
func (g *gossipLog) admit(level slog.Level) (dropped int, ok bool) {
	if level < slog.LevelInfo {
		return 0, true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := g.now(); now.Sub(g.since[level]) >= gossipWhile {
		dropped = g.dropped[level]
		g.since[level], g.said[level], g.dropped[level] = now, 0, 0
	}
	if g.said[level] >= gossipLines {
		g.dropped[level]++
		return 0, false
	}
	g.said[level]++
	return dropped, true
}

// Write takes one line; log.Logger calls it once per message.
func (g *gossipLog) Write(line []byte) (int, error) {
	text, level := bytes.TrimSpace(line), slog.LevelDebug
	if rest, ok := bytes.CutPrefix(text, []byte("[")); ok {
		if word, after, ok := bytes.Cut(rest, []byte("] ")); ok {
			text = after
			switch string(word) {
			case "ERR", "ERROR":
				level = slog.LevelWarn
			case "WARN":
				level = slog.LevelInfo
			}
		}
	}
	text = bytes.TrimPrefix(text, []byte("memberlist: "))
	if bytes.HasPrefix(text, []byte("Conflicting address")) {
		level = slog.LevelDebug // comes many times a second; view reports it once
	}
	dropped, ok := g.admit(level)
	if !ok {
		return len(line), nil
	}
	if dropped > 0 {
		g.to.Log(context.Background(), level, "gossip: more was not logged", "lines", dropped)
	}
	g.to.Log(context.Background(), level, "gossip: "+string(text))
	return len(line), nil
}
