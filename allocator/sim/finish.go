package sim

import "tombola/allocator"

// finish heals all faults and lets everything come to rest: every draw is
// answered, every operation ends, repeats get their first grant, and every token
// can be drawn by someone.
func (s *Sim) finish() {
	s.say("all faults heal")
	s.swarm.faults, s.swarm.cut, s.swarm.healed = 0, [maxSlices + 1]bool{}, true
	s.skew = [servers]allocator.Micros{}
	s.bank.noMajor = 0
	for i := range s.n {
		s.sites[i].noMajor = 0
	}
	s.rest()
	s.checkAll()
	for i := range s.draws {
		if s.draws[i].state == waiting {
			s.fail("every draw is answered", "draw %d of %s%s waits for ever", i, userName(s.draws[i].user), requestText(s.draws[i].request))
		}
	}
	s.repeatAll()
	late := users
	for no := 1; no <= s.bank.last; no++ {
		late = s.drawToday(no, late)
	}
	for no := 1; no <= s.bank.last; no++ {
		s.drain(no)
	}
	if s.rng.one(4) {
		for i := range s.n {
			s.sites[i].catchUp()
		}
		s.bank.catchUp()
	}
	s.checkAll()
}

// rest delivers all messages in order, and lets leaders repeat what they have to,
// until nothing waits any more.
func (s *Sim) rest() {
	for round := range 80 {
		silent := s.quiet()
		if s.settled() {
			if !silent {
				s.fail("leaders fall silent", "they go on talking though nothing is left to say")
			}
			return
		}
		s.now += 600 * milli
		if round > 40 && s.unsettled() == openReturn {
			s.now += 6 * hour // of a date that is over, but not for long
			s.hit(ReturnOfOldDate)
		}
		for k := range s.n + 1 {
			s.tick(k)
		}
	}
	s.fail("everything comes to rest", "%s", s.unsettled())
}

// quiet delivers until no message is on its way, within a bound: while something is
// unsettled leaders may need to repeat what was lost before they fall silent.
func (s *Sim) quiet() bool {
	for range 600 {
		s.bank.rounds(true)
		for i := range s.n {
			s.sites[i].rounds(true)
		}
		if len(s.net) == 0 {
			return true
		}
		p := s.take(0)
		s.receive(&p)
	}
	return false
}

func (s *Sim) settled() bool { return s.unsettled() == "" }

// openReturn is the one thing that may last until its date has been over for days.
const openReturn = "a return is open"

// unsettled says what is not at rest.
func (s *Sim) unsettled() string {
	if s.bank.flying || len(s.bank.notes)+len(s.bank.changes) > 0 {
		return "the bank has something to decide"
	}
	for i := range s.n {
		t := s.sites[i]
		if t.flying || len(t.queue)+len(t.words)+len(t.orders) > 0 {
			return "a slice has something to decide"
		}
		for no := range t.parked {
			if len(t.parked[no]) > 0 {
				return "draws wait for tokens"
			}
		}
		for no := 1; no <= s.bank.last; no++ {
			if !t.knows[no] {
				return "a slice does not know a prize"
			}
			for j := range t.view[no].Purses {
				if t.view[no].Purses[j].Open > 0 {
					return openReturn
				}
			}
		}
	}
	for no := 1; no <= s.bank.last; no++ {
		v := &s.bank.view[no]
		if v.Operation.State == allocator.OperationPending || v.Target > 0 || len(v.Behind) > 0 {
			return "an operation has not ended"
		}
		for i := range v.Accounts {
			if v.Accounts[i].Held+v.Accounts[i].Reserve > 0 {
				return "tokens are held back"
			}
		}
	}
	if len(s.bank.front.Busy()) > 0 {
		return "a slice has something to hear"
	}
	return ""
}

// repeatAll has every client that has a grant by a request id repeat it.
func (s *Sim) repeatAll() {
	s.say("all who have a grant by a request id repeat it")
	for i := range s.oracle.grants {
		if g := &s.oracle.grants[i]; g.request > 0 {
			s.come(draw{prize: g.prize, user: g.user, request: g.request}, false)
		}
	}
	s.rest()
}

// drawToday draws a prize under its limits: as many are granted as the date and
// the total allow.
func (s *Sim) drawToday(no, late int) int {
	v := &s.bank.view[no]
	def := v.Def
	if !s.open(&def) || def.DailyLimit == 0 || def.Release.On() || late+14 > users+lateUsers {
		return late
	}
	p := &s.oracle.prizes[no]
	day := s.dateOf(s.now, def.Zone)
	want := min(def.Total-p.net, max(0, def.DailyLimit-*p.day(day)))
	before := p.net
	s.say("late users draw prize %d: %d are left of the date's and of the total", no, want)
	for k := range 14 {
		s.come(draw{prize: no, user: late + k}, false)
	}
	s.rest()
	if s.dateOf(s.now, def.Zone) == day && p.net-before != min(want, 14) && !p.closedDate {
		s.fail("every token can be drawn", "prize %d: %d of a date's %d tokens were granted", no, p.net-before, want)
	}
	return late + 14
}

func (s *Sim) open(def *allocator.Definition) bool {
	return def.Status == allocator.StatusActive && !def.Archived &&
		(def.StartsAt == 0 || s.now > def.StartsAt) && (def.EndsAt == 0 || s.now+hour < def.EndsAt)
}

// drain opens a prize and draws until it has sold out: no token is lost.
func (s *Sim) drain(no int) {
	def := s.bank.view[no].Def
	if def.Status == allocator.StatusDeleted || def.Archived {
		return
	}
	s.order(allocator.Change{
		Prize: def.ID, Set: allocator.FieldsAll&^(allocator.FieldTotal|allocator.FieldZone) | allocator.FieldStatus,
		To: allocator.Definition{Kind: allocator.KindCounter, Status: allocator.StatusActive},
	})
	s.rest()
	def = s.bank.view[no].Def
	p := &s.oracle.prizes[no]
	left := def.Total - p.net
	s.say("prize %d is opened without limits, and its last %d tokens are drawn", no, left)
	for k := range left + 2 {
		s.come(draw{prize: no, user: users + int(k)%lateUsers}, false)
	}
	s.rest()
	if p.net != def.Total {
		s.fail("every token can be drawn", "prize %d has sold out with %d of %d granted", no, p.net, def.Total)
	}
}
