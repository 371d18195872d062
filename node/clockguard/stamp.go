package clockguard

import (
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"tombola/allocator"
)

// middle returns the two clocks in the middle, which are one where their number
// is odd.
func middle(clocks []time.Duration) (low, high time.Duration) {
	slices.Sort(clocks)
	n := len(clocks)
	return clocks[(n-1)/2], clocks[n/2]
}

// Stamp dates the entries of one group. It may be used concurrently.
type Stamp struct {
	guard  *Guard
	accept time.Time // until then entries may be dated before those that are there
	logger *slog.Logger

	ahead  atomic.Int64 // by how much the group's last entry is ahead, nanoseconds
	logged atomic.Int64 // on the monotonic clock, nanoseconds
}

// Stamp returns what dates the entries of a group. Entries are never dated long
// before the one that came before them: that would give out a day's tokens on
// another day, or open again what was over. Until the time accept they are,
// since an operator has looked at it.
func (g *Guard) Stamp(accept time.Time, logger *slog.Logger) *Stamp {
	return &Stamp{guard: g, accept: accept, logger: logger}
}

// Next returns the time of the next entry of a group whose last one has the
// time last. ok is false while there is none: because this server's clock does
// not count, or since the group is ahead of it.
func (s *Stamp) Next(last allocator.Micros) (now allocator.Micros, ok bool) {
	wall, ok := s.guard.Now()
	if !ok {
		return 0, false
	}
	now = allocator.MicrosOf(wall)
	ahead := last.Time().Sub(wall)
	if ahead <= allocator.StepBack {
		s.ahead.Store(0)
		return now, true
	}
	if len(s.guard.cfg.Peers) == 0 || wall.Before(s.accept) {
		s.logger.Warn("time goes back: the last entry was dated later than the clock says", "by", ahead)
		return now, true
	}
	s.ahead.Store(int64(ahead))
	mono := int64(s.guard.cfg.Read().Mono)
	if was := s.logged.Load(); (was == 0 || mono-was >= int64(repeat)) && s.logged.CompareAndSwap(was, mono) {
		s.logger.Error("nothing is decided until the clock has caught up: the last entry was dated later than the servers agree it is",
			"last", last.Time(), "ahead", ahead)
	}
	return 0, false
}

// Problem says why nothing can be dated although the servers agree on the time,
// nil where it can. It is what was found when an entry was last to be dated.
func (s *Stamp) Problem() error {
	ahead := time.Duration(s.ahead.Load())
	if ahead == 0 {
		return nil
	}
	return fmt.Errorf("its last entry is dated %s after the time that the servers agree on", ahead.Round(time.Millisecond))
}

// Ahead returns by how much the group's last entry is ahead of the time, 0
// where it is not.
func (s *Stamp) Ahead() time.Duration { return time.Duration(s.ahead.Load()) }
