package sim

import (
	"tombola/allocator"
)

// oracle keeps a naive model of what was granted and judges by it.
type oracle struct {
	sim    *Sim
	prizes [maxPrizes + 1]promise
	grants []granted
	bySeq  [maxSlices + 1][]int32 // of a slice's events: index of the grant + 1, 0 for a void
}

// promise is what was promised and given of one prize.
type promise struct {
	zone       string
	net        int64 // grants that were not restocked
	strayed    bool  // a grant was made away from its user's home
	users      [users + lateUsers]int64
	byID       [users][requests + 1]int32 // index of the grant + 1
	days       []dayCount
	pace       pace
	closedDate bool // a date was closed for good
	recalls    []recalled
	last       [maxSlices + 1]uint64 // a slice's last event of the prize
}

type dayCount struct {
	day allocator.Day
	n   int64 // grants that count
}

// recalled is a return that answered a recall: other returns are restocks.
type recalled struct {
	slice allocator.SliceNo
	purse allocator.Purse
	n     uint64
}

type granted struct {
	prize, user, request int
	day                  allocator.Day
	slice                allocator.SliceNo
	seq                  uint64
	voided               bool
}

func (o *oracle) reset(s *Sim) {
	o.sim, o.grants = s, o.grants[:0]
	for i := range o.prizes {
		p := &o.prizes[i]
		*p = promise{zone: "UTC", days: p.days[:0], recalls: p.recalls[:0]}
	}
	for i := range o.bySeq {
		o.bySeq[i] = append(o.bySeq[i][:0], 0)
	}
}

// zone is the first prize's.
func (o *oracle) zone() string { return o.prizes[1].zone }

// day returns the count of a date.
func (p *promise) day(d allocator.Day) *int64 {
	for i := range p.days {
		if p.days[i].day == d {
			return &p.days[i].n
		}
	}
	p.days = append(p.days, dayCount{day: d})
	return &p.days[len(p.days)-1].n
}

// applied takes in what an entry of a slice came to.
func (o *oracle) applied(t *site) {
	s := o.sim
	for i := range t.result.Events {
		e := &t.result.Events[i]
		if want := uint64(len(o.bySeq[t.no])); e.Seq != want {
			s.fail("7: events are one sequence", "slice %d: event %d in place of %d", t.no, e.Seq, want)
		}
		if e.Kind == allocator.EventVoid {
			o.bySeq[t.no] = append(o.bySeq[t.no], 0)
			o.void(t, e)
		} else {
			o.grant(t, e)
			o.bySeq[t.no] = append(o.bySeq[t.no], int32(len(o.grants)))
		}
	}
	for i := range t.result.Events {
		o.prizes[t.result.Events[i].Prize].last[t.no] = t.result.Events[i].Seq
	}
	for i := range t.result.Outcomes {
		o.outcome(t, &t.round.commands[i], &t.result.Outcomes[i])
	}
}

func (o *oracle) grant(t *site, e *allocator.Event) {
	s, p := o.sim, &o.prizes[e.Prize]
	user, request := userNo(e.User), requestNo(e.RequestID)
	o.grants = append(o.grants, granted{
		prize: int(e.Prize), user: user, request: request, day: e.Day, slice: t.no, seq: e.Seq,
	})
	s.tally.Grants++
	if s.says() {
		s.say("slice %d grants %d-%d to %s%s", t.no, t.no, e.Seq, userName(user), requestText(request))
	}
	if request > 0 {
		if was := p.byID[user][request]; was != 0 {
			s.fail("4: a request id has one grant", "slice %d grants %d-%d to %s/%s again", t.no, t.no, e.Seq, userName(user), requestName(request))
		}
		p.byID[user][request] = int32(len(o.grants))
	}
	p.users[user]++
	p.net++
	count := p.day(e.Day)
	*count++
	if allocator.Home(key(), e.User, s.n) != t.no {
		p.strayed = true
	}
	def, _ := t.kit.front.Definition(e.Prize)
	if e.Day != s.dateOf(e.At, def.Zone) {
		s.fail("a grant's date is that of its instant", "slice %d: %d-%d at %s has %v in %s", t.no, t.no, e.Seq, e.At.Time(), e.Day, def.Zone)
	}
	if e.Day != s.dateOf(s.now, def.Zone) {
		s.hit(GrantAtOtherDate)
	}
	o.limits(t, e, p, &def, user, *count)
}

