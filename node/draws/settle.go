package draws

import (
	"fmt"

	"tombola/allocator"
)

// settle answers a round's draws and orders. err is what commit returned.
func (l *loop) settle(proposed []*Draw, err error) {
	e := l.e
	orders := l.work.orders
	// The sweeper may have taken draws out of the flight meanwhile; from here
	// on the rest of them are the loop's.
	e.mu.Lock()
	refused, outcomes := e.flight.refused, e.flight.outcomes
	e.flight = flight{}
	e.mu.Unlock()
	switch {
	case err == nil:
		l.answer(proposed, orders)
		l.conclude(refused, outcomes)
		l.herald.announce(l.answered)
		l.answered = clearAll(l.answered)
	case l.writer.Count() == 0 || e.cfg.NotDone(err):
		l.giveUp(append(proposed, refused...), orders, ErrNotLeading, func(d *Draw) { e.cfg.Router.Reroute(d) })
	default:
		e.cfg.Logger.Warn("an entry's outcome is unknown", "draws", len(proposed), "err", err)
		l.giveUp(refused, nil, nil, func(d *Draw) { e.cfg.Router.Reroute(d) })
		l.giveUp(proposed, orders, fmt.Errorf("draws: outcome unknown: %w", err), func(d *Draw) { d.Fail(UnknownOutcome) })
	}
	e.mu.Lock()
	e.flight = flight{proposed: clearAll(proposed), refused: clearAll(refused), outcomes: outcomes[:0]}
	e.mu.Unlock()
}

func clearAll(draws []*Draw) []*Draw {
	clear(draws)
	return draws[:0]
}

func (l *loop) giveUp(draws []*Draw, orders []*order, why error, end func(*Draw)) {
	for _, d := range draws {
		if d != nil {
			end(d)
		}
	}
	for _, o := range orders {
		o.fail(why)
	}
}

// answer wakes who waits for an entry that was applied. Outcomes come in the
// order of the entry's commands: words, returns, orders, draws.
func (l *loop) answer(proposed []*Draw, orders []*order) {
	if l.writer.Count() == 0 {
		return
	}
	outcomes := l.result.Outcomes[len(l.work.said)+len(l.work.wanted):]
	for i, o := range orders {
		o.out = outcomes[i]
		close(o.done)
	}
	outcomes = outcomes[len(orders):]
	var again, shed, lost []*Draw
	e := l.e
	e.mu.Lock()
	for i, d := range proposed {
		if d == nil {
			continue
		}
		switch out := &outcomes[i]; {
		case out.Verdict == allocator.Granted:
			t := l.touch(d.Prize)
			if !out.Repeat {
				t.granted++
			}
		case out.Verdict == allocator.Short, out.Verdict == allocator.UnknownPrize:
			// One that was parked before keeps its place, ahead of the others.
			if l.touch(d.Prize); i < l.work.parked {
				again = append(again, d)
			} else if over := e.park(d); over != nil {
				shed = append(shed, over)
			}
			proposed[i] = nil
		case out.Verdict == allocator.Again:
			again = append(again, d)
			proposed[i] = nil
		case out.Verdict == allocator.Misrouted:
			d.Homed = true
			lost = append(lost, d)
			proposed[i] = nil
		}
	}
	for no, look := range l.work.look {
		if look {
			again = e.unpark(e.table(no), again)
		}
	}
	if len(again) > 0 {
		e.queue = append(again, e.queue...)
	}
	e.mu.Unlock()
	l.conclude(proposed, outcomes)
	for _, d := range shed {
		d.Fail(Overloaded)
	}
	for _, d := range lost {
		e.cfg.Router.Reroute(d)
	}
}

// conclude sets the answers of draws; they are handed back together.
func (l *loop) conclude(draws []*Draw, outcomes []allocator.Outcome) {
	for i, d := range draws {
		if d != nil {
			d.Answer = Answer{Slice: l.e.cfg.Slice, Outcome: outcomes[i]}
			l.answered = append(l.answered, d)
		}
	}
}
