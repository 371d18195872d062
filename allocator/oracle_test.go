package allocator

import (
	"bytes"
	"fmt"
	"strings"
)

// oracle sees all machines at once. It keeps a naive model of what was granted,
// in plain maps, and checks the invariants of doc.go after every step.
type oracle struct {
	w       *world
	grants  map[GrantID]*granted
	byID    map[string]GrantID // prize, user and request id
	users   map[string]int     // prize and user: grants that count
	net     map[PrizeNo]int64  // grants that were not restocked
	byDay   map[string]int64   // prize and day: grants that count
	strayed map[PrizeNo]bool
	// defs holds each prize's definitions by version.
	defs map[PrizeNo]map[Version]Definition
}

type granted struct {
	prize  PrizeNo
	user   string
	day    Day
	voided bool
}

func newOracle(w *world) *oracle {
	return &oracle{
		w: w, grants: map[GrantID]*granted{}, byID: map[string]GrantID{}, users: map[string]int{},
		net: map[PrizeNo]int64{}, byDay: map[string]int64{}, strayed: map[PrizeNo]bool{},
		defs: map[PrizeNo]map[Version]Definition{},
	}
}

func userKey(no PrizeNo, user string) string { return fmt.Sprint(no, " ", user) }
func dayKey(no PrizeNo, d Day) string        { return fmt.Sprint(no, " ", d) }

func (o *oracle) bankChanged() {
	for _, v := range o.w.bank.prizes[1:] {
		if o.defs[v.def.No] == nil {
			o.defs[v.def.No] = map[Version]Definition{}
		}
		o.defs[v.def.No][v.def.Version] = v.def
	}
}

// events takes in what a slice says happened: invariants 2, 4 and 7.
func (o *oracle) events(s *site, events []Event) {
	t := o.w.t
	t.Helper()
	for i := range events {
		e := &events[i]
		if e.Seq != s.last+1 {
			t.Fatalf("slice %d: event %d follows %d", s.no, e.Seq, s.last)
		}
		s.last = e.Seq
		o.encodes(e)
		if e.Kind == EventVoid {
			o.void(s, e)
			continue
		}
		id := NewGrantID(s.no, e.Seq)
		user := string(e.User)
		o.grants[id] = &granted{prize: e.Prize, user: user, day: e.Day}
		if len(e.RequestID) > 0 {
			key := userKey(e.Prize, user) + " " + string(e.RequestID)
			if was, ok := o.byID[key]; ok {
				t.Fatalf("request %s has grant %v and now %v", key, was, id)
			}
			o.byID[key] = id
		}
		o.users[userKey(e.Prize, user)]++
		o.net[e.Prize]++
		o.byDay[dayKey(e.Prize, e.Day)]++
		if Home(testKey(), e.User, len(o.w.sites)) != s.no {
			o.strayed[e.Prize] = true
		}
		o.limits(s, e)
	}
}

func (o *oracle) encodes(e *Event) {
	back, err := DecodeEvent(AppendEvent(nil, e))
	if err != nil || fmt.Sprintf("%v", back) != fmt.Sprintf("%v", *e) {
		o.w.t.Fatalf("event %v came back as %v, %v", *e, back, err)
	}
}

func (o *oracle) void(s *site, e *Event) {
	g := o.grants[NewGrantID(s.no, e.Grant)]
	if g == nil || g.voided {
		o.w.t.Fatalf("slice %d voids %d, which is not there to void", s.no, e.Grant)
	}
	g.voided = true
	if !e.Restock {
		return
	}
	o.users[userKey(g.prize, g.user)]--
	o.net[g.prize]--
	if g.day == o.w.day {
		o.byDay[dayKey(g.prize, g.day)]--
	}
}

