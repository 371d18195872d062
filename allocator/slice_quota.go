package allocator

import "slices"

// hear takes in a word of the bank. A word about another version than the
// slice's own is ignored, and so is a lot out of order: the bank repeats what
// was not acknowledged.
func (s *Slice) hear(w *Word) Outcome {
	if w.Kind == WordDefine {
		return s.define(&w.Define)
	}
	p := s.prize(w.Prize)
	if p == nil {
		return Outcome{Verdict: Stale}
	}
	purse := s.purse(p, w.Purse)
	if purse == nil || !purse.hear(w, p.def.Version) {
		return Outcome{Verdict: Stale}
	}
	s.mark(p)
	return Outcome{Verdict: Accepted}
}

func (p *purse) hear(w *Word, version Version) bool {
	switch w.Kind {
	case WordLot:
		if w.N != p.lots+1 || w.Tokens > MaxTotal-p.tokens || p.lotSum > maxSum-w.Tokens {
			return false
		}
		p.lots++
		p.lotSum += w.Tokens
		p.tokens += w.Tokens
		p.dry, p.pacedAt, p.released = 0, 0, 0
	case WordReceived:
		if w.N != p.returns || p.open == 0 {
			return false
		}
		p.open = 0
		p.sendRestock()
	case WordDry:
		if w.Version != version || p.tokens > 0 || p.dry == version {
			return false
		}
		p.dry = version
	case WordPaced:
		if w.Version != version || p.tokens > 0 || p.pacedAt == version && p.released >= w.Until {
			return false
		}
		p.pacedAt, p.released = version, w.Until
	default:
		return false
	}
	return true
}

func (s *Slice) define(def *Definition) Outcome {
	for int64(len(s.prizes)) <= int64(def.No) {
		s.prizes = append(s.prizes, nil)
	}
	p := s.prizes[def.No]
	if p == nil {
		p = &prize{}
		s.prizes[def.No] = p
	} else if def.Version <= p.def.Version {
		return Outcome{Verdict: Stale}
	}
	if def.DayEpoch != p.def.DayEpoch {
		// Day purses of the old epoch are void. What was granted until here is
		// told to the bank, which funds the new purses with what is left.
		for i := range p.days {
			p.days[i].before = p.days[i].counts
			p.days[i].purse = purse{}
		}
	}
	p.def = *def
	p.zone = slices.Index(s.zones, def.Zone)
	if p.zone < 0 {
		p.zone = len(s.zones)
		s.zones = append(s.zones, def.Zone)
	}
	s.mark(p)
	return Outcome{Verdict: Accepted}
}

// sendBack makes a return of up to tokens tokens, unless one is still open.
func (s *Slice) sendBack(no PrizeNo, name Purse, tokens int64) Outcome {
	p := s.prize(no)
	if p == nil {
		return Outcome{Verdict: Stale}
	}
	purse := s.purse(p, name)
	if purse == nil || purse.open != 0 {
		return Outcome{Verdict: Stale}
	}
	k := min(tokens, purse.tokens)
	if k <= 0 {
		return Outcome{Verdict: Stale}
	}
	purse.tokens -= k
	purse.sendBack(k)
	s.mark(p)
	return Outcome{Verdict: Accepted}
}

func (s *Slice) sunkTo(seq uint64) Outcome {
	if seq <= s.sunk || seq > s.ledger.Last() {
		return Outcome{Verdict: Stale}
	}
	s.sunk = seq
	return Outcome{Verdict: Accepted}
}

// maxForget bounds the records that one command may forget, so that no entry
// stops a slice for long.
const maxForget = 100_000

// forget frees what is kept of an archived prize whose events the sink holds.
func (s *Slice) forget(no PrizeNo, budget int) Outcome {
	p := s.prize(no)
	if p == nil || !p.def.Archived || s.sunk < p.last {
		return Outcome{Verdict: Stale}
	}
	if !s.ledger.Forget(uint32(no), budget) {
		return Outcome{Verdict: Again}
	}
	p.forgotten = true
	return Outcome{Verdict: Accepted}
}

// mark keeps the set of prizes with something open up to date.
func (s *Slice) mark(p *prize) {
	open := p.stock.open != 0
	for i := range p.days {
		open = open || p.days[i].purse.open != 0
	}
	if open {
		s.open[p.def.No] = struct{}{}
	} else {
		delete(s.open, p.def.No)
	}
}

// Note returns the slice's position in one purse, as committed, without need
// or want. ok is false where the slice has no such prize, where the purse is of
// another day epoch than the slice's own, and for a date that is closed here.
func (s *Slice) Note(no PrizeNo, name Purse) (n Note, ok bool) {
	p := s.prize(no)
	if p == nil {
		return Note{}, false
	}
	n = Note{Slice: s.cfg.Slice, Prize: no, Purse: name, Version: p.def.Version}
	if name.IsStock() {
		n.Strays = p.strays
		for _, b := range p.days {
			if b.before != 0 {
				n.Before = append(n.Before, DayCount{b.day, b.before})
			}
		}
		n.position(&p.stock)
		return n, true
	}
	b := p.book(name.Day)
	switch {
	case name.Epoch != p.def.DayEpoch || p.def.DailyLimit == 0 || b == nil && name.Day < p.closed:
		return n, false
	case b == nil:
		n.Empty = true
	default:
		n.position(&b.purse)
	}
	return n, true
}

func (n *Note) position(p *purse) {
	n.Lots, n.Returns, n.Open = p.lots, p.returns, p.open
	n.Empty = p.tokens == 0
	n.Dry = p.dry == n.Version
	if p.pacedAt == n.Version {
		n.Paced = p.released
	}
}

// Tokens returns what a purse holds, 0 where there is none.
func (s *Slice) Tokens(no PrizeNo, name Purse) int64 {
	p := s.prize(no)
	if p == nil {
		return 0
	}
	if name.IsStock() {
		return p.stock.tokens
	}
	if b := p.book(name.Day); b != nil && name.Epoch == p.def.DayEpoch && p.def.DailyLimit > 0 {
		return b.purse.tokens
	}
	return 0
}

// Open appends the purses with a return that the bank may not have to to, for
// a leader who has to repeat it.
func (s *Slice) Open(to []Note) []Note {
	numbers := make([]PrizeNo, 0, len(s.open))
	for no := range s.open {
		numbers = append(numbers, no)
	}
	slices.Sort(numbers)
	for _, no := range numbers {
		p := s.prizes[no]
		if p.stock.open != 0 {
			n, _ := s.Note(no, Purse{})
			to = append(to, n)
		}
		for i := range p.days {
			if p.days[i].purse.open != 0 {
				n, _ := s.Note(no, Purse{Day: p.days[i].day, Epoch: p.def.DayEpoch})
				to = append(to, n)
			}
		}
	}
	return to
}

// Learns reports whether a word of the bank is news to the slice: its leader
// answers what is known already without a log entry.
func (s *Slice) Learns(w *Word) bool {
	p := s.prize(w.Prize)
	if w.Kind == WordDefine {
		return p == nil || w.Version > p.def.Version
	}
	if p == nil {
		return false
	}
	var known purse
	if w.Purse.IsStock() {
		known = p.stock
	} else if w.Purse.Epoch != p.def.DayEpoch || p.def.DailyLimit == 0 {
		return false
	} else if b := p.book(w.Purse.Day); b != nil {
		known = b.purse
	} else if w.Purse.Day < p.closed || !p.room(s.now) {
		return false
	}
	return known.hear(w, p.def.Version)
}
