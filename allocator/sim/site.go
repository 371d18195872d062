package sim

import "tombola/allocator"

// site is a slice: its replicas, and what its leader keeps in mind.
type site struct {
	group
	sim  *Sim
	no   allocator.SliceNo
	kit  *replicas
	sunk uint64 // what the sink really holds

	queue   []int
	spare   []int // the queue's other buffer
	words   []allocator.Word
	orders  []command
	parked  [maxPrizes + 1][]int
	asked   [maxPrizes + 1]int64 // the need that the bank was last told
	touched [maxPrizes + 1]bool
	rate    float64

	round  round
	writer allocator.EntryWriter
	result allocator.Result
	days   []allocator.Day

	view  [maxPrizes + 1]allocator.PrizeState
	knows [maxPrizes + 1]bool
}

// round is one batch of a leader: what its entry holds, and what was refused
// beside it.
type round struct {
	commands []command
	proposed int // draws among the commands are the last ones; this many
	welcome  int // and so many of these were parked before
	refused  []int
	refusals []allocator.Outcome
	replies  []at
	look     [maxPrizes + 1]bool
	heard    int              // words among the commands
	now      allocator.Micros // of the entry
}

// at names a purse.
type at struct {
	prize allocator.PrizeNo
	purse allocator.Purse
}

type kind uint8

const (
	drawOne kind = iota
	hearWord
	giveBack
	voidGrant
	confirmSunk
	forgetSome
)

// command is a command of an entry, as the simulator remembers it.
type command struct {
	kind    kind
	draw    int
	at      at
	word    allocator.WordKind
	seq     uint64
	tokens  int64
	restock bool
}

func (t *site) reset(s *Sim, no allocator.SliceNo, kit *replicas) {
	t.resetGroup(s.rng.n(servers))
	kit.front.Reset()
	kit.back.Reset()
	t.sim, t.no, t.kit, t.sunk = s, no, kit, 0
	t.forgetLeader()
	t.queue, t.rate = t.queue[:0], 0
	t.knows = [maxPrizes + 1]bool{}
}

// forgetLeader drops what a leader had in mind, other than its draws.
func (t *site) forgetLeader() {
	t.words, t.orders = t.words[:0], t.orders[:0]
	for no := range t.parked {
		t.parked[no] = t.parked[no][:0]
	}
	t.asked, t.touched = [maxPrizes + 1]int64{}, [maxPrizes + 1]bool{}
	t.flying = false
}

// rounds decides what waits, until nothing does or an entry is on its way. With
// hurry entries are committed at once; without, one may be left on its way.
func (t *site) rounds(hurry bool) {
	for range 12 {
		if t.flying {
			if !hurry && t.sim.rng.one(3) || !t.majority() {
				return
			}
			t.commit(true)
			continue
		}
		if len(t.queue)+len(t.words)+len(t.orders) == 0 {
			return
		}
		if !t.majority() && t.sim.rng.one(2) {
			return
		}
		t.compose()
		switch {
		case t.writer.Count() > 0:
			t.flying = true
		case len(t.round.refused) > 0 && !t.majority():
			// Nobody confirms that this server still leads.
			t.queue = append(t.queue, t.round.refused...)
			return
		default:
			t.settle()
		}
	}
}

func (t *site) majority() bool { return t.sim.step >= t.noMajor }

// compose writes the entry as node/draws does: words, returns, orders, draws that
// words bring tokens for, new draws. What needs no entry is refused from the
// committed state.
func (t *site) compose() {
	s, slice, r := t.sim, t.kit.front, &t.round
	*r = round{
		commands: r.commands[:0], refused: r.refused[:0], refusals: r.refusals[:0], replies: r.replies[:0],
	}
	now := s.clock(t.server)
	r.now = slice.Clock(now)
	t.days = s.dates(slice, now, t.days)
	t.writer.Begin(t.writer.Bytes()[:0], now, t.days)
	t.heed()
	for _, o := range t.orders {
		switch o.kind {
		case voidGrant:
			t.writer.Void(o.seq, o.restock)
		case confirmSunk:
			t.writer.Sunk(o.seq)
		default:
			t.writer.Forget(o.at.prize, int(o.tokens))
		}
		r.commands = append(r.commands, o)
	}
	t.orders = t.orders[:0]
	t.welcome()
	queue := t.queue
	t.queue, t.spare = t.spare[:0], queue
	for _, i := range queue {
		t.consider(i, now)
	}
}

// heed takes in the words that are news, and answers recalls.
func (t *site) heed() {
	r, slice := &t.round, t.kit.front
	for i := range t.words {
		w := &t.words[i]
		r.replies = append(r.replies, at{w.Prize, w.Purse})
		switch {
		case w.Kind == allocator.WordRecall:
		case slice.Learns(w):
			t.writer.Word(w)
			r.commands = append(r.commands, command{kind: hearWord, at: at{w.Prize, w.Purse}, word: w.Kind})
			r.heard++
		case w.Kind == allocator.WordLot && t.missesLot(w):
			t.sim.hit(LotOutOfOrder)
		case w.Kind == allocator.WordDry && t.hasOther(w):
			t.sim.hit(StaleDry)
		}
	}
	heard := len(r.commands)
	for i := range t.words {
		w := &t.words[i]
		if w.Kind != allocator.WordRecall || t.plansReturn(r.commands[heard:], w) {
			continue
		}
		if k := allocator.RecallSize(slice.Tokens(w.Prize, w.Purse), w.Tokens, t.rate); k > 0 {
			t.writer.Return(w.Prize, w.Purse, k)
			r.commands = append(r.commands, command{kind: giveBack, at: at{w.Prize, w.Purse}, tokens: k})
		}
	}
	t.words = t.words[:0]
}