// limits checks that a grant was allowed: invariant 2.
func (o *oracle) limits(s *site, e *Event) {
	t, v := o.w.t, o.w.bank.vault(e.Prize)
	t.Helper()
	def := s.slice.prize(e.Prize).def
	if o.net[e.Prize] > v.def.Total {
		t.Fatalf("prize %d: %d granted of %d", e.Prize, o.net[e.Prize], v.def.Total)
	}
	daily := int64(0)
	for version, d := range o.defs[e.Prize] {
		if version >= v.ackedAll() {
			if d.DailyLimit == 0 {
				daily = MaxTotal
			}
			daily = max(daily, d.DailyLimit)
		}
	}
	if n := o.byDay[dayKey(e.Prize, e.Day)]; n > daily {
		t.Fatalf("prize %d: %d granted on %v of %d", e.Prize, n, e.Day, daily)
	}
	if def.PerUserLimit > 0 && !o.strayed[e.Prize] && int64(o.users[userKey(e.Prize, string(e.User))]) > def.PerUserLimit {
		t.Fatalf("prize %d: user %s has more than %d", e.Prize, e.User, def.PerUserLimit)
	}
	if v := s.slice.prize(e.Prize).closedFor(s.slice.now); v != 0 {
		t.Fatalf("prize %d granted while %s", e.Prize, verdictText(v))
	}
}

// answered judges the answer that a client gets: invariants 4 and 5.
func (o *oracle) answered(s *site, a *ask, out Outcome) {
	t := o.w.t
	t.Helper()
	id, known := o.byID[userKey(a.prize, a.user)+" "+a.id]
	if known = known && a.id != ""; known && out.Verdict != Misrouted && out.Verdict != UnknownPrize {
		if p := s.slice.prize(a.prize); p.def.Archived && out.Verdict == Ended {
			return // forgotten
		}
		if out.Verdict != Granted || NewGrantID(s.no, out.Seq) != id {
			t.Fatalf("request %s of %s was granted as %v, now %s", a.id, a.user, id, outcomeText(s, a, &out))
		}
		if out.GrantVoided != (out.Repeat && o.grants[id].voided) {
			t.Fatalf("repeat of %v: voided is %v", id, out.GrantVoided)
		}
		return
	}
	p := s.slice.prize(a.prize)
	switch out.Verdict {
	case Granted:
		if out.Repeat {
			t.Fatalf("a repeat of what was never granted: %s", outcomeText(s, a, &out))
		}
	case SoldOut:
		if left := o.left(s, a.prize, Purse{}); left != 0 {
			t.Fatalf("slice %d says sold out of prize %d while %d are left\n%s", s.no, a.prize, left, o.dump(a.prize))
		}
	case DailyLimit:
		name := Purse{Day: o.w.day, Epoch: p.def.DayEpoch}
		if left := o.left(s, a.prize, name); left != 0 {
			t.Fatalf("slice %d says daily limit of prize %d while %d are left\n%s", s.no, a.prize, left, o.dump(a.prize))
		}
	case UserLimit:
		if int64(o.users[userKey(a.prize, a.user)]) < p.def.PerUserLimit {
			t.Fatalf("user %s has not reached the limit", a.user)
		}
	case NotReleased:
		if p.stock.tokens > 0 || out.Until <= o.w.now {
			t.Fatalf("not released until %d at %d, with %d tokens here", out.Until, o.w.now, p.stock.tokens)
		}
	}
}

// left counts the tokens of a purse that a draw could still get somewhere, but
// not those that wait for a version, nor restocks before the bank has them.
func (o *oracle) left(by *site, no PrizeNo, name Purse) int64 {
	v := o.w.bank.vault(no)
	epoch := by.slice.prize(no).def.DayEpoch
	var left int64
	a := v.account(name)
	if a != nil {
		left = a.pool + a.reserve
	}
	for i, s := range o.w.sites {
		if p := s.slice.prize(no); p == nil || !name.IsStock() && p.def.DayEpoch != epoch {
			if a != nil {
				left += a.lines[i].open
			}
			continue
		}
		at := o.w.position(s, no, name)
		left += at.tokens
		if a == nil {
			continue
		}
		if a.lines[i].lots == at.lots+1 {
			left += a.lines[i].open
		}
		if at.returns == a.lines[i].returns+1 && s.gaveBack[returnKey(no, name, at.returns)] {
			left += at.open
		}
	}
	return left
}

