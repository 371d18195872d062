package draws

import (
	"math"
	"time"

	"tombola/allocator"
)

// Asks that the bank has not answered are repeated after askEvery; open returns
// and what else it should know at every count.
const askEvery = 30 * time.Millisecond

// never is long before now, on the clock of Now.
const never = math.MinInt64 / 2

// tell sends the bank the notes that a round gave rise to: answers to its
// words, and asks for tokens. Draws that were parked beside a lot that has more
// than those before them needed are taken up again.
func (l *loop) tell() {
	e, now := l.e, l.e.now()
	var notes []allocator.Note
	var again []*Draw
	e.cfg.State.Read(func(s *allocator.Slice) {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, at := range l.work.replies {
			notes = l.reply(s, at, notes)
		}
		for _, t := range l.touched {
			t.touched = false
			if len(t.parked) > 0 {
				again = append(again, e.take(t, l.tokensWith(s, t.prize, nil))...)
			}
			notes = l.asks(s, t, now, notes)
		}
		if len(again) > 0 {
			e.queue = append(again, e.queue...)
			e.signal()
		}
	})
	l.touched = l.touched[:0]
	if len(notes) > 0 {
		e.cfg.Bank(notes)
	}
}

// reply appends the note that answers a word about a purse. That of the stock
// goes before one of a day purse: where the last token of the day is the last
// of the stock as well, the bank then hears that both are empty before it can
// say that the day's are gone, and draws are told that the prize has sold out.
func (l *loop) reply(s *allocator.Slice, at purseOf, notes []allocator.Note) []allocator.Note {
	stock := purseOf{at.prize, allocator.Purse{}}
	if at != stock {
		if last := len(notes) - 1; last < 0 || notes[last].Prize != at.prize || notes[last].Purse != stock.purse {
			notes = l.reply(s, stock, notes)
		}
	}
	if n, ok := s.Note(at.prize, at.purse); ok {
		l.ask(s, &n)
		notes = append(notes, n)
	}
	return notes
}

// asks appends the notes that ask for what a prize's draws need here, unless
// the bank has just been asked. Once none wait any more the bank is told so: it
// would recall tokens from others for them.
func (l *loop) asks(s *allocator.Slice, t *table, now int64, notes []allocator.Note) []allocator.Note {
	need := int64(len(t.parked))
	withdrawn := need == 0 && t.askedNeed > 0
	if now-t.asked < int64(askEvery) && need < 2*t.askedNeed+1 && !withdrawn {
		return notes
	}
	before := len(notes)
	purses := [2]allocator.Purse{}
	n := 1
	if day, limited := s.DayPurse(t.prize, l.days); limited {
		purses[1] = day
		n = 2
	}
	for _, purse := range purses[:n] {
		note, ok := s.Note(t.prize, purse)
		if !ok {
			continue
		}
		if l.ask(s, &note); note.Need > 0 || note.Want > 0 || withdrawn {
			notes = append(notes, note)
		}
	}
	if len(notes) > before {
		t.asked, t.askedNeed = now, need
	}
	return notes
}

// ask fills in what the slice needs and wants of a purse. The caller holds
// e.mu.
func (l *loop) ask(s *allocator.Slice, n *allocator.Note) {
	t := l.e.tables[n.Prize]
	if t == nil || n.Dry {
		return
	}
	if day, limited := s.DayPurse(n.Prize, l.days); !n.Purse.IsStock() && (!limited || n.Purse != day) {
		return // a date that is over: nobody waits for its tokens
	}
	tokens := s.Tokens(n.Prize, n.Purse)
	if waiting := int64(len(t.parked)); waiting > tokens {
		n.Need = waiting - tokens
	}
	if n.Need > 0 || tokens < allocator.LowWater(t.rate) {
		n.Want = allocator.WantSize(t.rate)
	}
}

// tick takes rates, repeats what the bank has not answered, looks again at
// parked draws whose prize has changed without a word of the bank, and forgets
// the tables of prizes that nobody draws.
func (l *loop) tick() {
	at, ok := l.time()
	if !ok {
		return // nothing could be done with what the bank would answer
	}
	l.dates(at)
	l.turnBack(at)
	e, now := l.e, l.e.now()
	passed := time.Duration(now - l.counted)
	count := passed >= countEvery
	if count {
		l.counted = now
	}
	var notes []allocator.Note
	var again []*Draw
	e.cfg.State.Read(func(s *allocator.Slice) {
		e.mu.Lock()
		defer e.mu.Unlock()
		for no, t := range e.tables {
			if count {
				t.count(passed)
				if l.stirred(s, t, at) {
					again = e.unpark(t, again)
				}
			}
			if len(t.parked) > 0 || t.askedNeed > 0 || t.rate > 0 {
				notes = l.asks(s, t, now, notes)
			} else if t.idle > maxIdle {
				delete(e.tables, no)
			}
		}
		if count {
			notes = s.Open(notes)
		}
		if len(again) > 0 {
			e.queue = append(again, e.queue...)
			e.signal()
		}
	})
	if len(notes) > 0 {
		e.cfg.Bank(notes)
	}
}

// turnBack commits an entry that does nothing where time may go back: the state
// would be ahead of it for as long as there is nothing to decide, and whoever
// leads next may not have been told that it may. The dates are those of now.
func (l *loop) turnBack(now allocator.Micros) {
	if l.last().Time().Sub(now.Time()) <= allocator.StepBack {
		return
	}
	var w allocator.EntryWriter
	w.Begin(make([]byte, l.e.cfg.Headroom, l.e.cfg.Headroom+64), now, l.days)
	if err := l.e.cfg.Log.Propose(w.Bytes(), &l.result); err != nil {
		l.e.cfg.Logger.Warn("the slice's time could not go back", "err", err)
	}
}

// stirred reports whether a prize's parked draws would not be parked now: it
// has ended by the clock, or tokens came by an entry whose outcome this leader
// did not learn. The caller holds e.mu.
func (l *loop) stirred(s *allocator.Slice, t *table, now allocator.Micros) bool {
	if len(t.parked) == 0 {
		return false
	}
	d := t.parked[0]
	switch s.Look(d.Prize, d.User(), d.RequestID(), now, l.days).Verdict {
	case allocator.Short, allocator.UnknownPrize:
		return false
	default:
		return true
	}
}
