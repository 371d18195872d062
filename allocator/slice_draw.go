package allocator

import (
	"fmt"

	"tombola/allocator/ledger"
)

// draw decides one draw, in the order that the design promises: known request
// id, status, window, user limit, total, day, release.
func (s *Slice) draw(no PrizeNo, user, requestID []byte, res *Result) (Outcome, error) {
	p := s.prize(no)
	if p == nil {
		return Outcome{Verdict: UnknownPrize}, nil
	}
	today, ok := s.today(p)
	if !ok {
		return Outcome{Verdict: Again}, nil
	}
	q := s.question(p, user, requestID)
	out := s.decide(p, &q, s.now, today)
	if out.Verdict != Granted || out.Repeat {
		return out, nil
	}
	seq := s.ledger.Last() + 1
	err := s.ledger.Append(ledger.Entry{
		Seq: seq, Prize: uint32(no), Day: int32(today), At: int64(s.now), User: q.user, Request: q.request,
	})
	if err != nil {
		return out, err
	}
	p.stock.tokens--
	p.granted++
	p.last = seq
	if book := s.openBook(p, today); book != nil {
		book.sent++
		book.counts++
		if p.def.DailyLimit > 0 {
			book.purse.tokens--
		}
	}
	if !q.home {
		p.strays++
	}
	res.Events = append(res.Events, Event{
		Seq: seq, Kind: EventGrant, Prize: no, At: s.now, Day: today, User: user, RequestID: requestID,
	})
	out.Seq, out.At = seq, s.now
	return out, nil
}

// question is a draw with what its decision needs to know of the user.
type question struct {
	user    ledger.Hash
	request ledger.Hash // zero without a request id
	home    bool
}

func (s *Slice) question(p *prize, user, requestID []byte) question {
	q := question{user: s.cfg.Key.user(user)}
	q.home = home(q.user, s.cfg.Slices) == s.cfg.Slice
	if len(requestID) > 0 {
		q.request = s.cfg.Key.request(p.def.No, q.user, requestID)
	}
	return q
}

// decide says what a draw comes to, and changes nothing. Granted without
// Repeat means: there is a token for it.
func (s *Slice) decide(p *prize, q *question, now Micros, today Day) Outcome {
	hasRequest := !q.request.IsZero()
	if !q.home && (hasRequest || p.def.PerUserLimit > 0) {
		return Outcome{Verdict: Misrouted}
	}
	if hasRequest {
		if g, ok := s.ledger.Find(q.request); ok {
			return Outcome{Verdict: Granted, Repeat: true, GrantVoided: g.Voided, Seq: g.Seq, At: Micros(g.At)}
		}
	}
	if v := p.closedFor(now); v != 0 {
		return Outcome{Verdict: v}
	}
	if limit := p.def.PerUserLimit; limit > 0 && int64(s.ledger.Count(uint32(p.def.No), q.user)) >= limit {
		return Outcome{Verdict: UserLimit}
	}
	return p.tokenFor(now, today)
}

// closedFor says why the prize is not open at now, 0 where it is.
func (p *prize) closedFor(now Micros) Verdict {
	switch {
	case p.def.Archived:
		return Ended // for good, whatever it was before
	case p.def.Status == StatusPaused:
		return Paused
	case p.def.Status != StatusActive:
		return Ended
	case p.def.StartsAt != 0 && now < p.def.StartsAt:
		return NotStarted
	case p.def.EndsAt != 0 && now >= p.def.EndsAt:
		return Ended
	default:
		return 0
	}
}

// tokenFor says whether the purses hold what a draw of today needs.
func (p *prize) tokenFor(now Micros, today Day) Outcome {
	v := p.def.Version
	if p.stock.isDry(v) {
		return Outcome{Verdict: SoldOut}
	}
	if p.def.DailyLimit > 0 {
		book := p.book(today)
		switch {
		case book == nil && today < p.closed:
			return Outcome{Verdict: DailyLimit} // closed for good, its purse is gone
		case book == nil:
			return Outcome{Verdict: Short} // nothing is known of the date yet
		case book.purse.isDry(v):
			return Outcome{Verdict: DailyLimit}
		case book.purse.tokens == 0:
			return Outcome{Verdict: Short}
		}
	}
	if p.stock.tokens > 0 {
		return Outcome{Verdict: Granted}
	}
	if p.stock.pacedAt == v && now < p.stock.released {
		return Outcome{Verdict: NotReleased, Until: p.stock.released}
	}
	return Outcome{Verdict: Short}
}

// Look says what a draw would come to by the committed state, at the leader's
// now and days (by zone, as for EntryWriter.Begin). Granted without Repeat
// means that it has to be proposed, as does Again. It changes nothing and may
// run beside other readers.
func (s *Slice) Look(no PrizeNo, user, requestID []byte, now Micros, days []Day) Outcome {
	p := s.prize(no)
	if p == nil {
		return Outcome{Verdict: UnknownPrize}
	}
	now = clamp(s.now, now)
	if p.zone >= len(days) || !now.near(days[p.zone]) {
		return Outcome{Verdict: Again}
	}
	q := s.question(p, user, requestID)
	return s.decide(p, &q, now, days[p.zone])
}

// void takes a grant back. With restock its token goes to the bank as a
// return: a slice never credits itself, or a token could appear where the bank
// has just been told that there is none.
func (s *Slice) void(seq uint64, restock bool, res *Result) (Outcome, error) {
	g, ok := s.ledger.Grant(seq)
	if !ok {
		return Outcome{Verdict: NoSuchGrant}, nil
	}
	if g.Voided {
		return Outcome{Verdict: Already, Seq: seq}, nil
	}
	p := s.prize(PrizeNo(g.Prize))
	if p == nil {
		return Outcome{}, fmt.Errorf("%w: a grant of prize %d, which is not known", ErrFormat, g.Prize)
	}
	today, known := s.today(p)
	if !known {
		return Outcome{Verdict: Again}, nil
	}
	at := s.ledger.Last() + 1
	if err := s.ledger.AppendVoid(at, seq, restock); err != nil {
		return Outcome{}, err
	}
	p.voided++
	p.last = at
	day := Day(g.Day)
	book := p.book(day)
	if book != nil {
		book.sent--
	}
	if restock {
		p.restocked++
		p.stock.restock++
		p.stock.sendRestock()
		if book != nil && today == day {
			book.counts--
			if p.def.DailyLimit > 0 {
				book.purse.restock++
				book.purse.sendRestock()
			}
		}
		s.mark(p)
	}
	res.Events = append(res.Events, Event{
		Seq: at, Kind: EventVoid, Prize: p.def.No, At: s.now, Day: day, Grant: seq, Restock: restock,
	})
	return Outcome{Verdict: Voided, Seq: seq, At: s.now}, nil
}
