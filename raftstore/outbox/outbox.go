package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
)

// DefaultSegmentBytes is the size at which a segment is full when the options
// name none.
const DefaultSegmentBytes = 64 << 20

// The errors that callers tell apart.
var (
	// ErrGap is wrapped when a sequence lies beyond the one that comes next: an
	// Append would leave a hole, a read asks for what can't be there yet.
	ErrGap = errors.New("outbox: sequence is beyond the next one")
	// ErrTrimmed is wrapped when a sequence lies before First.
	ErrTrimmed = errors.New("outbox: sequence is no longer kept")
	// ErrCorrupt is wrapped when bytes that must be whole are not, and when a
	// record that is appended again differs from the one that is kept. The text
	// names the file and the offset.
	ErrCorrupt = errors.New("outbox: corrupt")
	// ErrForeign is wrapped when a segment or a stream has another tag.
	ErrForeign = errors.New("outbox: belongs to another group")
	// ErrVersion is wrapped when a format is newer than this code.
	ErrVersion = errors.New("outbox: unknown format version")
	// ErrRecordSize is wrapped when a record is empty or above MaxRecord.
	ErrRecordSize = errors.New("outbox: record is empty or too large")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("outbox: closed")
)

// Options says where an outbox lives.
type Options struct {
	// Dir is the directory, used for nothing else. It is made when missing.
	Dir string
	// Tag names the owner, a group's number. Files of another tag are refused.
	Tag uint16
	// SegmentBytes is the size at which a new segment is begun; 0 means
	// DefaultSegmentBytes. One Append never spans two segments, so an Append
	// that is larger makes a segment that is larger.
	SegmentBytes int64
	// Logger is told of repairs; nil means nobody.
	Logger *slog.Logger

	wrap func(*os.File) file // lets tests make a disk fail
}

// Outbox is a sequence of records on disk. See the package's documentation for
// what may run concurrently.
type Outbox struct {
	opts Options
	log  *slog.Logger

	// Locks are taken in this order: writeMu, syncMu, indexMu, mu.
	writeMu sync.Mutex // one Append, Load, Reset or Close
	writer  writer     // guarded by writeMu

	syncMu sync.Mutex // one Sync, Trim, Reset or Close
	synced syncPoint  // guarded by syncMu

	indexMu sync.Mutex // one scan for an index

	mu    sync.RWMutex
	state state // guarded by mu, held for moments only
}

// state is what readers see.
type state struct {
	segments []*segment    // oldest first, never empty while open; the last one is being written
	last     uint64        // the last record's sequence; first-1 of an empty outbox
	changed  chan struct{} // closed when last rises; nil while nobody waits
	closed   bool
	failed   error // the flush that failed, after which nothing is accepted
}

func (s *state) active() *segment { return s.segments[len(s.segments)-1] }

// wake releases everyone in Wait.
func (s *state) wake() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// First returns the sequence of the oldest record that is kept. Of an empty
// outbox it is the sequence that comes next, Last()+1.
func (o *Outbox) First() uint64 {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.state.segments[0].first
}

// Last returns the sequence of the newest record. Of an empty outbox it is the
// sequence before the one that comes next: 0 of a new one.
func (o *Outbox) Last() uint64 {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.state.last
}

// Size returns the bytes that the segments take on the disk. Their indexes,
// which it leaves out, are less than a thousandth of that.
func (o *Outbox) Size() int64 {
	o.mu.RLock()
	defer o.mu.RUnlock()
	var size int64
	for _, s := range o.state.segments {
		size += s.size
	}
	return size
}

// Wait returns nil once Last is above after, the context's error when it ends
// first, and ErrClosed when the outbox is or gets closed.
func (o *Outbox) Wait(ctx context.Context, after uint64) error {
	for {
		o.mu.Lock()
		switch {
		case o.state.closed:
			o.mu.Unlock()
			return ErrClosed
		case o.state.last > after:
			o.mu.Unlock()
			return nil
		}
		if o.state.changed == nil {
			o.state.changed = make(chan struct{})
		}
		changed := o.state.changed
		o.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Close flushes what was appended and closes the files. Whoever waits or reads
// gets ErrClosed. Closing again does nothing and returns nil.
func (o *Outbox) Close() error {
	o.writeMu.Lock()
	defer o.writeMu.Unlock()
	o.syncMu.Lock()
	defer o.syncMu.Unlock()
	o.mu.RLock()
	closed := o.state.closed
	o.mu.RUnlock()
	if closed {
		return nil
	}
	err := o.syncLocked()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.state.closed = true
	o.state.wake()
	return errors.Join(err, closeFiles(o.state.segments))
}

// closeFiles closes what is open of the segments. The caller holds mu.
func closeFiles(segments []*segment) error {
	var errs []error
	for _, s := range segments {
		if s.file != nil {
			if err := s.file.Close(); err != nil {
				errs = append(errs, fmt.Errorf("outbox: close %s: %w", s.path, err))
			}
			s.file = nil
		}
	}
	return errors.Join(errs...)
}

// corrupt describes a segment that is not what it must be: bad is what is wrong
// at the offset, or nil when the segment ends, or goes on, after the wrong
// record.
func corrupt(path string, off int64, bad error, next uint64) error {
	if bad == nil {
		bad = fmt.Errorf("segment ends before sequence %d", next)
	}
	return fmt.Errorf("%w: %s: offset %d: sequence %d: %w", ErrCorrupt, path, off, next, bad)
}
