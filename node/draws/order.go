package draws

import (
	"context"
	"errors"
	"slices"

	"tombola/allocator"
)

// ErrNotLeading is returned for orders to an engine that does not lead its
// slice: certainly not done.
var ErrNotLeading = errors.New("draws: this server does not lead the slice")

// order is a command that is no draw: a void, a confirmation by the sink.
type order struct {
	write func(*allocator.EntryWriter)
	done  chan struct{}
	out   allocator.Outcome
	err   error
}

func (o *order) fail(err error) {
	o.err = err
	close(o.done)
}

// Order has one command decided, as write adds it to an entry, and returns what
// it came to. When ctx ends first, it may or may not be done.
func (e *Engine) Order(ctx context.Context, write func(*allocator.EntryWriter)) (allocator.Outcome, error) {
	o := &order{write: write, done: make(chan struct{})}
	e.mu.Lock()
	if !e.leading.Load() {
		e.mu.Unlock()
		return allocator.Outcome{}, ErrNotLeading
	}
	e.orders = append(e.orders, o)
	e.mu.Unlock()
	e.signal()
	select {
	case <-o.done:
		return o.out, o.err
	case <-ctx.Done():
		e.withdraw(o)
		return allocator.Outcome{}, ctx.Err()
	}
}

// withdraw takes back an order that is in no entry yet, so that those who give
// up and come again do not fill the queue while nothing is decided.
func (e *Engine) withdraw(o *order) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.orders = slices.DeleteFunc(e.orders, func(other *order) bool { return other == o })
}
