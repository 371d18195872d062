// Package quota is what the bank's leader does: it takes in what slices say,
// carries out operators' changes, and tells each slice what it has to hear. The
// slices' side is part of package draws, where tokens and draws share entries.
package quota

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"tombola/allocator"
)

// Log is the bank's Raft group, as far as its leader needs it.
type Log interface {
	// Propose replicates an entry and returns once it is applied here, with
	// into filled. Its first Headroom bytes are the log's own.
	Propose(entry []byte, into any) error
}

// State is the bank's committed state.
type State interface {
	Read(f func(*allocator.Bank))
}

// Clock returns the time of the next entry of a bank whose last one has the
// time last. ok is false while there is none that can be trusted: then nothing
// is decided.
type Clock func(last allocator.Micros) (now allocator.Micros, ok bool)

// Config is what a Bank is made of.
type Config struct {
	Log      Log
	Headroom int
	State    State
	Clock    Clock
	// Slice sends words to a slice's leader, which may lose them.
	Slice  func(allocator.SliceNo, []allocator.Word)
	Retain time.Duration // how long a prize that is over is remembered
	Logger *slog.Logger
}

// ErrNotLeading is returned for changes to a bank that this server does not
// lead: certainly not done.
var ErrNotLeading = errors.New("quota: this server does not lead the bank")

// Bank is the bank's leader loop. Hear and Change may be called concurrently
// and do nothing while it does not run.
type Bank struct {
	cfg  Config
	wake chan struct{}

	mu      sync.Mutex
	leading bool
	notes   []allocator.Note
	changes []*change
	applied chan struct{} // closed after each entry, and replaced
}

// change is an operator's order that waits for its entry.
type change struct {
	order allocator.Change
	done  chan struct{}
	out   allocator.ChangeOutcome
	err   error
}

// NewBank returns a bank loop that does not run yet.
func NewBank(cfg Config) *Bank {
	return &Bank{cfg: cfg, wake: make(chan struct{}, 1), applied: make(chan struct{})}
}

// maxNotes bounds the notes that wait; slices repeat those that are lost.
const maxNotes = 1 << 16

// Hear takes in notes of a slice.
func (b *Bank) Hear(notes []allocator.Note) {
	b.mu.Lock()
	if b.leading && len(b.notes) < maxNotes {
		b.notes = append(b.notes, notes...)
	}
	b.mu.Unlock()
	b.signal()
}

// Change has an operator's order committed. Its effect is complete once Await
// says so. When ctx ends first, it may or may not be done; where it certainly is
// not, since the bank could not even begin with it, that is ErrNotLeading.
func (b *Bank) Change(ctx context.Context, order allocator.Change) (allocator.ChangeOutcome, error) {
	if !order.Readable() {
		return allocator.ChangeOutcome{Verdict: allocator.ChangeBadValues}, nil
	}
	c := &change{order: order, done: make(chan struct{})}
	b.mu.Lock()
	if !b.leading {
		b.mu.Unlock()
		return allocator.ChangeOutcome{}, ErrNotLeading
	}
	b.changes = append(b.changes, c)
	b.mu.Unlock()
	b.signal()
	select {
	case <-c.done:
		return c.out, c.err
	case <-ctx.Done():
		if b.withdraw(c) {
			return allocator.ChangeOutcome{}, ErrNotLeading
		}
		return allocator.ChangeOutcome{}, ctx.Err()
	}
}

// withdraw takes back a change that is in no entry yet, and reports whether it
// was.
func (b *Bank) withdraw(c *change) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, o := range b.changes {
		if o == c {
			b.changes = append(b.changes[:i:i], b.changes[i+1:]...)
			return true
		}
	}
	return false
}

// Await waits until the committed state satisfies done, which is called after
// each entry. It returns ctx's error if that ends first, and ErrNotLeading when
// this server stops leading.
func (b *Bank) Await(ctx context.Context, done func(*allocator.Bank) bool) error {
	for {
		b.mu.Lock()
		leading, applied := b.leading, b.applied
		b.mu.Unlock()
		satisfied := false
		b.cfg.State.Read(func(s *allocator.Bank) { satisfied = done(s) })
		switch {
		case satisfied:
			return nil
		case !leading:
			return ErrNotLeading
		}
		select {
		case <-applied:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b *Bank) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// repeatEvery is how often slices are told again what they have not confirmed.
const repeatEvery = 100 * time.Millisecond

// Run serves until ctx ends. It is called by one goroutine at a time, while
// this server leads the bank and has applied all that came before.
func (b *Bank) Run(ctx context.Context) {
	b.mu.Lock()
	b.leading = true
	b.mu.Unlock()
	defer b.abandon()
	l := &loop{b: b}
	repeat := time.NewTicker(repeatEvery)
	defer repeat.Stop()
	archive := time.NewTicker(archiveEvery)
	defer archive.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.wake:
		case <-repeat.C:
			l.repeat()
		case <-archive.C:
			l.archive()
		}
		for ctx.Err() == nil && l.round() {
			// Under load there is always something: look after the tickers too.
			select {
			case <-repeat.C:
				l.repeat()
			case <-archive.C:
				l.archive()
			default:
			}
		}
	}
}

func (b *Bank) abandon() {
	b.mu.Lock()
	b.leading = false
	changes := b.changes
	b.changes, b.notes = nil, nil
	close(b.applied)
	b.applied = make(chan struct{})
	b.mu.Unlock()
	for _, c := range changes {
		c.err = ErrNotLeading
		close(c.done)
	}
}
