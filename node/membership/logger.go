package membership

import (
	"bytes"
	"context"
	"log"
	"log/slog"
)

// gossipLog turns memberlist's lines, "[WARN] memberlist: text", into records.
// Levels are lowered by one: gossip repairs itself, and what an operator has
// to know is reported by this package in its own words.
type gossipLog struct{ to *slog.Logger }

func newGossipLogger(to *slog.Logger) *log.Logger { return log.New(gossipLog{to}, "", 0) }

// Write takes one line; log.Logger calls it once per message.
func (g gossipLog) Write(line []byte) (int, error) {
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
	g.to.Log(context.Background(), level, "gossip: "+string(text))
	return len(line), nil
}
