package quota

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tombola/allocator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 10 * time.Second
	headroom = 8
	slices   = 2
)

var errNotLeader = errors.New("not the leader")

// world is a bank loop with its log and its slices faked.
type world struct {
	t *testing.T
	b *Bank

	stateMu sync.RWMutex
	state   *allocator.Bank

	mu      sync.Mutex
	entries int
	failing error
	held    chan struct{} // entries wait until it is closed, if not nil
	arrived chan struct{}
	now     time.Time // zero: real time
	off     bool      // the clock can't be trusted

	echo  atomic.Pointer[allocator.Note] // what every word to slice 1 is answered with
	words chan allocator.To
	stop  context.CancelFunc
	ended chan struct{}
}

func (w *world) Read(f func(*allocator.Bank)) {
	w.stateMu.RLock()
	defer w.stateMu.RUnlock()
	f(w.state)
}

func (w *world) Propose(entry []byte, into any) error {
	w.mu.Lock()
	held, failing := w.held, w.failing
	w.mu.Unlock()
	if held != nil {
		w.arrived <- struct{}{}
		<-held
	}
	if failing != nil {
		return failing
	}
	w.stateMu.Lock()
	defer w.stateMu.Unlock()
	res := into.(*allocator.BankResult)
	res.Reset()
	if err := w.state.Apply(entry[headroom:], res); err != nil {
		return err
	}
	w.mu.Lock()
	w.entries++
	w.mu.Unlock()
	return nil
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now.IsZero() {
		return time.Now()
	}
	return w.now
}

// date is the loop's clock.
func (w *world) date(allocator.Micros) (allocator.Micros, bool) {
	now := allocator.MicrosOf(w.clock())
	w.mu.Lock()
	defer w.mu.Unlock()
	return now, !w.off
}

func (w *world) applied() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.entries
}

func (w *world) set(f func(*world)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, state: allocator.NewBank(allocator.BankConfig{Slices: slices}),
		arrived: make(chan struct{}), words: make(chan allocator.To, 1<<16),
	}
	w.b = NewBank(Config{
		Log: w, Headroom: headroom, State: w, Clock: w.date, Retain: time.Hour, Logger: slog.New(slog.DiscardHandler),
		Slice: func(s allocator.SliceNo, words []allocator.Word) {
			if n := w.echo.Load(); n != nil && s == 1 {
				w.b.Hear([]allocator.Note{*n})
			}
			for _, word := range words {
				select {
				case w.words <- allocator.To{Slice: s, Word: word}:
				default: // words may be lost
				}
			}
		},
	})
	return w
}

func (w *world) lead() *world {
	ctx, stop := context.WithCancel(context.Background())
	w.stop, w.ended = stop, make(chan struct{})
	ended := w.ended
	go func() {
		defer close(ended)
		w.b.Run(ctx)
	}()
	w.await("it leads", func() bool {
		w.b.mu.Lock()
		defer w.b.mu.Unlock()
		return w.b.leading
	})
	w.t.Cleanup(func() { stop(); <-ended })
	return w
}

func (w *world) await(what string, holds func() bool) {
	w.t.Helper()
	end := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(end) {
			w.t.Fatalf("waited in vain until %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

// word returns the next word to a slice that satisfies what is looked for.
func (w *world) word(s allocator.SliceNo, kind allocator.WordKind) allocator.Word {
	w.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case to := <-w.words:
			if to.Slice == s && to.Word.Kind == kind {
				return to.Word
			}
		case <-timeout:
			w.t.Fatalf("slice %d waited in vain for a word of kind %d", s, kind)
		}
	}
}

func create(id string, total int64) allocator.Change {
	return allocator.Change{
		Prize: id, Actor: "test", Create: true, Set: allocator.FieldsAll,
		To: allocator.Definition{Kind: allocator.KindCounter, Status: allocator.StatusActive, Total: total, Zone: "UTC"},
	}
}

func (w *world) change(c allocator.Change) (allocator.ChangeOutcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return w.b.Change(ctx, c)
}

// created makes prize 1.
func (w *world) created(total int64) {
	w.t.Helper()
	out, err := w.change(create("tea", total))
	if err != nil || out.Verdict != allocator.ChangeCreated || out.Prize != 1 {
		w.t.Fatalf("%+v, %v", out, err)
	}
}

// empty is the note of a slice that holds nothing of prize 1.
func empty(s allocator.SliceNo, need int64) allocator.Note {
	return allocator.Note{Slice: s, Prize: 1, Version: 1, Empty: true, Need: need}
}