func (t *site) missesLot(w *allocator.Word) bool {
	p := t.purseOf(w.Prize, w.Purse)
	return p != nil && w.N != p.Lots && w.N != p.Lots+1
}

// hasOther reports whether the slice has another version than a word is about.
func (t *site) hasOther(w *allocator.Word) bool {
	def, ok := t.kit.front.Definition(w.Prize)
	return ok && def.Version != w.Version
}

func (t *site) plansReturn(planned []command, w *allocator.Word) bool {
	for i := range planned {
		if planned[i].at == (at{w.Prize, w.Purse}) {
			return true
		}
	}
	return false
}

// welcome proposes parked draws that the entry's words bring tokens for.
func (t *site) welcome() {
	r := &t.round
	heard := r.commands[:r.heard]
	var served [maxPrizes + 1]bool
	for i := range heard {
		no := heard[i].at.prize
		if len(t.parked[no]) == 0 && !served[no] {
			continue
		}
		r.look[no] = r.look[no] || heard[i].word != allocator.WordLot
		if served[no] {
			continue
		}
		served[no], t.touched[no] = true, true
		// A lot's size is not looked up: all that wait are tried, and those that
		// meet an empty purse keep their places.
		for _, d := range t.parked[no] {
			t.propose(d)
		}
		r.welcome += len(t.parked[no])
		t.parked[no] = t.parked[no][:0]
	}
}

func (t *site) propose(i int) {
	d := &t.sim.draws[i]
	t.writer.Draw(allocator.PrizeNo(d.prize), userName(d.user), requestName(d.request))
	t.round.commands = append(t.round.commands, command{kind: drawOne, draw: i, at: at{prize: allocator.PrizeNo(d.prize)}})
	t.round.proposed++
}

// consider looks a draw up and proposes, parks, refuses or sends it home.
func (t *site) consider(i int, now allocator.Micros) {
	s := t.sim
	d := &s.draws[i]
	no := allocator.PrizeNo(d.prize)
	out := t.kit.front.Look(no, userName(d.user), requestName(d.request), now, t.days)
	switch {
	case out.Verdict == allocator.Granted && !out.Repeat, out.Verdict == allocator.Again:
		t.propose(i)
	case out.Verdict == allocator.Short, out.Verdict == allocator.UnknownPrize:
		t.park(i)
	case out.Verdict == allocator.Misrouted:
		s.route(i)
	default:
		s.oracle.judge(t, i, &out)
		t.round.refused = append(t.round.refused, i)
		t.round.refusals = append(t.round.refusals, out)
	}
}

func (t *site) park(i int) {
	no := t.sim.draws[i].prize
	t.parked[no] = append(t.parked[no], i)
	t.touched[no] = true
}

// commit has the entry applied. The leader hears of it unless it is gone.
func (t *site) commit(heard bool) {
	s := t.sim
	entry := t.writer.Bytes()
	t.commitEntry(entry)
	t.result.Reset()
	if err := t.kit.front.Apply(entry, &t.result); err != nil {
		s.fail("entries can be applied", "slice %d: %v", t.no, err)
	}
	s.tally.Entries++
	if len(t.result.Outcomes) != len(t.round.commands) {
		s.fail("an outcome for each command", "slice %d: %d of %d", t.no, len(t.result.Outcomes), len(t.round.commands))
	}
	s.refreshSlice(t)
	s.oracle.applied(t)
	s.checkSlice(t)
	if heard {
		t.settle()
	}
}

// settle answers the round's draws, and tells the bank what follows.
func (t *site) settle() {
	s, r := t.sim, &t.round
	if len(r.commands) > 0 {
		t.settleProposed()
	}
	for k, i := range r.refused {
		s.answer(t, i, &r.refusals[k])
	}
	for no := range t.touched {
		if t.touched[no] && len(t.parked[no]) > 0 && t.room(allocator.PrizeNo(no)) > 0 {
			t.queue = append(t.queue, t.parked[no]...)
			t.parked[no] = t.parked[no][:0]
		}
	}
	t.tell()
}

func (t *site) settleProposed() {
	s, r := t.sim, &t.round
	first := len(r.commands) - r.proposed
	var again []int
	for k := first; k < len(r.commands); k++ {
		i, out := r.commands[k].draw, &t.result.Outcomes[k]
		switch out.Verdict {
		case allocator.Short, allocator.UnknownPrize:
			t.park(i)
		case allocator.Again:
			again = append(again, i)
		case allocator.Misrouted:
			s.route(i)
		default:
			s.answer(t, i, out)
			t.touched[s.draws[i].prize] = true
		}
	}
	for no := range r.look {
		if r.look[no] {
			again = append(again, t.parked[no]...)
			t.parked[no] = t.parked[no][:0]
			t.asked[no] = 0
		}
	}
	if len(again) > 0 {
		t.queue = append(again, t.queue...)
	}
}

// room returns how many draws of a prize there are tokens for here.
func (t *site) room(no allocator.PrizeNo) int64 {
	room := t.kit.front.Tokens(no, allocator.Purse{})
	if day, limited := t.kit.front.DayPurse(no, t.days); limited {
		room = min(room, t.kit.front.Tokens(no, day))
	}
	return room
}
