package allocator

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestAnySchedule drives a bank and three slices through whatever rapid thinks
// of: draws, voids, operators' changes, dates and clocks, messages lost,
// repeated and out of order, machines restored from images. The oracle looks at
// everything after each step. In the end the network heals, and every draw gets
// its answer, every operation ends and every token can be drawn.
func TestAnySchedule(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &schedule{world: newWorld(rt, 3), rt: rt}
		m.create()
		rt.Repeat(map[string]func(*rapid.T){
			"draw":     m.draw,
			"draw2":    m.draw,
			"deliver":  m.someDelivered,
			"deliver2": m.someDelivered,
			"deliver3": m.someDelivered,
			"repeat":   func(*rapid.T) { m.world.repeat() },
			"lose":     m.lose,
			"void":     m.void,
			"change":   m.change,
			"time":     m.time,
			"restore":  m.restore,
			"sink":     m.sink,
			"give up":  m.giveUp,
			"return":   m.giveBack,
			"archive":  m.archive,
			"want":     func(*rapid.T) { m.world.want = pick[int64](rt, "want", 0, 0, 1, 2, 50) },
		})
		m.heal()
		m.drain()
	})
}

type schedule struct {
	world *world
	rt    *rapid.T
}

func pick[T any](rt *rapid.T, label string, values ...T) T {
	return rapid.SampledFrom(values).Draw(rt, label)
}

func (m *schedule) create() {
	n := pick(m.rt, "prizes", 1, 1, 2)
	for i := range n {
		c := Change{Prize: fmt.Sprint("p", i), Create: true, Set: FieldsAll, To: Definition{
			Kind: KindCounter, Zone: "UTC", Total: pick[int64](m.rt, "total", 1, 2, 3, 5, 8, 20),
			DailyLimit: pick[int64](m.rt, "daily", 0, 0, 1, 2, 4), PerUserLimit: pick[int64](m.rt, "user", 0, 0, 1, 2),
		}}
		if rapid.IntRange(0, 3).Draw(m.rt, "paced") == 0 {
			c.To.Release = Release{PerSecondMilli: 1000, Burst: 2}
		}
		if out := m.world.change(c); out.Verdict != ChangeCreated {
			m.rt.Fatalf("create: %+v", out)
		}
	}
}

func (m *schedule) prize() PrizeNo {
	return PrizeNo(rapid.IntRange(1, len(m.world.bank.prizes)-1).Draw(m.rt, "prize"))
}

func (m *schedule) siteNo() *site {
	return m.world.sites[rapid.IntRange(0, len(m.world.sites)-1).Draw(m.rt, "slice")]
}

func (m *schedule) draw(*rapid.T) {
	s := m.siteNo()
	var asks []*ask
	for range rapid.IntRange(1, 3).Draw(m.rt, "draws") {
		a := &ask{prize: m.prize(), user: pick(m.rt, "user", "a", "b", "c", "d", "e", "f", "g", "h")}
		a.id = pick(m.rt, "request", "", "", "r1", "r2")
		asks = append(asks, a)
	}
	m.world.draw(s.no, asks...)
	// Those that were not at home go there.
	for _, a := range asks {
		if a.final && a.out.Verdict == Misrouted {
			a.final = false
			m.world.draw(Home(testKey(), []byte(a.user), len(m.world.sites)), a)
		}
	}
}

// someDelivered delivers one message, which stays on the network now and then.
func (m *schedule) someDelivered(*rapid.T) {
	w := m.world
	for range rapid.IntRange(1, 6).Draw(m.rt, "messages") {
		if len(w.net) == 0 {
			return
		}
		i := 0
		if rapid.Bool().Draw(m.rt, "out of order") {
			i = rapid.IntRange(0, len(w.net)-1).Draw(m.rt, "message")
		}
		if rapid.IntRange(0, 4).Draw(m.rt, "keep") == 0 {
			w.deliver(w.net[i])
		} else {
			w.deliver(w.take(i))
		}
	}
}

func (m *schedule) lose(*rapid.T) {
	if n := len(m.world.net); n > 0 {
		for range rapid.IntRange(1, n).Draw(m.rt, "lost") {
			m.world.take(rapid.IntRange(0, len(m.world.net)-1).Draw(m.rt, "message"))
		}
	}
}

func (m *schedule) void(*rapid.T) {
	s := m.siteNo()
	if s.last == 0 {
		return
	}
	seq := rapid.Uint64Range(1, s.last).Draw(m.rt, "grant")
	restock := rapid.Bool().Draw(m.rt, "restock")
	g, exists := m.world.oracle.grants[NewGrantID(s.no, seq)]
	want := NoSuchGrant
	switch {
	case exists && !m.retained(s, seq):
	case exists && g.voided:
		want = Already
	case exists:
		want = Voided
	}
	m.world.sliceEntry(s, nil, nil, []order{{
		func(ew *EntryWriter) { ew.Void(seq, restock) },
		func(out Outcome) {
			if out.Verdict != want {
				m.rt.Fatalf("void of %d: %s, want %s", seq, verdictText(out.Verdict), verdictText(want))
			}
		},
	}})
}

