package sim

import "tombola/allocator"

// pace follows a release schedule from outside: what has left the bank since it
// began, less what came back, is at most the burst and what the time since brought.
type pace struct {
	release allocator.Release
	last    int64 // lots - returns after the entry before
	out     int64 // at most that when it began, in the middle of an entry
	at      allocator.Micros
	anew    bool             // the entry changed it, perhaps there and back
	passed  allocator.Micros // time, where the bank's clock went on
}

func (o *oracle) pace(no int, v *allocator.VaultState, now allocator.Micros) {
	p := &o.prizes[no].pace
	var out int64
	for i := range v.Accounts[0].Lines {
		l := &v.Accounts[0].Lines[i]
		out += l.LotSum - l.RetSum
	}
	switch {
	case v.Def.Release != p.release || p.anew:
		*p = pace{release: v.Def.Release, last: out, out: max(p.last, out), at: now}
		return
	case !p.release.On():
		p.last = out
		return
	}
	p.passed += max(0, now-p.at)
	p.at, p.last = now, out
	micro := int64(p.passed / 1000 * allocator.Micros(p.release.PerSecondMilli)) // millionths of a token
	if released := p.release.Burst + micro/1_000_000 + 1; out-p.out > released {
		o.sim.fail("a release schedule holds", "prize %d: %d tokens left the bank, %d were released", no, out-p.out, released)
	}
}

// bankApplied takes in what an entry of the bank came to.
func (o *oracle) bankApplied(b *bankGroup) {
	s := o.sim
	for i := range b.result.Changes {
		out, c := &b.result.Changes[i], &b.inEntry[i]
		switch out.Verdict {
		case allocator.ChangeCreated:
			b.last = max(b.last, int(out.Prize))
			o.prizes[out.Prize].zone = c.To.Zone
		case allocator.ChangeDone:
			o.changed(int(out.Prize), c)
		case allocator.ChangeBadValues:
			s.fail("operators' changes are valid", "%+v", *c)
		}
	}
	for no := 1; no <= b.last; no++ {
		was := &b.view[no]
		state, held, created := was.Operation.State, was.heldTokens(), was.Def.Version == 0
		b.front.ReadState(allocator.PrizeNo(no), &was.VaultState)
		if created {
			state = 0
		}
		if now := was.Operation.State; now != state {
			switch now {
			case allocator.OperationBelowGranted:
				s.hit(ResizeBelowGranted)
				if o.atSlices(no) != 0 {
					s.fail("a resize is below what is granted only if it is", "prize %d: told %d granted, while slices hold tokens", no, was.Operation.Granted)
				}
			case allocator.OperationStrays:
				s.hit(UserLimitStrayed)
			}
		}
		if was.heldTokens() > held && len(b.result.Changes) == 0 {
			s.hit(RestockWhileDry)
		}
		if was.Def.Archived {
			s.hit(Archived)
		}
		o.pace(no, &was.VaultState, b.now)
	}
}

// atSlices counts the stock tokens that slices hold or have sent back for a recall.
func (o *oracle) atSlices(no int) int64 {
	var tokens int64
	for i := range o.sim.n {
		t := o.sim.sites[i]
		here := t.purseOf(allocator.PrizeNo(no), allocator.Purse{})
		if here == nil {
			continue
		}
		tokens += here.Tokens
		accepted := o.sim.bank.view[no].Accounts[0].Lines[i].Returns
		if here.Returns == accepted+1 && o.prizes[no].wasRecalled(t.no, allocator.Purse{}, here.Returns) {
			tokens += here.Open
		}
	}
	return tokens
}

// vaultView is a prize as the bank was last seen to keep it.
type vaultView struct{ allocator.VaultState }

func (v *vaultView) heldTokens() int64 {
	var held int64
	for i := range v.Accounts {
		held += v.Accounts[i].Held
	}
	return held
}

// changed counts what an operator's change was.
func (o *oracle) changed(no int, c *allocator.Change) {
	s, was := o.sim, &o.sim.bank.view[no]
	to := &c.To
	if c.Set&allocator.FieldTotal != 0 {
		if was.Target > 0 {
			s.hit(ResizeReplaced)
		}
		if to.Total > was.Def.Total {
			s.hit(ResizeUp)
		} else if to.Total < was.Def.Total {
			s.hit(ResizeDown)
		}
	}
	if c.Set&allocator.FieldDailyLimit != 0 {
		switch old := was.Def.DailyLimit; {
		case old == 0 && to.DailyLimit > 0:
			s.hit(DailyLimitAppeared)
		case to.DailyLimit == 0 && old > 0:
			s.hit(DailyLimitRemoved)
		case to.DailyLimit > old:
			s.hit(DailyLimitRaised)
		case to.DailyLimit < old:
			s.hit(DailyLimitLowered)
		}
	}
	if c.Set&allocator.FieldPerUserLimit != 0 && to.PerUserLimit > 0 && was.Def.PerUserLimit == 0 {
		s.hit(UserLimitAppeared)
	}
	if c.Set&allocator.FieldRelease != 0 {
		s.hit(ReleaseChanged)
		o.prizes[no].pace.anew = true
	}
	if c.Set&allocator.FieldStatus != 0 {
		switch to.Status {
		case allocator.StatusDeleted:
			s.hit(Deleted)
		case allocator.StatusPaused, allocator.StatusEnded:
			s.hit(PausedOrEnded)
		}
	}
}