// limits checks that a grant was allowed: invariant 2.
func (o *oracle) limits(t *site, e *allocator.Event, p *promise, def *allocator.Definition, user int, ofDay int64) {
	s := o.sim
	if total := s.bank.view[e.Prize].Def.Total; p.net > total {
		s.fail("2: never over the total", "%d granted of %d, the last by slice %d", p.net, total, t.no)
	}
	daily := s.bank.view[e.Prize].Def.DailyLimit
	if daily == 0 {
		daily = allocator.MaxTotal
	}
	for i := range s.n {
		if other := s.sites[i]; other.knows[e.Prize] && other.view[e.Prize].Def.DailyLimit == 0 {
			daily = allocator.MaxTotal
		} else if other.knows[e.Prize] {
			daily = max(daily, other.view[e.Prize].Def.DailyLimit)
		}
	}
	if ofDay > daily {
		s.fail("2: never over a date's limit", "%d granted on %v of %d, the last by slice %d", ofDay, e.Day, daily, t.no)
	}
	if limit := def.PerUserLimit; limit > 0 && !p.strayed && p.users[user] > limit {
		s.fail("2: never over a user's limit", "%s has %d of %d", userName(user), p.users[user], limit)
	}
	open := def.Status == allocator.StatusActive && !def.Archived &&
		(def.StartsAt == 0 || e.At >= def.StartsAt) && (def.EndsAt == 0 || e.At < def.EndsAt)
	if !open {
		s.fail("6: a definition holds", "slice %d grants by v%d, status %d, at %s", t.no, def.Version, def.Status, e.At.Time())
	}
}

func (o *oracle) void(t *site, e *allocator.Event) {
	s := o.sim
	var g *granted
	if e.Grant < uint64(len(o.bySeq[t.no])) {
		if i := o.bySeq[t.no][e.Grant]; i > 0 {
			g = &o.grants[i-1]
		}
	}
	if g == nil || g.voided {
		s.fail("a grant is voided once", "slice %d voids %d-%d", t.no, t.no, e.Grant)
	}
	if s.says() {
		s.say("slice %d voids %d-%d of %s, restock: %v", t.no, t.no, e.Grant, userName(g.user), e.Restock)
	}
	g.voided = true
	if !e.Restock {
		s.hit(VoidKept)
		return
	}
	s.hit(VoidRestocked)
	p := &o.prizes[g.prize]
	p.users[g.user]--
	p.net--
	if def, _ := t.kit.front.Definition(e.Prize); s.dateOf(e.At, def.Zone) == g.day {
		*p.day(g.day)--
	} else {
		s.hit(VoidOfOtherDate)
	}
}

// outcome looks at what became of a command.
func (o *oracle) outcome(t *site, c *command, out *allocator.Outcome) {
	s := o.sim
	switch c.kind {
	case drawOne:
		if s.says() {
			d := &s.draws[c.draw]
			s.say("slice %d decides %s%s: %s", t.no, userName(d.user), requestText(d.request), verdictText(out))
		}
		if out.Verdict.Final() {
			o.judge(t, c.draw, out)
		}
	case giveBack:
		if out.Verdict != allocator.Accepted {
			return
		}
		s.hit(Recalled)
		p := &o.prizes[c.at.prize]
		s.refreshSlice(t)
		if at := t.purseOf(c.at.prize, c.at.purse); at != nil {
			o.recalled(p, recalled{t.no, c.at.purse, at.Returns})
		}
	case voidGrant:
		o.voidOutcome(t, c, out)
	case confirmSunk:
		if c.seq > t.sunk && out.Verdict == allocator.Accepted {
			s.fail("the sink has what it is said to have", "slice %d believes %d, the sink has %d", t.no, c.seq, t.sunk)
		}
		if c.seq > t.sunk {
			s.hit(SinkAheadRefused)
		} else {
			s.hit(SinkConfirmed)
		}
	case forgetSome:
		if out.Verdict == allocator.Stale {
			return
		}
		s.hit(Forgotten)
		if last := o.prizes[c.at.prize].last[t.no]; last > t.sunk {
			s.fail("nothing is forgotten before the sink has it", "slice %d forgets prize %d, whose event %d the sink lacks", t.no, c.at.prize, last)
		}
	}
}

func (o *oracle) voidOutcome(t *site, c *command, out *allocator.Outcome) {
	var g *granted
	if i := o.bySeq[t.no][c.seq]; i > 0 {
		g = &o.grants[i-1]
	}
	known := g != nil && !o.sim.bank.view[g.prize].Def.Archived
	switch {
	case out.Verdict == allocator.NoSuchGrant && known:
		o.sim.fail("a grant is remembered", "slice %d does not know %d-%d", t.no, t.no, c.seq)
	case out.Verdict != allocator.NoSuchGrant && g == nil:
		o.sim.fail("a grant is voided once", "slice %d voids event %d, which is no grant", t.no, c.seq)
	}
}

func (o *oracle) recalled(p *promise, r recalled) {
	for i := range p.recalls {
		if p.recalls[i].slice == r.slice && p.recalls[i].purse == r.purse {
			p.recalls[i].n = r.n
			return
		}
	}
	p.recalls = append(p.recalls, r)
}

// wasRecalled reports whether a return answered a recall.
func (p *promise) wasRecalled(slice allocator.SliceNo, purse allocator.Purse, n uint64) bool {
	for i := range p.recalls {
		if r := &p.recalls[i]; r.slice == slice && r.purse == purse {
			return r.n == n
		}
	}
	return false
}
