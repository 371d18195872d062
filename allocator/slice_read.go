package allocator

import "tombola/allocator/ledger"

// Last returns the sequence of the slice's last event.
func (s *Slice) Last() uint64 { return s.ledger.Last() }

// Sunk returns the sequence up to which the sink was last known to hold all
// events.
func (s *Slice) Sunk() uint64 { return s.sunk }

// Zones returns the time zones of the slice's prizes, in the order in which
// EntryWriter.Begin wants their dates. The caller must not change it.
func (s *Slice) Zones() []string { return s.zones }

// Now returns the time of the last entry.
func (s *Slice) Now() Micros { return s.now }

// Clock returns the time of the next entry whose leader's clock says now. The
// dates of an entry are those of this time, so that a grant's date is always
// that of its instant.
func (s *Slice) Clock(now Micros) Micros { return clamp(s.now, now) }

// Definition returns what the slice knows of a prize.
func (s *Slice) Definition(no PrizeNo) (Definition, bool) {
	p := s.prize(no)
	if p == nil {
		return Definition{}, false
	}
	return p.def, true
}

// DayPurse returns the name of the purse that draws of a prize take their day
// tokens from at the given dates, and whether the prize has a daily limit.
func (s *Slice) DayPurse(no PrizeNo, days []Day) (Purse, bool) {
	p := s.prize(no)
	if p == nil || p.def.DailyLimit == 0 || p.zone >= len(days) {
		return Purse{}, false
	}
	return Purse{Day: days[p.zone], Epoch: p.def.DayEpoch}, true
}

// PrizeID returns the id of a prize that the slice knows.
func (s *Slice) PrizeID(no PrizeNo) (string, bool) {
	p := s.prize(no)
	if p == nil {
		return "", false
	}
	return p.def.ID, true
}

// Grant is a grant as the slice remembers it; the ids are in the outbox.
type Grant struct {
	ID     GrantID
	Prize  PrizeNo
	At     Micros
	Day    Day
	Voided bool
}

// Grant returns the grant with sequence seq, if it is retained.
func (s *Slice) Grant(seq uint64) (Grant, bool) {
	g, ok := s.ledger.Grant(seq)
	if !ok {
		return Grant{}, false
	}
	return s.grantOf(g), true
}

// UserGrants returns a user's retained grants of one prize in this slice,
// newest first, at most limit.
func (s *Slice) UserGrants(no PrizeNo, user []byte, limit int) []Grant {
	var grants []Grant
	s.ledger.EachOf(uint32(no), s.cfg.Key.user(user), func(g ledger.Grant) bool {
		grants = append(grants, s.grantOf(g))
		return len(grants) < limit
	})
	return grants
}

func (s *Slice) grantOf(g ledger.Grant) Grant {
	return Grant{
		ID: NewGrantID(s.cfg.Slice, g.Seq), Prize: PrizeNo(g.Prize),
		At: Micros(g.At), Day: Day(g.Day), Voided: g.Voided,
	}
}

// PurseState is a purse's position with its sums, for operators and verify.
type PurseState struct {
	Purse   Purse
	Tokens  int64
	Lots    uint64
	LotSum  int64
	Returns uint64
	RetSum  int64
	Open    int64
	Restock int64 // waits for the next return
	Dry     bool
	Counts  int64 // of a day purse: grants that count on that date
	Before  int64 // of a day purse: those before the day epoch
}

// PrizeState is what one slice knows of one prize.
type PrizeState struct {
	Slice     SliceNo
	Seq       uint64 // the slice's last event when this was read
	Def       Definition
	Granted   int64
	Voided    int64
	Restocked int64
	Strays    int64
	Sent      []DayCount // grants not voided, by date
	Purses    []PurseState
}

// State returns what the slice knows of a prize.
func (s *Slice) State(no PrizeNo) (PrizeState, bool) {
	var st PrizeState
	ok := s.ReadState(no, &st)
	return st, ok
}

// ReadState is State into st, whose memory it uses again.
func (s *Slice) ReadState(no PrizeNo, st *PrizeState) bool {
	p := s.prize(no)
	if p == nil {
		return false
	}
	sent, purses := st.Sent[:0], append(st.Purses[:0], p.stock.state(Purse{}, p.def.Version))
	for i := range p.days {
		b := &p.days[i]
		sent = append(sent, DayCount{b.day, b.sent})
		if p.def.DailyLimit > 0 {
			ps := b.purse.state(Purse{Day: b.day, Epoch: p.def.DayEpoch}, p.def.Version)
			ps.Counts, ps.Before = b.counts, b.before
			purses = append(purses, ps)
		}
	}
	*st = PrizeState{
		Slice: s.cfg.Slice, Seq: s.ledger.Last(), Def: p.def,
		Granted: p.granted, Voided: p.voided, Restocked: p.restocked, Strays: p.strays,
		Sent: sent, Purses: purses,
	}
	return true
}

// Prizes returns the numbers of the prizes that the slice knows, ascending.
func (s *Slice) Prizes() []PrizeNo {
	var numbers []PrizeNo
	for no, p := range s.prizes {
		if p != nil {
			numbers = append(numbers, PrizeNo(no))
		}
	}
	return numbers
}

func (p *purse) state(name Purse, v Version) PurseState {
	return PurseState{
		Purse: name, Tokens: p.tokens, Lots: p.lots, LotSum: p.lotSum, Returns: p.returns, RetSum: p.retSum,
		Open: p.open, Restock: p.restock, Dry: p.isDry(v),
	}
}

// Forgettable returns the archived prizes of which something is left to forget.
func (s *Slice) Forgettable() []PrizeNo {
	var numbers []PrizeNo
	for _, p := range s.prizes {
		if p != nil && p.def.Archived && !p.forgotten {
			numbers = append(numbers, p.def.No)
		}
	}
	return numbers
}
