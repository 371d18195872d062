package sim

import (
	"strconv"
	"time"

	"tombola/allocator"
)

// Fault is a set of kinds of faults.
type Fault uint16

// The kinds of faults.
const (
	FaultLoss Fault = 1 << iota
	FaultRepeat
	FaultReorder
	FaultLeader
	FaultQuorum
	FaultClock
	FaultRestore
	FaultGiveUp
	FaultChange
	FaultVoid
	FaultCut
	faults = iota
)

// Name returns what one kind of fault is called.
func (f Fault) Name() string {
	for i, name := range [...]string{
		"loss", "repeats", "reordering", "new leaders", "lost majorities", "clocks", "restores", "giving up",
		"changes", "voids", "cut slices",
	} {
		if f == 1<<i {
			return name
		}
	}
	return "none"
}

// swarm is what a seed's world is like: each has other faults and habits.
type swarm struct {
	faults  Fault
	without Fault
	routed  bool // all draws go to their user's home
	days    bool // time goes on by a day often
	thrifty bool // slices ask for no more than they need
	busy    int  // how many draws come beside other steps
	cut     [maxSlices + 1]bool
	healed  bool // the end of the run: nothing is lost any more
}

func (w *swarm) choose(r *rng) {
	a, b, c := r.next(), r.next(), r.next()
	*w = swarm{faults: Fault(a&(b|c)) & (1<<faults - 1)}
	w.faults |= FaultChange & Fault(r.next()) // most runs have changes and voids
	w.faults |= FaultVoid & Fault(r.next())
	w.routed, w.thrifty, w.days, w.busy = r.one(2), r.one(2), r.one(8), 20+r.n(30)
}

func (w *swarm) has(f Fault) bool { return w.faults&^w.without&f != 0 }

// act takes one step.
func (s *Sim) act() {
	r, w := &s.rng, &s.swarm
	k := r.n(100 + w.busy)
	switch {
	case w.days && r.one(16):
		s.timeGoesOn()
	case k >= 100:
		s.comeDraws()
	case k < 42:
		s.deliver()
	case k < 50:
		s.finishEntry()
	case k < 60:
		s.tick(r.n(s.n + 1))
	case k < 66:
		s.timeGoesOn()
	case k < 70:
		s.repeatDraw()
	case k < 76:
		s.void()
	case k < 81:
		s.change()
	case k < 84:
		s.sites[r.n(s.n)].follow()
	case k < 86:
		s.sink()
	case k < 87:
		s.archive()
	case k < 89:
		s.rates()
	default:
		s.fault(k - 89)
	}
}

// fault is something that goes wrong, where the seed's world has that.
func (s *Sim) fault(k int) {
	r, w := &s.rng, &s.swarm
	switch {
	case k < 2 && w.has(FaultLoss):
		s.lose()
	case k < 4 && w.has(FaultLeader):
		f := of(r, fateLost, fateUnknown, fateSuccessor)
		if i := r.n(s.n + 1); i == s.n {
			s.bank.newLeader(f)
		} else {
			s.sites[i].newLeader(f)
		}
	case k < 5 && w.has(FaultQuorum):
		s.hit(QuorumLost)
		until := s.step + 5 + r.n(30)
		if i := r.n(s.n + 1); i == s.n {
			s.say("the bank has no majority until step %d", until)
			s.bank.noMajor = until
		} else {
			s.say("slice %d has no majority until step %d", i+1, until)
			s.sites[i].noMajor = until
		}
	case k < 7 && w.has(FaultClock):
		s.clockJumps()
	case k < 8 && w.has(FaultRestore):
		if i := r.n(s.n + 1); i == s.n {
			s.bank.restore()
		} else {
			s.sites[i].restore()
		}
	case k < 10 && w.has(FaultGiveUp):
		s.giveUp()
	case k < 11 && w.has(FaultCut):
		i := 1 + r.n(s.n)
		w.cut[i] = !w.cut[i]
		s.say("slice %d is cut off from the bank: %v", i, w.cut[i])
	}
}

