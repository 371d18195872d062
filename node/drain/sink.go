package drain

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"tombola/persist"
)

// ErrAway is returned while the sink could not be opened yet.
var ErrAway = errors.New("drain: the sink is not open")

// Opener opens the sink as soon as it is there: a node starts, and grants,
// without it.
type Opener struct {
	cfg persist.Config
	log *slog.Logger

	mu    sync.RWMutex
	store *persist.Store
	err   error
}

// Open tries to open the sink once. That it is away is no error; that it
// belongs to another cluster is one.
func Open(ctx context.Context, cfg persist.Config, log *slog.Logger) (*Opener, error) {
	o := &Opener{cfg: cfg, log: log, err: ErrAway}
	if err := o.try(ctx); errors.Is(err, persist.ErrForeignCluster) {
		return nil, err
	}
	return o, nil
}

// Run goes on trying until the sink is open or ctx ends.
func (o *Opener) Run(ctx context.Context) {
	const every, attempt = time.Second, 10 * time.Second
	for {
		if _, err := o.Store(); err == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
		tryCtx, cancel := context.WithTimeout(ctx, attempt)
		_ = o.try(tryCtx) // kept for Store to return
		cancel()
	}
}

func (o *Opener) try(ctx context.Context) error {
	store, err := persist.Open(ctx, o.cfg)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		o.err = errors.Join(ErrAway, err)
		return err
	}
	o.store, o.err = store, nil
	o.log.Info("sink open", "driver", o.cfg.Driver)
	return nil
}

// Store returns the open sink, or why there is none.
func (o *Opener) Store() (*persist.Store, error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.store, o.err
}

// Checkpoint implements Sink.
func (o *Opener) Checkpoint(ctx context.Context, stream uint16) (uint64, error) {
	store, err := o.Store()
	if err != nil {
		return 0, err
	}
	return store.Checkpoint(ctx, stream)
}

// Write implements Sink.
func (o *Opener) Write(ctx context.Context, stream uint16, after uint64, rows []persist.Row) error {
	store, err := o.Store()
	if err != nil {
		return err
	}
	return store.Write(ctx, stream, after, rows)
}

// Close closes the sink if it is open.
func (o *Opener) Close() error {
	if store, err := o.Store(); err == nil {
		return store.Close()
	}
	return nil
}
