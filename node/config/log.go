package config

import (
	"io"
	"log/slog"
)

// Level returns the level named debug, info, warn or error.
func Level(name string) (slog.Level, error) {
	switch name {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	default:
		return 0, invalid("log-level", "must be debug, info, warn or error, not %q", name)
	}
}

// NewLogger returns the logger that l asks for, which writes to w. Its errors
// are those of Validate.
func NewLogger(w io.Writer, l Log) (*slog.Logger, error) {
	level, err := Level(l.Level)
	if err != nil {
		return nil, err
	}
	opts := &slog.HandlerOptions{Level: level}
	switch l.Format {
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	default:
		return nil, invalid("log-format", "must be text or json, not %q", l.Format)
	}
}
