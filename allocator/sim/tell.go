package sim

import "tombola/allocator"

// tell sends the bank the notes that a round gave rise to.
func (t *site) tell() {
	for _, r := range t.round.replies {
		stock := at{prize: r.prize}
		if r != stock {
			t.note(stock, true)
		}
		t.note(r, true)
	}
	for no := range t.touched {
		if t.touched[no] {
			t.touched[no] = false
			t.asks(no, false)
		}
	}
}

// note sends a purse's position, with what the slice needs and wants of it.
func (t *site) note(of at, always bool) {
	n, ok := t.kit.front.Note(of.prize, of.purse)
	if !ok {
		return
	}
	t.need(&n)
	if always || n.Need > 0 || n.Want > 0 {
		t.sim.send(parcel{from: t.no, term: t.term, note: n})
	}
}

// asks sends notes for draws that wait, about both of their purses, and takes an
// ask back when none waits any more.
func (t *site) asks(no int, again bool) {
	need := int64(len(t.parked[no]))
	withdrawn := need == 0 && t.asked[no] > 0
	if !again && need > 0 && need < 2*t.asked[no]+1 {
		return
	}
	t.asked[no] = need
	t.note(at{prize: allocator.PrizeNo(no)}, withdrawn)
	if day, limited := t.kit.front.DayPurse(allocator.PrizeNo(no), t.days); limited {
		t.note(at{allocator.PrizeNo(no), day}, withdrawn)
	}
}

func (t *site) need(n *allocator.Note) {
	if n.Dry {
		return
	}
	slice := t.kit.front
	if day, limited := slice.DayPurse(n.Prize, t.days); !n.Purse.IsStock() && (!limited || n.Purse != day) {
		return
	}
	tokens := slice.Tokens(n.Prize, n.Purse)
	n.Need = max(0, int64(len(t.parked[n.Prize]))-tokens)
	if n.Need > 0 || tokens < allocator.LowWater(t.rate) {
		n.Want = allocator.WantSize(t.rate)
		if t.sim.swarm.thrifty {
			n.Want = min(n.Want, n.Need)
		}
	}
}

// tick repeats what the bank has not answered, and looks again at parked draws
// whose prize has changed without a word of the bank.
func (t *site) tick() {
	if t.flying {
		return
	}
	slice, now := t.kit.front, t.sim.clock(t.server)
	t.days = t.sim.dates(slice, now, t.days)
	for no := range t.parked {
		if len(t.parked[no]) > 0 {
			d := &t.sim.draws[t.parked[no][0]]
			out := slice.Look(allocator.PrizeNo(no), userName(d.user), requestName(d.request), now, t.days)
			if out.Verdict != allocator.Short && out.Verdict != allocator.UnknownPrize {
				t.queue = append(t.queue, t.parked[no]...)
				t.parked[no] = t.parked[no][:0]
			}
		}
		if len(t.parked[no]) > 0 || t.asked[no] > 0 {
			t.asks(no, true)
		}
	}
	for _, n := range slice.Open(nil) {
		t.sim.send(parcel{from: t.no, term: t.term, note: n})
	}
}
