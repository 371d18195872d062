package clockguard

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// Reading is a server's two clocks at one instant.
type Reading struct {
	Wall time.Time     // steps when it is set
	Mono time.Duration // since some instant; never steps
}

// base is where the wall clock was when the monotonic one was at 0. It moves
// when the wall clock steps.
func (r Reading) base() time.Duration { return time.Duration(r.Wall.UnixNano()) - r.Mono }

// Clock reads both clocks of this process at one instant.
type Clock struct {
	start time.Time
	shift atomic.Int64 // nanoseconds by which the wall clock is set wrong
}

// NewClock returns the clocks that the system keeps.
func NewClock() *Clock { return &Clock{start: time.Now()} }

// Read returns what both clocks say. One call reads both, or a pause between
// two calls would look like a step.
func (c *Clock) Read() Reading {
	now := time.Now()
	return Reading{Wall: now.Round(0).Add(time.Duration(c.shift.Load())), Mono: now.Sub(c.start)}
}

// Wall returns what the wall clock says, without a monotonic part.
func (c *Clock) Wall() time.Time { return c.Read().Wall }

// lookEvery is how often Misset looks at its file.
const lookEvery = 20 * time.Millisecond

// Misset sets the wall clock wrong by what a file says, such as +25h or -3m, as
// often as that changes, until ctx ends: for tests of what a wrong clock does. A
// file that is missing or empty means: right. It reads the file before it
// returns; the goroutine that goes on with it is run by start.
func (c *Clock) Misset(ctx context.Context, file string, start func(func()), logger *slog.Logger) error {
	if err := c.obey(file, logger); err != nil {
		return err
	}
	start(func() {
		ticker := time.NewTicker(lookEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if err := c.obey(file, logger); err != nil {
				logger.Error("the clock stays as it is", "err", err)
			}
		}
	})
	return nil
}

func (c *Clock) obey(file string, logger *slog.Logger) error {
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("clockguard: %w", err)
	}
	var shift time.Duration
	if said := strings.TrimSpace(string(text)); said != "" {
		if shift, err = time.ParseDuration(said); err != nil {
			return fmt.Errorf("clockguard: %s: %w", file, err)
		}
	}
	if was := time.Duration(c.shift.Swap(int64(shift))); was != shift {
		logger.Warn("CHAOS: the wall clock of this process is set wrong on purpose", "by", shift, "was", was, "file", file)
	}
	return nil
}
