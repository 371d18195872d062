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
	counted int64 // on the clock of Now

	answered []*Draw // of this round, with their answers set
	herald   *herald
	badZone  string
}

// work is what one round does.
type work struct {
	draws   []*Draw
	words   []allocator.Word
	orders  []*order
	said    []allocator.Word // words of the entry, in its order
	replies []purseOf        // purses that the bank wants to hear about
	wanted  []giveback
	// look holds the prizes with parked draws that words of the entry are
	// about, and whether these draws have to be looked at again.
	look   map[allocator.PrizeNo]bool
	parked int // how many of the entry's draws were parked before
	aside  aside
}

// aside is draws of a round that are neither proposed nor refused.
type aside struct {
	short []*Draw // there is no token here
	lost  []*Draw // their home is another slice
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
	return &loop{e: e, counted: e.now(), herald: newHerald(), work: work{look: make(map[allocator.PrizeNo]bool)}}
}

// rounds decides until nothing waits any more. Under load that is never, so it
// looks after the ticker too.
func (l *loop) rounds(ctx context.Context, ticks <-chan time.Time) {
	for ctx.Err() == nil {
		worked, err := l.round(ctx)
		if !worked {
			return
		}
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
		select {
		case <-ticks:
			l.tick()
		default:
		}
	}
}

// round takes what waits, decides it and answers. It reports whether there was
// anything, and why it could not be decided.
func (l *loop) round(ctx context.Context) (worked bool, err error) {
	now, ok := l.time()
	if !ok || !l.gather() {
		return false, nil
	}
	l.dates(now)
	l.writer.Begin(l.buffer(), now, l.days)
	proposed := l.compose(now)
	err = l.commit(ctx)
	l.settle(proposed, err)
	l.tell()
	return true, err
}

// time returns the time of the next entry. Without one what waits goes on
// waiting: until there is one again, until another server leads, or until its
// deadline.
func (l *loop) time() (now allocator.Micros, ok bool) { return l.e.cfg.Clock(l.last()) }

// last returns the time of the last entry.
func (l *loop) last() (at allocator.Micros) {
	l.e.cfg.State.Read(func(s *allocator.Slice) { at = s.Now() })
	return at
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

// buffer returns room for an entry, with the log's headroom. An entry that was
// proposed belongs to the log; one that stayed empty, since all was refused,
// makes room for the next.
func (l *loop) buffer() []byte {
	const perDraw, perWord = 48, 64
	headroom := l.e.cfg.Headroom
	size := headroom + 64 + perDraw*len(l.work.draws) + perWord*len(l.work.words)
	if buf := l.writer.Bytes(); l.writer.Count() == 0 && cap(buf) >= size {
		return buf[:headroom]
	}
	return make([]byte, headroom, size)
}

// dates computes today in every zone of the slice, at the time that an entry
// of now will have.
func (l *loop) dates(now allocator.Micros) {
	l.e.cfg.State.Read(func(s *allocator.Slice) {
		now = s.Clock(now)
		l.zones = append(l.zones[:0], s.Zones()...)
	})
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
	var shed, rest []*Draw
	e.cfg.State.Read(func(s *allocator.Slice) {
		l.heed(s)
		for _, o := range w.orders {
			o.write(&l.writer)
		}
		e.mu.Lock()
		f := flight{e.flight.proposed[:0], e.flight.refused[:0], e.flight.outcomes[:0]}
		f.proposed = l.welcome(s, f.proposed)
		e.mu.Unlock()
		w.parked = len(f.proposed)
		rest = l.look(s, now, &f)
		e.mu.Lock()
		defer e.mu.Unlock()
		if len(rest) > 0 {
			e.queue = append(append([]*Draw(nil), rest...), e.queue...)
		}
		for _, d := range w.aside.short {
			if over := e.park(d); over != nil {
				shed = append(shed, over)
			} else {
				l.touch(d.Prize)
			}
		}
		e.flight, proposed = f, f.proposed
	})
	for _, d := range shed {
		d.Fail(Overloaded)
	}
	for _, d := range w.aside.lost {
		e.cfg.Router.Reroute(d)
	}
	w.aside.short, w.aside.lost = clearAll(w.aside.short), clearAll(w.aside.lost)
	return proposed
}

// look sorts a round's new draws by what they would come to. It returns those
// that the entry has no room for. Nobody else knows of these draws meanwhile,
// and the engine's lock is not held: others go on submitting.
func (l *loop) look(s *allocator.Slice, now allocator.Micros, f *flight) (rest []*Draw) {
	w := &l.work
	for i, d := range w.draws {
		if l.writer.Size() > maxEntryBytes {
			return w.draws[i:]
		}
		out := s.Look(d.Prize, d.User(), d.RequestID(), now, l.days)
		switch {
		case out.Verdict == allocator.Granted && !out.Repeat, out.Verdict == allocator.Again:
			l.writer.Draw(d.Prize, d.User(), d.RequestID())
			f.proposed = append(f.proposed, d)
		case out.Verdict == allocator.Short, out.Verdict == allocator.UnknownPrize:
			// The catalog has every prize that there is: one that this slice
			// does not know is one that the bank has not told it of yet.
			w.aside.short = append(w.aside.short, d)
		case out.Verdict == allocator.Misrouted:
			d.Homed = true
			w.aside.lost = append(w.aside.lost, d)
		default:
			f.refused = append(f.refused, d)
			f.outcomes = append(f.outcomes, out)
		}
	}
	return nil
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
// of newer draws. Where a word changes what draws are told, they are looked at
// again in the next round. The caller holds e.mu.
func (l *loop) welcome(s *allocator.Slice, proposed []*Draw) []*Draw {
	e := l.e
	clear(l.work.look)
	for i := range l.work.said {
		word := &l.work.said[i]
		t := e.tables[word.Prize]
		if t == nil || len(t.parked) == 0 {
			continue
		}
		again, served := l.work.look[word.Prize]
		l.work.look[word.Prize] = again || word.Kind != allocator.WordLot
		if served {
			continue
		}
		l.touch(word.Prize)
		room := int64(max(0, maxEntryDraws-len(proposed)))
		for _, d := range e.take(t, min(l.tokensWith(s, word.Prize, l.work.said), room)) {
			l.writer.Draw(d.Prize, d.User(), d.RequestID())
			proposed = append(proposed, d)
		}
	}
	return proposed
}

// tokensWith returns how many draws of a prize there are tokens for, once the
// lots among the words are in.
func (l *loop) tokensWith(s *allocator.Slice, no allocator.PrizeNo, words []allocator.Word) int64 {
	day, limited := s.DayPurse(no, l.days)
	stock := s.Tokens(no, allocator.Purse{})
	days := s.Tokens(no, day)
	for i := range words {
		w := &words[i]
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
