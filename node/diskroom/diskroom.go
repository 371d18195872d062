// Package diskroom watches how much room is left on the disk that holds a
// server's data, so that it stops growing before the disk is full: a log that
// can't be written ends the process.
package diskroom

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrLow is wrapped by Problem while less than the floor is free.
var ErrLow = errors.New("the disk is almost full")

const (
	// every is how often the disk is looked at. A disk fills by some megabytes
	// meanwhile.
	every = 200 * time.Millisecond
	// last is the part of the floor that replication leaves free: what a
	// server accepts below the floor are entries of leaders that have room.
	last = 4
	// margin is how much above the floor must be free before a low disk counts
	// as well again, as a part of the floor, so that the state does not flap.
	margin = 8
)

// Free returns the bytes that are free for this process on the disk that holds
// dir.
func Free(dir string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("diskroom: %s: %w", dir, err)
	}
	return int64(s.Bavail) * int64(s.Bsize), nil //nolint:unconvert // not an int64 on every system
}

// Watch knows how much room there is. Run is for one goroutine, all else for
// anybody.
type Watch struct {
	dir   string
	floor int64
	look  func(dir string) (int64, error)

	free    atomic.Int64
	low     atomic.Bool
	problem atomic.Pointer[error] // the last one that there was
}

// New looks at the disk that holds dir, which exists. Below floor bytes it is
// low; a floor of 0 never is.
func New(dir string, floor int64) *Watch { return newWatch(dir, floor, Free) }

func newWatch(dir string, floor int64, look func(string) (int64, error)) *Watch {
	w := &Watch{dir: dir, floor: floor, look: look}
	w.once()
	return w
}

// Run looks again and again until ctx ends, and calls changed each time that
// the disk has become low or is no longer.
func (w *Watch) Run(ctx context.Context, changed func()) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if before := w.Low(); w.once() != before {
			changed()
		}
	}
}

// once looks and returns whether the disk is low. Where that can't be found out
// it is what it was: a disk that fails shows in the log's writes.
func (w *Watch) once() bool {
	free, err := w.look(w.dir)
	if err != nil {
		w.problem.Store(&err)
		return w.low.Load()
	}
	w.free.Store(free)
	limit := w.floor
	if w.low.Load() {
		limit += w.floor / margin
	}
	low := free < limit
	if low {
		err = fmt.Errorf("%w: %d MiB are free, the floor is %d MiB", ErrLow, free>>20, w.floor>>20)
		w.problem.Store(&err)
	}
	w.low.Store(low)
	return low
}

// Free returns the bytes that were free at the last look.
func (w *Watch) Free() int64 { return w.free.Load() }

// Low reports whether less than the floor is free: draws are refused then.
func (w *Watch) Low() bool { return w.low.Load() }

// Room reports whether this server may take what other servers replicate to it.
// It ends well below the floor, so that a disk that is low goes on following
// and draining, and above nothing, so that its log can always be written.
func (w *Watch) Room() bool { return w.free.Load() >= w.floor/last }

// Problem says what is wrong with the disk, nil where nothing is.
func (w *Watch) Problem() error {
	if !w.low.Load() {
		return nil
	}
	return *w.problem.Load()
}