// comeDraws has clients draw.
func (s *Sim) comeDraws() {
	r := &s.rng
	for range 1 + r.n(3) {
		d := draw{prize: 1 + r.n(s.bank.last), user: r.n(users)}
		if r.one(2) {
			d.request = 1 + r.n(requests)
		}
		s.come(d, r.one(12))
	}
}

// come brings a draw to a slice, as a server that has the bank's catalog routes
// it, or where it does not belong.
func (s *Sim) come(d draw, astray bool) {
	s.tally.Draws++
	i := len(s.draws)
	s.draws = append(s.draws, d)
	home := d.request > 0 || s.swarm.routed || s.bank.view[d.prize].Def.PerUserLimit > 0
	t := s.sites[s.rng.n(s.n)]
	if home && !astray {
		t = s.site(allocator.Home(key(), userName(d.user), s.n))
	}
	if s.says() {
		s.say("%s%s draws prize %d at slice %d", userName(d.user), requestText(d.request), d.prize, t.no)
	}
	t.queue = append(t.queue, i)
	t.rounds(false)
}

// route sends a draw that met the wrong slice to its user's home.
func (s *Sim) route(i int) {
	t := s.site(allocator.Home(key(), userName(s.draws[i].user), s.n))
	t.queue = append(t.queue, i)
}

// answer hands a draw back to its client.
func (s *Sim) answer(t *site, i int, out *allocator.Outcome) {
	if !out.Verdict.Final() {
		s.fail("clients get answers", "slice %d answers %s", t.no, verdictText(out))
	}
	d := &s.draws[i]
	d.state, d.slice = answered, int(t.no)
}

// repeatDraw has a client draw again with its request id.
func (s *Sim) repeatDraw() {
	if len(s.draws) == 0 {
		return
	}
	was := s.draws[s.rng.n(len(s.draws))]
	if s.rng.one(2) {
		was = s.lastUnknown(was)
	}
	if was.request == 0 {
		return
	}
	s.hit(DrawRepeated)
	if was.state == unknown {
		s.hit(RepeatAfterUnknown)
	}
	s.come(draw{prize: was.prize, user: was.user, request: was.request}, false)
}

// lastUnknown returns the last draw with an id whose outcome its client does not
// know, or else another.
func (s *Sim) lastUnknown(other draw) draw {
	for i := len(s.draws) - 1; i >= 0; i-- {
		if s.draws[i].state == unknown && s.draws[i].request > 0 {
			return s.draws[i]
		}
	}
	return other
}

// finishEntry commits what is on its way somewhere.
func (s *Sim) finishEntry() {
	if k := s.rng.n(s.n + 1); k == s.n {
		s.bank.rounds(true)
	} else {
		s.sites[k].rounds(true)
	}
}

func (s *Sim) tick(k int) {
	if k == s.n {
		if s.bank.majority() {
			s.bank.tick()
		}
		return
	}
	s.sites[k].tick()
	s.sites[k].rounds(false)
}

func (s *Sim) rates() {
	s.sites[s.rng.n(s.n)].rate = of(&s.rng, 0.0, 0, 1, 4, 20)
}

// giveUp ends draws that wait: their deadline has come.
func (s *Sim) giveUp() {
	t := s.sites[s.rng.n(s.n)]
	for no := range t.parked {
		for _, i := range t.parked[no] {
			s.draws[i].state = gaveUp
			s.hit(DrawGaveUp)
		}
		t.parked[no] = t.parked[no][:0]
	}
	s.say("slice %d: the draws that wait give up", t.no)
}

func (s *Sim) void() {
	if !s.swarm.has(FaultVoid) || len(s.oracle.grants) == 0 {
		return
	}
	g := s.oracle.grants[s.rng.n(len(s.oracle.grants))]
	t := s.site(g.slice)
	t.orders = append(t.orders, command{kind: voidGrant, seq: g.seq, restock: !s.rng.one(4)})
	t.rounds(false)
}

func (s *Sim) sink() {
	r := &s.rng
	t := s.sites[r.n(s.n)]
	last := uint64(len(s.oracle.bySeq[t.no]) - 1)
	seq := last + 1000
	if !r.one(4) {
		if t.sunk < last {
			t.sunk += 1 + uint64(r.n(int(last-t.sunk)))
		}
		seq = t.sunk
	}
	t.orders = append(t.orders, command{kind: confirmSunk, seq: seq})
	t.rounds(false)
}

