package draws

import (
	"runtime"
	"sync"
)

// herald hands draws back with their answers, in order. Waking thousands at
// once would put thousands of goroutines in front of a heartbeat that has to be
// answered now, and would hold up the next entry: a large batch is therefore
// handed back a few at a time, beside the loop.
type herald struct {
	wake chan struct{}
	done chan struct{}

	mu      sync.Mutex
	pending []*Draw // answered, on their way back
	busy    bool    // some of an earlier batch are still on their way
}

// heraldChunk is how many draws are handed back before others get to run.
const heraldChunk = 64

func newHerald() *herald {
	return &herald{wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// announce hands back draws whose answers are set. It keeps nothing of the
// slice.
func (h *herald) announce(answered []*Draw) {
	h.mu.Lock()
	if len(answered) <= heraldChunk && !h.busy {
		h.mu.Unlock()
		for _, d := range answered {
			d.handBack()
		}
		return
	}
	h.pending = append(h.pending, answered...)
	h.busy = true
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// run hands back what is announced until close.
func (h *herald) run() {
	defer close(h.done)
	var batch []*Draw
	for range h.wake {
		for {
			h.mu.Lock()
			batch, h.pending = h.pending, batch[:0]
			h.busy = len(batch) > 0
			h.mu.Unlock()
			if len(batch) == 0 {
				break
			}
			for i, d := range batch {
				if i%heraldChunk == heraldChunk-1 {
					runtime.Gosched()
				}
				d.handBack()
			}
			clear(batch)
		}
	}
}

// close returns once everything announced is handed back. Nothing is announced
// after it.
func (h *herald) close() {
	close(h.wake)
	<-h.done
}
