package allocator

import "fmt"

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
