package raftstore

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// tally is what proposers were told about their entries.
type tally struct {
	mu      sync.Mutex
	done    map[string]int // and where the machine put it
	refused map[string]bool
	unknown int
}

// propose tries one entry at one server and notes the answer.
func (a *tally) propose(g *Group, text string) error {
	var r receipt
	err := g.Propose(entry(text), &r)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case err == nil:
		a.done[text] = r.position
	case errors.Is(err, ErrUnknown):
		a.unknown++
	case errors.Is(err, ErrNotLeader):
		a.refused[text] = true
	}
	return err
}

func (a *tally) acknowledged() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.done)
}

// TestWhatProposersAreToldIsTrue moves the leadership around under load, cuts
// leaders off, and then compares every answer with the log.
func TestWhatProposersAreToldIsTrue(t *testing.T) {
	cables := make(map[string]*cable)
	c := newCluster(t, 1, func(o *Options) {
		cables[o.Local] = &cable{StreamLayer: o.Layer}
		o.Layer = cables[o.Local]
	})
	told := &tally{done: make(map[string]int), refused: make(map[string]bool)}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, s := range c.servers {
		for worker := range 3 {
			wg.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					err := told.propose(s.group, fmt.Sprintf("%s-%d-%d", s.id, worker, i))
					if errors.Is(err, ErrNotLeader) {
						time.Sleep(time.Millisecond) // a follower refuses at once
					}
				}
			})
		}
	}
	moves := 0
	for i := range 16 {
		before := told.acknowledged()
		eventually(t, "progress", func() bool { return told.acknowledged() > before+20 })
		leader := c.leader()
		if i%8 == 5 {
			cables[leader.id].set(true)
			eventually(t, "a leader that is cut off gives up", func() bool {
				_, ok := leader.group.Leading()
				return !ok
			})
			c.leader()
			cables[leader.id].set(false)
			continue
		}
		if to := c.servers[i%3]; to != leader && leader.group.Transfer(to.id) == nil {
			moves++
		}
	}
	close(stop)
	wg.Wait()
	c.propose("end")
	log := c.leader().machine.list()
	c.agree(log)
	t.Logf("%d moves, %d acknowledged, %d refused, %d unknown", moves, len(told.done), len(told.refused), told.unknown)
	if moves == 0 {
		t.Error("the leadership never moved")
	}

	where := make(map[string]int, len(log))
	for i, text := range log {
		if where[text] != 0 {
			t.Errorf("%s was applied twice", text)
		}
		where[text] = i + 1
		if told.refused[text] {
			t.Errorf("%s was refused and applied all the same", text)
		}
	}
	for text, position := range told.done {
		if where[text] != position {
			t.Errorf("%s was acknowledged at %d and is at %d", text, position, where[text])
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.IsSortedFunc(c.reigns, func(a, b reign) int { return int(a.term) - int(b.term) }) {
		t.Errorf("reigns out of order: %+v", c.reigns)
	}
	c.noFatal()
}
