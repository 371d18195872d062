package draws

import (
	"time"

	"tombola/allocator"
)

// table is what the leader keeps in mind of one prize: who waits for tokens
// and how fast they go. It is no part of the state: a new leader begins anew.
type table struct {
	prize  allocator.PrizeNo
	parked []*Draw

	granted int64   // since the last count
	rate    float64 // grants a second, smoothed
	idle    int     // counts without a grant

	asked     int64 // when the bank was last told of need or want, on the clock of Now
	askedNeed int64
	touched   bool // in the loop's list for this round
}

// countEvery is how often rates are taken.
const countEvery = 100 * time.Millisecond

// maxIdle is how many counts without a grant a table outlives.
const maxIdle = 100

// count takes the rate over the time since the last count. The first one is
// believed as it is, so that a rush is met at once.
func (t *table) count(passed time.Duration) {
	rate := float64(t.granted) / passed.Seconds()
	switch {
	case t.granted == 0:
		t.idle++
		t.rate /= 2
		if t.rate < 1 {
			t.rate = 0
		}
	case t.rate < rate:
		t.idle, t.rate = 0, rate
	default:
		t.idle, t.rate = 0, (t.rate+rate)/2
	}
	t.granted = 0
}

// table returns a prize's table. The caller holds e.mu.
func (e *Engine) table(no allocator.PrizeNo) *table {
	t := e.tables[no]
	if t == nil {
		t = &table{prize: no, asked: never}
		e.tables[no] = t
	}
	return t
}

// park makes a draw wait for tokens, or sheds it. The caller holds e.mu; what is
// returned has to be failed once it does not.
func (e *Engine) park(d *Draw) (shed *Draw) {
	if e.parked >= e.cfg.MaxParked {
		return d
	}
	t := e.table(d.Prize)
	t.parked = append(t.parked, d)
	e.parked++
	return nil
}

// take returns up to n of a table's parked draws, the longest waiting first.
// The caller holds e.mu.
func (e *Engine) take(t *table, n int64) []*Draw {
	k := int(min(n, int64(len(t.parked))))
	if k <= 0 {
		return nil
	}
	taken := append([]*Draw(nil), t.parked[:k]...)
	t.parked = append(t.parked[:0], t.parked[k:]...)
	e.parked -= k
	return taken
}

// unpark appends all of a table's parked draws to draws, for another look. The
// bank is asked anew for those that park again. The caller holds e.mu.
func (e *Engine) unpark(t *table, draws []*Draw) []*Draw {
	t.asked = never
	return append(draws, e.take(t, int64(len(t.parked)))...)
}
