package allocator

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// heal lets all messages through until nothing waits any more.
func (m *schedule) heal() {
	w := m.world
	for round := range 60 {
		w.quiesce()
		if round > 0 && m.settled() {
			return
		}
		w.now += 600_000
		w.repeat()
	}
	text := ""
	for no := range w.bank.prizes[1:] {
		text += w.oracle.dump(PrizeNo(no + 1))
	}
	w.t.Fatalf("never comes to rest: busy %v\n%s", w.bank.Busy(), text)
}

func (m *schedule) settled() bool {
	w := m.world
	for _, s := range w.sites {
		if len(s.parked) > 0 || len(s.slice.Open(nil)) > 0 {
			return false
		}
	}
	for _, v := range w.bank.prizes[1:] {
		if v.op.State == OperationPending || v.shrink.on || v.probation != 0 || v.ackedAll() < v.def.Version {
			return false
		}
		v.accounts(func(name Purse, a *account) {
			if a.held > 0 || a.reserve > 0 {
				w.t.Fatalf("at rest, but tokens are held\n%s", w.oracle.dump(v.def.No))
			}
		})
	}
	return len(w.bank.Busy()) == 0
}

// drain opens every prize and draws until it is sold out: no token is lost.
func (m *schedule) drain() {
	w := m.world
	for no := range PrizeNo(len(w.bank.prizes)) {
		def, ok := w.bank.Definition(no)
		if !ok || def.Status == StatusDeleted || def.Archived {
			continue
		}
		w.change(Change{
			Prize: def.ID, Set: FieldsAll&^(FieldTotal|FieldZone) | FieldStatus,
			To: Definition{Kind: KindCounter, Status: StatusActive},
		})
		m.heal()
		def, _ = w.bank.Definition(no)
		for i := 0; ; i++ {
			a := &ask{prize: no, user: fmt.Sprint("late", i)}
			w.draw(SliceNo(i%3+1), a)
			m.heal()
			if a.out.Verdict == SoldOut {
				break
			}
			if a.out.Verdict != Granted || int64(i) > def.Total {
				w.t.Fatalf("draw %d of prize %d came to %s", i, no, verdictText(a.out.Verdict))
			}
		}
		if net := w.oracle.net[no]; net != def.Total {
			w.t.Fatalf("prize %d is sold out with %d of %d granted\n%s", no, net, def.Total, w.oracle.dump(no))
		}
	}
}

// TestNoRepeatsWithoutLoss says that on a network that loses nothing and keeps
// each sender's order no draw waits for a leader to say something again.
func TestNoRepeatsWithoutLoss(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &schedule{world: newWorld(rt, 3), rt: rt}
		m.create()
		w := m.world
		w.quiesce()
		for range rapid.IntRange(1, 40).Draw(rt, "rounds") {
			w.want = pick[int64](rt, "want", 0, 1, 2, 50)
			for range rapid.IntRange(1, 4).Draw(rt, "at once") {
				m.draw(rt)
				for range rapid.IntRange(0, 3).Draw(rt, "delivered") {
					if len(w.net) > 0 {
						w.deliver(w.takeInOrder(rapid.IntRange(0, len(w.net)-1).Draw(rt, "message")))
					}
				}
			}
			if rapid.IntRange(0, 3).Draw(rt, "voided") == 0 {
				m.void(rt)
				for _, s := range w.sites {
					for _, n := range s.slice.Open(nil) {
						w.sendNote(s, n)
					}
				}
			}
			w.quiesce()
			for _, s := range w.sites {
				if len(s.parked) > 0 {
					rt.Fatalf("draws wait at slice %d, and nobody talks\n%s", s.no, w.oracle.dump(s.parked[0].prize))
				}
			}
			w.now += 1000
		}
	})
}