// retain is how long a prize that is over is remembered.
const retain = hour

func (s *Sim) archive() {
	r := &s.rng
	if over := s.bank.front.Over(s.clock(s.bank.server) - retain); len(over) > 0 && !s.bank.flying {
		s.bank.archive = append(s.bank.archive, over...)
		s.bank.rounds(false)
	}
	t := s.sites[r.n(s.n)]
	for _, no := range t.kit.front.Forgettable() {
		t.orders = append(t.orders, command{kind: forgetSome, at: at{prize: no}, tokens: int64(1 + r.n(4))})
	}
	t.rounds(false)
}

// create makes a prize.
func (s *Sim) create(i int) {
	r := &s.rng
	to := allocator.Definition{
		Kind: allocator.KindCounter, Zone: of(r, zoneNames()...), Total: of[int64](r, 1, 2, 3, 5, 8, 12),
		DailyLimit: of[int64](r, 0, 0, 0, 1, 2, 4), PerUserLimit: of[int64](r, 0, 0, 1, 2),
	}
	if r.one(4) {
		to.Release = allocator.Release{PerSecondMilli: of[int64](r, 200, 1000, 5000), Burst: of[int64](r, 1, 2)}
	}
	s.order(allocator.Change{Prize: "p" + strconv.Itoa(i), Create: true, Set: allocator.FieldsAll, To: to})
	s.bank.rounds(true)
}

func (s *Sim) order(c allocator.Change) {
	if s.says() {
		s.say("an operator sets %s: total %d, daily limit %d, user limit %d, status %d, release %v, starts %v, ends %v (fields %b), zone %s", c.Prize,
			c.To.Total, c.To.DailyLimit, c.To.PerUserLimit, c.To.Status, c.To.Release, c.To.StartsAt, c.To.EndsAt, c.Set, c.To.Zone)
	}
	s.bank.changes = append(s.bank.changes, c)
}

// change has an operator change a prize.
func (s *Sim) change() {
	r := &s.rng
	if !s.swarm.has(FaultChange) {
		return
	}
	no := 1 + r.n(s.bank.last)
	def := &s.bank.view[no].Def
	c := allocator.Change{Prize: def.ID, To: allocator.Definition{Kind: allocator.KindCounter, Status: allocator.StatusActive}}
	switch k := r.n(20); {
	case k < 4:
		c.Set, c.To.Total = allocator.FieldTotal, def.Total+1+int64(r.n(4))
	case k < 9:
		c.Set, c.To.Total = allocator.FieldTotal, max(1, def.Total-1-int64(r.n(4)))
	case k < 13:
		c.Set, c.To.DailyLimit = allocator.FieldDailyLimit, of[int64](r, 0, 1, 2, 3, 5)
	case k < 15:
		c.Set, c.To.PerUserLimit = allocator.FieldPerUserLimit, of[int64](r, 0, 0, 1, 2)
	case k < 16:
		c.Set = allocator.FieldRelease
		if r.one(2) {
			c.To.Release = allocator.Release{PerSecondMilli: of[int64](r, 200, 1000, 5000), Burst: of[int64](r, 1, 2)}
		}
	case k < 18:
		c.Set = allocator.FieldStatus
		if def.Status == allocator.StatusActive {
			c.To.Status = of(r, allocator.StatusPaused, allocator.StatusPaused, allocator.StatusEnded)
		}
	case k < 19:
		c.Set = allocator.FieldStartsAt | allocator.FieldEndsAt
		c.To.StartsAt = of(r, 0, s.now+allocator.Micros(r.n(5000)-2500)*milli)
		if r.one(2) {
			c.To.EndsAt = max(c.To.StartsAt, s.now-allocator.MicrosOf(time.Unix(0, 0))) + allocator.Micros(1+r.n(5000))*milli
		}
	default:
		if r.one(4) {
			c.Set, c.To.Status = allocator.FieldStatus, allocator.StatusDeleted
		}
	}
	if c.Set == 0 {
		return
	}
	s.order(c)
	s.bank.rounds(false)
}