// check looks at all machines at once: invariants 1, 3 and 6, and 8 for the
// slice that has just changed, or the bank where that is nil.
func (o *oracle) check(changed *site) {
	t, w := o.w.t, o.w
	t.Helper()
	for _, v := range w.bank.prizes[1:] {
		var net int64
		v.accounts(func(name Purse, a *account) { o.account(v, name, a) })
		for _, s := range w.sites {
			p := s.slice.prize(v.def.No)
			if p == nil {
				continue
			}
			net += p.granted - p.restocked
			o.balance(s, p, &p.stock, p.granted-p.restocked)
			for i := range p.days {
				if b := &p.days[i]; p.def.DailyLimit > 0 {
					o.balance(s, p, &b.purse, b.counts-b.before)
				}
			}
			if p.def.Version > v.def.Version {
				t.Fatalf("slice %d is ahead of the bank", s.no)
			}
			if v.op.State == OperationDone && p.def.Version < v.op.Version {
				t.Fatalf("operation of version %d is done, slice %d has %d", v.op.Version, s.no, p.def.Version)
			}
		}
		if net != o.net[v.def.No] {
			t.Fatalf("slices count %d grants, there are %d", net, o.net[v.def.No])
		}
	}
	if changed == nil && !bytes.Equal(bankImage(t, w.bank), bankImage(t, w.twin)) {
		t.Fatalf("the bank's replicas differ")
	}
	if s := changed; s != nil && !bytes.Equal(sliceImage(t, s.slice), sliceImage(t, s.twin)) {
		t.Fatalf("slice %d's replicas differ", s.no)
	}
}

func (o *oracle) balance(s *site, p *prize, at *purse, grants int64) {
	o.w.t.Helper()
	if at.lotSum-at.retSum != at.tokens+at.restock+grants || at.tokens < 0 || at.restock < 0 || at.open < 0 {
		o.w.t.Fatalf("slice %d, prize %d: lots %d - returns %d, but %d tokens, %d restocks, %d grants\n%s",
			s.no, p.def.No, at.lotSum, at.retSum, at.tokens, at.restock, grants, o.dump(p.def.No))
	}
}

// account checks conservation at the bank and that both ends of each line agree.
func (o *oracle) account(v *vault, name Purse, a *account) {
	t := o.w.t
	t.Helper()
	sum := a.before + a.pool + a.held + a.reserve
	for i := range a.lines {
		l := &a.lines[i]
		sum += l.out()
		s := o.w.sites[i]
		if p := s.slice.prize(v.def.No); !name.IsStock() && (p == nil || p.def.DayEpoch != v.def.DayEpoch || name.Day < p.closed) {
			continue
		}
		at := o.w.position(s, v.def.No, name)
		lots := at.lots == l.lots && at.lotSum == l.lotSum || at.lots+1 == l.lots && at.lotSum == l.lotSum-l.open && l.open > 0
		returns := at.returns == l.returns && at.retSum == l.retSum ||
			at.returns == l.returns+1 && at.retSum-at.open == l.retSum && at.open > 0
		if !lots || !returns {
			t.Fatalf("slice %d, prize %d, %v: the bank has %+v, the slice %+v", s.no, v.def.No, name, *l, at)
		}
	}
	if sum != a.size || a.pool < 0 || a.held < 0 || a.reserve < 0 {
		t.Fatalf("prize %d, %v: size %d but %d are accounted for\n%s", v.def.No, name, a.size, sum, o.dump(v.def.No))
	}
}

func (o *oracle) dump(no PrizeNo) string {
	var b strings.Builder
	st, _ := o.w.bank.State(no)
	fmt.Fprintf(&b, "bank %+v\n", st)
	for _, s := range o.w.sites {
		st, _ := s.slice.State(no)
		fmt.Fprintf(&b, "%d: %+v, %d parked\n", s.no, st, len(s.parked))
	}
	for _, p := range o.w.net {
		b.WriteString(p.label + "\n")
	}
	return b.String()
}
