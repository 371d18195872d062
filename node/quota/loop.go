package quota

import (
	"time"

	"tombola/allocator"
)

// maxEntryBytes bounds one entry of the bank's log.
const maxEntryBytes = 512 << 10

// archiveEvery is how often prizes that are over are looked for.
const archiveEvery = time.Minute

// loop is what only the goroutine of Run touches.
type loop struct {
	b      *Bank
	writer allocator.BankWriter
	result allocator.BankResult
	words  []allocator.To
	bySlot map[allocator.SliceNo][]allocator.Word
	told   map[allocator.PrizeNo]struct{}
}

// round commits what waits and tells the slices what follows from it. It
// reports whether there was anything.
func (l *loop) round() bool {
	b := l.b
	now, ok := l.time()
	if !ok {
		return false // what waits does so until there is a time, or another leader
	}
	b.mu.Lock()
	notes, changes := b.notes, b.changes
	b.notes, b.changes = nil, nil
	b.mu.Unlock()
	if len(notes) == 0 && len(changes) == 0 {
		return false
	}
	l.writer.Begin(make([]byte, b.cfg.Headroom, 4096), now)
	taken := 0
	for _, c := range changes {
		if l.writer.Size() > maxEntryBytes {
			break
		}
		l.writer.Change(&c.order)
		taken++
	}
	b.cfg.State.Read(func(s *allocator.Bank) {
		for i := range notes {
			if s.Learns(&notes[i], now) && l.writer.Size() < maxEntryBytes {
				l.writer.Note(&notes[i])
			}
		}
	})
	if left := changes[taken:]; len(left) > 0 {
		b.mu.Lock()
		b.changes = append(left, b.changes...)
		b.mu.Unlock()
	}
	if !l.commit(changes[:taken]) {
		return true
	}
	l.tell(notes)
	return true
}

// time returns the time of the next entry.
func (l *loop) time() (now allocator.Micros, ok bool) { return l.b.cfg.Clock(l.last()) }

// last returns the time of the last entry.
func (l *loop) last() (at allocator.Micros) {
	l.b.cfg.State.Read(func(s *allocator.Bank) { at = s.Now() })
	return at
}

// commit has the entry decided and answers the changes in it.
func (l *loop) commit(changes []*change) bool {
	l.result.Reset()
	if l.writer.Count() == 0 {
		return true
	}
	if err := l.b.cfg.Log.Propose(l.writer.Bytes(), &l.result); err != nil {
		l.b.cfg.Logger.Warn("the bank's entry failed", "err", err)
		for _, c := range changes {
			c.err = err
			close(c.done)
		}
		return false
	}
	l.b.mu.Lock()
	close(l.b.applied)
	l.b.applied = make(chan struct{})
	l.b.mu.Unlock()
	for i, c := range changes {
		c.out = l.result.Changes[i]
		close(c.done)
	}
	return true
}

// tell sends the answers to notes, and what else follows from the entry.
func (l *loop) tell(notes []allocator.Note) {
	l.words = l.words[:0]
	l.b.cfg.State.Read(func(s *allocator.Bank) {
		l.once(l.result.Touched, s)
		for i := range notes {
			l.words = s.Answer(&notes[i], l.words)
		}
	})
	l.send()
}

// once appends the words about each of the prizes.
func (l *loop) once(prizes []allocator.PrizeNo, s *allocator.Bank) {
	if l.told == nil {
		l.told = make(map[allocator.PrizeNo]struct{})
	}
	clear(l.told)
	for _, no := range prizes {
		if _, ok := l.told[no]; !ok {
			l.told[no] = struct{}{}
			l.words = s.Words(no, l.words)
		}
	}
}

// turnBack commits an entry that does nothing where time may go back: the state
// would be ahead of it for as long as there is nothing to decide, and whoever
// leads next may not have been told that it may.
func (l *loop) turnBack() {
	last := l.last()
	now, ok := l.b.cfg.Clock(last)
	if !ok || last.Time().Sub(now.Time()) <= allocator.StepBack {
		return
	}
	var w allocator.BankWriter
	w.Begin(make([]byte, l.b.cfg.Headroom, l.b.cfg.Headroom+16), now)
	if err := l.b.cfg.Log.Propose(w.Bytes(), &l.result); err != nil {
		l.b.cfg.Logger.Warn("the bank's time could not go back", "err", err)
	}
}

// repeat tells the slices again what they have not confirmed.
func (l *loop) repeat() {
	l.turnBack()
	l.words = l.words[:0]
	l.b.cfg.State.Read(func(s *allocator.Bank) { l.once(s.Busy(), s) })
	l.send()
}

func (l *loop) send() {
	if l.bySlot == nil {
		l.bySlot = make(map[allocator.SliceNo][]allocator.Word)
	}
	for i := range l.words {
		to := &l.words[i]
		if words := l.bySlot[to.Slice]; !said(words, &to.Word) {
			l.bySlot[to.Slice] = append(words, to.Word)
		}
	}
	for s, words := range l.bySlot {
		if len(words) > 0 {
			l.b.cfg.Slice(s, words)
		}
		delete(l.bySlot, s)
	}
}

// said reports whether a word is among the last few already: answers and what
// follows from an entry overlap.
func said(words []allocator.Word, w *allocator.Word) bool {
	const look = 16
	for i := max(0, len(words)-look); i < len(words); i++ {
		if o := &words[i]; o.Kind == w.Kind && o.Prize == w.Prize && o.Purse == w.Purse && o.Version == w.Version && o.N == w.N {
			return true
		}
	}
	return false
}

// archive lets the slices forget prizes that have been over for long.
func (l *loop) archive() {
	now, ok := l.time()
	if !ok {
		return
	}
	var over []allocator.PrizeNo
	l.b.cfg.State.Read(func(s *allocator.Bank) {
		over = s.Over(now - allocator.Micros(l.b.cfg.Retain.Microseconds()))
	})
	if len(over) == 0 {
		return
	}
	l.writer.Begin(make([]byte, l.b.cfg.Headroom, 1024), now)
	for _, no := range over {
		l.writer.Archive(no)
	}
	if l.commit(nil) {
		l.tell(nil)
	}
}
