package draws

import (
	"context"
	"time"

	"tombola/allocator"
)

// Bounds of one entry: large enough that a commit is shared by thousands,
// small enough that replication does not stall behind one.
const (
	maxEntryDraws = 8192
	maxEntryBytes = 768 << 10
)

// loop is what only the goroutine of Run touches. While one entry is on its
// way the next batch gathers in the engine, so that the commit in flight is
// the clock and a lone draw does not wait for company.
type loop struct {
	e       *Engine
	writer  allocator.EntryWriter
	result  allocator.Result
	zones   []string
	days    []allocator.Day
	spare   []*Draw // the queue's other buffer
	work    work
	touched []*table
	counted time.Time
	badZone string
}

// work is what one round does.
type work struct {
	draws   []*Draw
	words   []allocator.Word
	orders  []*order
	said    []allocator.Word // words of the entry, in its order
	replies []purseOf        // purses that the bank wants to hear about
	wanted  []giveback
	look    map[allocator.PrizeNo]struct{} // prizes whose parked draws have to be looked at again
}

// purseOf names one purse of one prize.
type purseOf struct {
	prize allocator.PrizeNo
	purse allocator.Purse
}

// giveback is tokens that the slice is about to send back.
type giveback struct {
	purseOf
	tokens int64
}

func newLoop(e *Engine) *loop {
	return &loop{e: e, counted: e.cfg.Clock(), work: work{look: make(map[allocator.PrizeNo]struct{})}}
}

// round takes what waits, decides it and answers. It reports whether it did
// anything.
func (l *loop) round(ctx context.Context) bool {
	if !l.gather() {
		return false
	}
	now := allocator.MicrosOf(l.e.cfg.Clock())
	l.dates(now)
	l.writer.Begin(make([]byte, l.e.cfg.Headroom, l.sizeHint()), now, l.days)
	proposed := l.compose(now)
	err := l.commit(ctx)
	l.settle(proposed, err)
	l.tell()
	return true
}

// gather takes what waits from the engine.
func (l *loop) gather() bool {
	e, w := l.e, &l.work
	e.mu.Lock()
	defer e.mu.Unlock()
	n := min(len(e.queue), maxEntryDraws)
	w.draws = append(w.draws[:0], e.queue[:n]...)
	rest := append(l.spare[:0], e.queue[n:]...)
	clear(e.queue)
	l.spare, e.queue = e.queue[:0], rest
	w.words = append(w.words[:0], e.words...)
	e.words = e.words[:0]
	w.orders = append(w.orders[:0], e.orders...)
	e.orders = e.orders[:0]
	return len(w.draws)+len(w.words)+len(w.orders) > 0
}

func (l *loop) sizeHint() int {
	const perDraw, perWord = 48, 64
	return l.e.cfg.Headroom + 64 + perDraw*len(l.work.draws) + perWord*len(l.work.words)
}

// dates computes today in every zone of the slice.
func (l *loop) dates(now allocator.Micros) {
	l.e.cfg.State.Read(func(s *allocator.Slice) { l.zones = append(l.zones[:0], s.Zones()...) })
	var err error
	if l.days, err = l.e.cfg.Dates.Days(now, l.zones, l.days); err != nil && err.Error() != l.badZone {
		l.badZone = err.Error()
		l.e.cfg.Logger.Error("a prize's time zone is not known here, its days are those of UTC", "err", err)
	}
}

