package sim

import "tombola/allocator"

// judge looks at an answer at the moment when the slice decides it, by the state
// of all machines at that moment: invariants 4 and 5.
func (o *oracle) judge(t *site, draw int, out *allocator.Outcome) {
	s := o.sim
	d := &s.draws[draw]
	p := &o.prizes[d.prize]
	s.refreshSlice(t)
	def := &t.view[d.prize].Def
	if d.request > 0 && p.byID[d.user][d.request] != 0 {
		o.judgeRepeat(t, d, out)
		return
	}
	no := allocator.PrizeNo(d.prize)
	switch out.Verdict {
	case allocator.Granted:
		if out.Repeat {
			s.fail("4: a repeat answers with the first grant", "slice %d: %s%s never had %d-%d", t.no, userName(d.user), requestText(d.request), t.no, out.Seq)
		}
	case allocator.SoldOut:
		s.hit(SaidSoldOut)
		if left := o.left(no, allocator.Purse{}); left != 0 {
			s.fail("5: never falsely gone", "slice %d says sold_out while %d tokens of prize %d are left", t.no, left, no)
		}
	case allocator.DailyLimit:
		s.hit(SaidDailyLimit)
		name := allocator.Purse{Day: s.dateOf(t.round.now, def.Zone), Epoch: def.DayEpoch}
		if t.purseOf(no, name) == nil {
			p.closedDate = true
		} else if left := o.left(no, name); left != 0 {
			s.fail("5: never falsely gone", "slice %d says daily_limit while %d tokens of prize %d's %v are left", t.no, left, no, name)
		}
	case allocator.UserLimit:
		s.hit(SaidUserLimit)
		if p.users[d.user] < def.PerUserLimit {
			s.fail("2: a user's limit counts what counts", "slice %d refuses %s, who has %d of %d", t.no, userName(d.user), p.users[d.user], def.PerUserLimit)
		}
	case allocator.NotReleased:
		s.hit(SaidNotReleased)
		if t.view[d.prize].Purses[0].Tokens > 0 || out.Until <= t.round.now {
			s.fail("not released is true", "slice %d: until %d at %d", t.no, out.Until, t.round.now)
		}
	case allocator.Paused, allocator.Ended, allocator.NotStarted:
		o.judgeClosed(t, def, out)
	}
}

// judgeRepeat: a request id that has a grant gets it again, whatever else holds.
func (o *oracle) judgeRepeat(t *site, d *draw, out *allocator.Outcome) {
	s := o.sim
	g := &o.grants[o.prizes[d.prize].byID[d.user][d.request]-1]
	if out.Verdict == allocator.Granted && !out.Repeat && g.slice == t.no && g.seq == out.Seq {
		return // this is the first one
	}
	if t.view[d.prize].Def.Archived && out.Verdict == allocator.Ended {
		return // forgotten
	}
	if out.Verdict != allocator.Granted || !out.Repeat || g.slice != t.no || g.seq != out.Seq || out.GrantVoided != g.voided {
		s.fail("4: a repeat answers with the first grant", "slice %d: %s%s had %d-%d, voided %v, and is told %s",
			t.no, userName(d.user), requestText(d.request), g.slice, g.seq, g.voided, verdictText(out))
	}
	if g.voided {
		s.hit(RepeatOfVoided)
	}
}

func (o *oracle) judgeClosed(t *site, def *allocator.Definition, out *allocator.Outcome) {
	var right bool
	switch out.Verdict {
	case allocator.Paused:
		right = def.Status == allocator.StatusPaused
	case allocator.NotStarted:
		right = def.StartsAt != 0 && t.round.now < def.StartsAt
	default:
		right = def.Archived || def.Status >= allocator.StatusEnded || def.EndsAt != 0 && t.round.now >= def.EndsAt
	}
	if !right {
		o.sim.fail("6: a definition holds", "slice %d says %s by v%d", t.no, verdictText(out), def.Version)
	}
}

// left counts the tokens of a purse that a draw could still get somewhere, but not
// those that wait for a version, nor restocks before the bank has them.
func (o *oracle) left(no allocator.PrizeNo, name allocator.Purse) int64 {
	s, p := o.sim, &o.prizes[no]
	a := accountOf(&s.bank.view[no].VaultState, name)
	var left int64
	if a != nil {
		left = a.Pool + a.Reserve
	}
	for i := range s.n {
		t := s.sites[i]
		here := t.purseOf(no, name)
		if here == nil {
			if a != nil {
				left += a.Lines[i].Open
			}
			continue
		}
		left += here.Tokens
		if a == nil {
			continue
		}
		if a.Lines[i].Lots == here.Lots+1 {
			left += a.Lines[i].Open
		}
		if here.Returns == a.Lines[i].Returns+1 && p.wasRecalled(t.no, name, here.Returns) {
			left += here.Open
		}
	}
	return left
}

// accountOf returns a purse's account at the bank, nil where there is none.
func accountOf(v *allocator.VaultState, name allocator.Purse) *allocator.AccountState {
	for i := range v.Accounts {
		if v.Accounts[i].Purse == name {
			return &v.Accounts[i]
		}
	}
	return nil
}

// purseOf returns a slice's purse as last looked at, nil where there is none.
func (t *site) purseOf(no allocator.PrizeNo, name allocator.Purse) *allocator.PurseState {
	if !t.knows[no] {
		return nil
	}
	v := &t.view[no]
	for i := range v.Purses {
		if v.Purses[i].Purse == name {
			return &v.Purses[i]
		}
	}
	return nil
}
