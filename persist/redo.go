package persist

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"
)

const (
	// A transaction that meets others' locks is done again at least redos times
	// and for at least redoFor.
	redos   = 5
	redoFor = 10 * time.Second

	// The pauses between are doubled from the first to the longest one.
	firstPause   = 5 * time.Millisecond
	longestPause = 100 * time.Millisecond
)

// redo runs a transaction, from its start again after a deadlock, a lock
// time-out or a busy database. Where ctx ended it, the error says so.
func (d dialect) redo(ctx context.Context, log *slog.Logger, transaction func() error) error {
	began := time.Now()
	for try, pause := 1, firstPause; ; try, pause = try+1, min(2*pause, longestPause) {
		err := transaction()
		if err == nil || errors.Is(err, ErrFenced) {
			return err
		}
		if ctx.Err() != nil {
			// The drivers close the connection or roll back behind our back,
			// and name that.
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		if !d.passing(err) || try > redos && time.Since(began) > redoFor {
			return err
		}
		log.Debug("sink transaction is done again", "try", try, "error", err)
		// With jitter, so that two that collided do not do it again.
		if waited := sleep(ctx, pause/2+rand.N(pause)); waited != nil {
			return fmt.Errorf("%w: %w", waited, err)
		}
	}
}

// sleep waits for d, or until ctx is done and returns why.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
