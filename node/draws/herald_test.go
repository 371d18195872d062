package draws

import (
	"slices"
	"sync"
	"testing"
)

// scribe notes in which order draws come back. The first one waits until it is
// let go.
type scribe struct {
	gate chan struct{}

	mu    sync.Mutex
	order []int64
}

func (s *scribe) Answered(d *Draw) {
	s.mu.Lock()
	first := len(s.order) == 0
	s.order = append(s.order, d.Deadline)
	s.mu.Unlock()
	d.Release()
	if first {
		<-s.gate
	}
}

func (s *scribe) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.order)
}

func TestDrawsAreHandedBackInOrderBesideTheLoop(t *testing.T) {
	s := &scribe{gate: make(chan struct{})}
	h := newHerald()
	go h.run()
	var number int64
	announce := func(n int) {
		var batch []*Draw
		for range n {
			number++
			batch = append(batch, New(1, nil, nil, number, s))
		}
		h.announce(batch)
		clear(batch) // it keeps nothing of the slice
	}
	announce(10 * heraldChunk) // does not wait, although the first draw does
	announce(1)                // does not overtake
	announce(heraldChunk + 1)
	if n := s.count(); n > 1 {
		t.Fatalf("%d came back past the first", n)
	}
	close(s.gate)
	h.close()
	if n := s.count(); n != int(number) {
		t.Fatalf("%d of %d are back when it has closed", n, number)
	}
	if !slices.IsSorted(s.order) {
		t.Fatal("they came back in another order")
	}
}

func TestASmallBatchIsHandedBackAtOnce(t *testing.T) {
	s := &scribe{gate: make(chan struct{})}
	close(s.gate)
	h := newHerald()
	go h.run()
	defer h.close()
	h.announce([]*Draw{New(1, nil, nil, 1, s), New(1, nil, nil, 2, s)})
	if n := s.count(); n != 2 {
		t.Fatalf("%d are back", n)
	}
}