// compose writes the entry: words first, so that tokens are there for the
// draws that waited for them, then those draws, then new ones. What needs no
// entry is looked up in the committed state and put aside as refused.
func (l *loop) compose(now allocator.Micros) (proposed []*Draw) {
	e, w := l.e, &l.work
	w.said, w.replies, w.wanted = w.said[:0], w.replies[:0], w.wanted[:0]
	var shed, lost, unknown []*Draw
	e.cfg.State.Read(func(s *allocator.Slice) {
		e.mu.Lock()
		defer e.mu.Unlock()
		f := &e.flight
		f.proposed, f.refused, f.outcomes = f.proposed[:0], f.refused[:0], f.outcomes[:0]
		l.heed(s)
		for _, o := range w.orders {
			o.write(&l.writer)
		}
		f.proposed = l.welcome(s, f.proposed)
		for i, d := range w.draws {
			if l.writer.Size() > maxEntryBytes {
				e.queue = append(append([]*Draw(nil), w.draws[i:]...), e.queue...)
				break
			}
			out := s.Look(d.Prize, d.User(), d.RequestID(), now, l.days)
			switch {
			case out.Verdict == allocator.Granted && !out.Repeat, out.Verdict == allocator.Again:
				l.writer.Draw(d.Prize, d.User(), d.RequestID())
				f.proposed = append(f.proposed, d)
			case out.Verdict == allocator.Short:
				if over := e.park(d); over != nil {
					shed = append(shed, over)
				} else {
					l.touch(d.Prize)
				}
			case out.Verdict == allocator.Misrouted:
				d.Homed = true
				lost = append(lost, d)
			case out.Verdict == allocator.UnknownPrize:
				unknown = append(unknown, d)
			default:
				f.refused = append(f.refused, d)
				f.outcomes = append(f.outcomes, out)
			}
		}
		proposed = f.proposed
	})
	for _, d := range shed {
		d.Fail(Overloaded)
	}
	for _, d := range unknown {
		d.Fail(NoSuchPrize)
	}
	for _, d := range lost {
		e.cfg.Router.Reroute(d)
	}
	return proposed
}

// heed writes those of the bank's words that are news, and answers recalls.
func (l *loop) heed(s *allocator.Slice) {
	w := &l.work
	for i := range w.words {
		word := &w.words[i]
		at := purseOf{word.Prize, word.Purse}
		w.replies = append(w.replies, at)
		switch {
		case word.Kind == allocator.WordRecall:
			l.giveBack(s, at, word.Tokens)
		case s.Learns(word):
			l.writer.Word(word)
			w.said = append(w.said, *word)
		}
	}
	for _, r := range w.wanted {
		l.writer.Return(r.prize, r.purse, r.tokens)
	}
}

// giveBack plans a return for a recall: what was asked for, and what this
// slice would not grant soon itself.
func (l *loop) giveBack(s *allocator.Slice, at purseOf, wanted int64) {
	for _, r := range l.work.wanted {
		if r.purseOf == at {
			return
		}
	}
	rate := 0.0
	if t := l.e.tables[at.prize]; t != nil {
		rate = t.rate
	}
	if k := allocator.RecallSize(s.Tokens(at.prize, at.purse), wanted, rate); k > 0 {
		l.work.wanted = append(l.work.wanted, giveback{at, k})
	}
}

// welcome proposes parked draws that the entry's words bring tokens for, ahead
// of newer draws. Where a word only changes what draws are told, they are
// looked at again in the next round.
func (l *loop) welcome(s *allocator.Slice, proposed []*Draw) []*Draw {
	e := l.e
	clear(l.work.look)
	for i := range l.work.said {
		no := l.work.said[i].Prize
		t := e.tables[no]
		if t == nil || len(t.parked) == 0 {
			continue
		}
		l.touch(no)
		l.work.look[no] = struct{}{}
		for _, d := range e.take(t, l.tokensWith(s, no)) {
			l.writer.Draw(d.Prize, d.User(), d.RequestID())
			proposed = append(proposed, d)
		}
	}
	return proposed
}

// tokensWith returns how many draws of a prize there are tokens for, once the
// entry's lots are in.
func (l *loop) tokensWith(s *allocator.Slice, no allocator.PrizeNo) int64 {
	day, limited := s.DayPurse(no, l.days)
	stock := s.Tokens(no, allocator.Purse{})
	days := s.Tokens(no, day)
	for i := range l.work.said {
		w := &l.work.said[i]
		switch {
		case w.Prize != no || w.Kind != allocator.WordLot:
		case w.Purse.IsStock():
			stock += w.Tokens
		case w.Purse == day:
			days += w.Tokens
		}
	}
	if limited {
		return min(stock, days)
	}
	return stock
}

// commit has the entry decided. Where there is nothing to decide, but draws to
// refuse, it makes sure that this server still leads: a refusal is a read.
func (l *loop) commit(ctx context.Context) error {
	if l.writer.Count() > 0 {
		return l.e.cfg.Log.Propose(l.writer.Bytes(), &l.result)
	}
	if len(l.e.flight.refused) > 0 {
		return l.e.cfg.Log.Verify(ctx)
	}
	return nil
}

// touch puts a prize on the list of those that the bank may have to hear about.
func (l *loop) touch(no allocator.PrizeNo) *table {
	t := l.e.table(no)
	if !t.touched {
		t.touched = true
		l.touched = append(l.touched, t)
	}
	return t
}