func (m *schedule) change(*rapid.T) {
	no := m.prize()
	def, _ := m.world.bank.Definition(no)
	c := Change{Prize: def.ID, Set: pick(m.rt, "field", FieldTotal, FieldTotal, FieldTotal, FieldDailyLimit, FieldDailyLimit,
		FieldPerUserLimit, FieldStatus, FieldStatus, FieldRelease, FieldStartsAt, FieldEndsAt, FieldZone, FieldTotal|FieldDailyLimit)}
	c.To = Definition{
		Status: StatusActive, Total: pick[int64](m.rt, "total", 1, 2, 3, 5, 9, 30),
		DailyLimit: pick[int64](m.rt, "daily", 0, 1, 2, 3, 6), PerUserLimit: pick[int64](m.rt, "user", 0, 1, 2, 3),
		Zone: pick(m.rt, "zone", "UTC", "Asia/Shanghai"),
	}
	if rapid.IntRange(0, 2).Draw(m.rt, "pause") == 0 {
		c.To.Status = pick(m.rt, "status", StatusPaused, StatusPaused, StatusPaused, StatusEnded, StatusDeleted)
	}
	if rapid.Bool().Draw(m.rt, "paced") {
		c.To.Release = Release{PerSecondMilli: 500, Burst: 1}
	}
	if rapid.Bool().Draw(m.rt, "window") {
		c.To.StartsAt, c.To.EndsAt = m.world.now+1_000_000, m.world.now+3_000_000
	}
	m.world.change(c)
}

func (m *schedule) time(*rapid.T) {
	w := m.world
	w.now += pick[Micros](m.rt, "passed", 1_000, 300_000, 1_000_000, 2_500_000, -900_000, -1_900_000)
	if rapid.IntRange(0, 3).Draw(m.rt, "date") == 0 {
		w.turn(Day(rapid.IntRange(20_000, 20_005).Draw(m.rt, "day")))
	}
}

// restore puts a machine that was encoded and decoded in the place of one.
func (m *schedule) restore(*rapid.T) {
	w := m.world
	i := rapid.IntRange(0, len(w.sites)).Draw(m.rt, "machine")
	if i == 0 {
		image := bankImage(m.rt, w.bank)
		b, err := DecodeBank(bytes.NewReader(image), w.bank.cfg)
		if err != nil {
			m.rt.Fatalf("%v", err)
		}
		if !bytes.Equal(bankImage(m.rt, b), image) {
			m.rt.Fatalf("the bank's image changes when it is restored")
		}
		if fmt.Sprint(b.Busy()) != fmt.Sprint(w.bank.Busy()) {
			m.rt.Fatalf("the bank is busy with %v, restored with %v", w.bank.Busy(), b.Busy())
		}
		w.bank = b
		return
	}
	s := w.sites[i-1]
	image := sliceImage(m.rt, s.slice)
	back, err := DecodeSlice(bytes.NewReader(image), s.slice.cfg)
	if err != nil {
		m.rt.Fatalf("%v", err)
	}
	if !bytes.Equal(sliceImage(m.rt, back), image) {
		m.rt.Fatalf("the slice's image changes when it is restored")
	}
	if fmt.Sprint(back.Open(nil)) != fmt.Sprint(s.slice.Open(nil)) {
		m.rt.Fatalf("the restored slice has other returns open")
	}
	s.slice = back
}

func (m *schedule) sink(*rapid.T) {
	s := m.siteNo()
	m.world.sliceEntry(s, nil, nil, []order{{
		func(ew *EntryWriter) { ew.Sunk(s.last) }, func(Outcome) {},
	}})
}

// retained reports whether a grant was not forgotten; only those of archived
// prizes may be.
func (m *schedule) retained(s *site, seq uint64) bool {
	_, ok := s.slice.Grant(seq)
	if g := m.world.oracle.grants[NewGrantID(s.no, seq)]; !ok && !s.slice.prize(g.prize).def.Archived {
		m.rt.Fatalf("grant %d of a living prize was forgotten", seq)
	}
	return ok
}

// archive lets the slices forget prizes that are over.
func (m *schedule) archive(*rapid.T) {
	w := m.world
	if over := w.bank.Over(w.now); len(over) > 0 && rapid.Bool().Draw(m.rt, "archived") {
		w.bankEntry(func(bw *BankWriter) { bw.Archive(over[0]) }, nil)
	}
	s := m.siteNo()
	for _, no := range s.slice.Forgettable() {
		w.sliceEntry(s, nil, nil, []order{{
			func(ew *EntryWriter) { ew.Forget(no, pick(m.rt, "budget", 1, 2, 100)) }, func(Outcome) {},
		}})
	}
}

// giveUp ends the draws that wait: their deadline has come, or their leader is
// gone. Nothing was granted to them.
func (m *schedule) giveUp(*rapid.T) {
	m.siteNo().parked = nil
}

// giveBack has a slice return tokens without being asked.
func (m *schedule) giveBack(*rapid.T) {
	s, no := m.siteNo(), m.prize()
	name := Purse{}
	if p := s.slice.prize(no); p != nil && p.def.DailyLimit > 0 && rapid.Bool().Draw(m.rt, "day's") {
		name = Purse{Day: m.world.day, Epoch: p.def.DayEpoch}
	}
	word := Word{Prize: no, Purse: name}
	m.world.sliceEntry(s, nil, nil, []order{{
		func(ew *EntryWriter) { ew.Return(no, name, 2) }, func(out Outcome) { m.world.gaveBack(s, &word, out) },
	}})
}
