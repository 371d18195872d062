package raftstore

import (
	"fmt"
	"sync/atomic"
	"time"
)

// stallTicks is in how many parts a watchdog's limit is counted.
const stallTicks = 8

// watchdog notices work that never returns, which no error tells of: Raft
// would wait for the disk for ever while its heartbeats keep the others from
// electing anybody.
//
// A limit is counted in ticks rather than by the clock. A process or machine
// that was paused runs one tick when it goes on, however long that was, so it
// is not taken for one whose disk hangs.
type watchdog struct {
	limit time.Duration // 0: never
	fail  func(error)   // must not wait for what hangs
}

// watch is one piece of work under way; nil is one that nobody watches.
type watch struct{ done atomic.Bool }

// begin watches what is done from now on until end is called.
func (w watchdog) begin(what string) *watch {
	if w.limit == 0 {
		return nil
	}
	c := new(watch)
	w.tick(c, what, stallTicks)
	return c
}

func (w watchdog) tick(c *watch, what string, left int) {
	time.AfterFunc(w.limit/stallTicks, func() {
		switch {
		case c.done.Load():
		case left > 1:
			w.tick(c, what, left-1)
		default:
			w.fail(fmt.Errorf("%s has not returned for %s: the disk hangs", what, w.limit))
		}
	})
}

// end ends the watch.
func (c *watch) end() {
	if c != nil {
		c.done.Store(true)
	}
}
