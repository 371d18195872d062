package sim

import "tombola/allocator"

// refreshSlice looks at a slice anew.
func (s *Sim) refreshSlice(t *site) {
	for no := 1; no <= s.bank.last; no++ {
		t.knows[no] = t.kit.front.ReadState(allocator.PrizeNo(no), &t.view[no])
	}
}

// checkSlice checks what an entry of one slice may have broken: invariants 1, 3
// and 6.
func (s *Sim) checkSlice(t *site) {
	s.refreshSlice(t)
	for no := 1; no <= s.bank.last; no++ {
		if !t.knows[no] {
			continue
		}
		v, bank := &t.view[no], &s.bank.view[no]
		if v.Def.Version > bank.Def.Version {
			s.fail("6: a definition is the bank's", "slice %d has v%d of prize %d, the bank v%d", t.no, v.Def.Version, no, bank.Def.Version)
		}
		for i := range v.Purses {
			p := &v.Purses[i]
			grants := v.Granted - v.Restocked
			if !p.Purse.IsStock() {
				grants = p.Counts - p.Before
			}
			if p.LotSum-p.RetSum != p.Tokens+p.Restock+grants || p.Tokens < 0 || p.Restock < 0 || p.Open < 0 {
				s.fail("1: conservation in a slice", "slice %d, prize %d, %v: lots %d - returns %d, but %d tokens, %d restocks, %d grants",
					t.no, no, p.Purse, p.LotSum, p.RetSum, p.Tokens, p.Restock, grants)
			}
			if p.Restock > 0 {
				s.hit(RestockWaited)
			}
			if p.Before > 0 {
				s.hit(EpochBefore)
			}
			if a := accountOf(&bank.VaultState, p.Purse); a != nil {
				s.checkLine(t, no, a, p)
			}
		}
		if len(v.Purses) > 8 {
			s.hit(DateClosed)
		}
		s.checkNet(no)
	}
	if t.kit.front.Sunk() > t.sunk {
		s.fail("the sink has what it is said to have", "slice %d believes %d, the sink has %d", t.no, t.kit.front.Sunk(), t.sunk)
	}
}

// checkNet compares what the slices count with the model's grants.
func (s *Sim) checkNet(no int) {
	var net, strays int64
	for i := range s.n {
		if t := s.sites[i]; t.knows[no] {
			net += t.view[no].Granted - t.view[no].Restocked
			strays += t.view[no].Strays
		}
	}
	if want := s.oracle.prizes[no].net; net != want {
		s.fail("1: grants that count are counted", "prize %d: slices count %d, there are %d", no, net, want)
	}
	if (strays > 0) != s.oracle.prizes[no].strayed {
		s.fail("6: grants away from home are counted", "prize %d: slices count %d", no, strays)
	}
}

// checkLine compares both ends of a line between bank and slice: invariant 3.
func (s *Sim) checkLine(t *site, no int, a *allocator.AccountState, p *allocator.PurseState) {
	l := &a.Lines[t.no-1]
	lots := p.Lots == l.Lots && p.LotSum == l.LotSum ||
		p.Lots+1 == l.Lots && p.LotSum == l.LotSum-l.Open && l.Open > 0
	returns := p.Returns == l.Returns && p.RetSum == l.RetSum ||
		p.Returns == l.Returns+1 && p.RetSum-p.Open == l.RetSum && p.Open > 0
	if !lots || !returns {
		s.fail("3: both ends of a line agree", "prize %d, %v, slice %d: the bank has %+v, the slice %+v", no, a.Purse, t.no, *l, *p)
	}
}

// checkBank checks what an entry of the bank may have broken.
func (s *Sim) checkBank() {
	b := &s.bank
	for no := 1; no <= b.last; no++ {
		v := &b.view[no].VaultState
		b.front.ReadState(allocator.PrizeNo(no), v)
		queue := 0
		for i := range v.Accounts {
			s.checkAccount(no, &v.Accounts[i])
			if v.Accounts[i].Purse.IsStock() {
				for _, l := range v.Accounts[i].Lines {
					if l.Need > 0 {
						queue++
					}
				}
			}
		}
		if queue > 1 {
			s.hit(TwoInQueue)
		}
		if v.Operation.State == allocator.OperationDone {
			for i := range s.n {
				if t := s.sites[i]; !t.knows[no] || t.view[no].Def.Version < v.Operation.Version {
					s.fail("6: what is done holds everywhere", "prize %d: v%d is done, slice %d has v%d", no, v.Operation.Version, t.no, t.view[no].Def.Version)
				}
			}
		}
		s.checkApart(no, v)
	}
}

func (s *Sim) checkAccount(no int, a *allocator.AccountState) {
	sum := a.Before + a.Pool + a.Held + a.Reserve
	for i := range a.Lines {
		l := &a.Lines[i]
		sum += l.LotSum - l.RetSum
		if p := s.sites[i].purseOf(allocator.PrizeNo(no), a.Purse); p != nil {
			s.checkLine(s.sites[i], no, a, p)
		}
	}
	if sum != a.Size || a.Pool < 0 || a.Held < 0 || a.Reserve < 0 {
		s.fail("1: conservation at the bank", "prize %d, %v: size %d, but %d are accounted for", no, a.Purse, a.Size, sum)
	}
	if a.Held > 0 {
		s.hit(TokensHeld)
	}
	if a.Reserve > 0 {
		s.hit(Reserved)
	}
	if a.Dry {
		if a.Purse.IsStock() {
			s.hit(DrySaid)
		} else {
			s.hit(DryOfDaySaid)
		}
	}
}

// checkApart counts the state in which one slice has the last stock token and
// another the last day token.
func (s *Sim) checkApart(no int, v *allocator.VaultState) {
	if len(v.Accounts) < 2 || v.Accounts[0].Pool > 0 {
		return
	}
	for k := 1; k < len(v.Accounts); k++ {
		if v.Accounts[k].Pool > 0 {
			continue
		}
		stock, day := -1, -1
		for i := range s.n {
			t := s.sites[i]
			if p := t.purseOf(allocator.PrizeNo(no), allocator.Purse{}); p != nil && p.Tokens > 0 {
				stock = i
			}
			if p := t.purseOf(allocator.PrizeNo(no), v.Accounts[k].Purse); p != nil && p.Tokens > 0 {
				day = i
			}
		}
		if stock >= 0 && day >= 0 && stock != day {
			s.hit(LastTokensApart)
		}
	}
}

// checkAll looks at everything anew.
func (s *Sim) checkAll() {
	for i := range s.n {
		s.checkSlice(s.sites[i])
	}
	s.checkBank()
	for no := 1; no <= s.bank.last; no++ {
		s.checkDays(no)
	}
}

// checkDays compares the slices' counts by date with the model's, as far as the
// slices keep the dates.
func (s *Sim) checkDays(no int) {
	p := &s.oracle.prizes[no]
	for k := range p.days {
		var counts int64
		all := true
		for i := range s.n {
			t := s.sites[i]
			if !t.knows[no] || t.view[no].Def.DailyLimit == 0 {
				return
			}
			kept, before := false, int64(0)
			for j := range t.view[no].Purses {
				if d := &t.view[no].Purses[j]; d.Purse.Day == p.days[k].day && !d.Purse.IsStock() {
					kept, before = true, d.Counts
				}
			}
			counts += before
			all = all && (kept || len(t.view[no].Purses) <= 8)
		}
		if all && counts != p.days[k].n {
			s.fail("1: grants of a date are counted", "prize %d, %v: slices count %d, there are %d", no, p.days[k].day, counts, p.days[k].n)
		}
	}
}
