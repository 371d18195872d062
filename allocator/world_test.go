package allocator

import (
	"bytes"
	"fmt"
	"slices"
)

// tester is what both testing.T and rapid.T are.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

// world is one bank and its slices, each with a replica that applies the same
// entries, and a network on which every message ever sent may be delivered at
// any later time, any number of times, or never. It does what leaders do.
type world struct {
	t      tester
	now    Micros
	day    Day // in every zone
	bank   *Bank
	twin   *Bank
	sites  []*site
	net    []parcel // on their way
	sent   []parcel // all that were ever sent, for scripts
	keep   bool     // whether sent is kept
	trace  func(format string, args ...any)
	oracle *oracle
	cut    SliceNo // can't be reached
	want   int64   // what leaders ask for ahead of need
}

// site is a slice with its leader's memory.
type site struct {
	no     SliceNo
	slice  *Slice
	twin   *Slice
	parked []*ask
	asked  map[PrizeNo]bool // the bank was told of a need
	last   uint64           // of its events
	// gaveBack holds the returns that answered recalls: other returns are
	// restocks.
	gaveBack map[string]bool
	off      Day // by which the leader's clock is off
	misdated Day // by which its calendar is off beside
}

// ask is a client's draw.
type ask struct {
	prize PrizeNo
	user  string
	id    string
	final bool
	out   Outcome
}

// parcel is an encoded message on its way. to is 0 for the bank.
type parcel struct {
	to    SliceNo
	body  []byte
	label string
}

func testKey() HashKey { return HashKey{1, 2} }

func newWorld(t tester, n int) *world {
	w := &world{t: t, now: 20_000*dayLength + dayLength/2, day: 20_000, trace: func(string, ...any) {}}
	w.bank, w.twin = NewBank(BankConfig{Slices: n}), NewBank(BankConfig{Slices: n})
	for i := range n {
		cfg := SliceConfig{Slice: SliceNo(i + 1), Slices: n, Key: testKey()}
		w.sites = append(w.sites, &site{
			no: cfg.Slice, slice: NewSlice(cfg), twin: NewSlice(cfg), gaveBack: make(map[string]bool), asked: make(map[PrizeNo]bool),
		})
	}
	w.oracle = newOracle(w)
	return w
}

func (w *world) site(s SliceNo) *site { return w.sites[s-1] }

// turn makes it the same time of another day.
func (w *world) turn(day Day) {
	w.now += Micros(day-w.day) * dayLength
	w.day = day
}

// clock returns what the clock of a slice's leader says.
func (w *world) clock(s *site) Micros { return w.now + Micros(s.off)*dayLength }

// days returns the dates that the leader of a slice puts into an entry.
func (w *world) days(s *site) []Day {
	return slices.Repeat([]Day{w.day + s.off + s.misdated}, len(s.slice.Zones()))
}

// bankEntry has the bank decide an entry and tells the slices what follows.
func (w *world) bankEntry(write func(*BankWriter), notes []Note) []ChangeOutcome {
	w.t.Helper()
	var bw BankWriter
	bw.Begin(nil, w.now)
	write(&bw)
	var res, twin BankResult
	if bw.Count() > 0 {
		if err := w.bank.Apply(bw.Bytes(), &res); err != nil {
			w.t.Fatalf("bank: %v", err)
		}
		if err := w.twin.Apply(bw.Bytes(), &twin); err != nil {
			w.t.Fatalf("bank's replica: %v", err)
		}
	}
	var out []To
	for _, no := range slices.Compact(slices.Sorted(slices.Values(res.Touched))) {
		out = w.bank.Words(no, out)
	}
	for i := range notes {
		out = w.bank.Answer(&notes[i], out)
	}
	w.sendWords(out)
	if bw.Count() > 0 {
		w.oracle.bankChanged()
		w.oracle.check(nil)
	}
	return res.Changes
}

// deliver hands a message to its receiver's leader.
func (w *world) deliver(p parcel) {
	w.t.Helper()
	w.trace("%s", p.label)
	if p.to != 0 {
		words, err := DecodeWords(p.body)
		if err != nil {
			w.t.Fatalf("words: %v", err)
		}
		w.sliceEntry(w.site(p.to), words, nil, nil)
		return
	}
	notes, err := DecodeNotes(p.body)
	if err != nil {
		w.t.Fatalf("notes: %v", err)
	}
	w.bankEntry(func(bw *BankWriter) {
		for i := range notes {
			if w.bank.Learns(&notes[i], w.now) {
				bw.Note(&notes[i])
			}
		}
	}, notes)
}

// change has the bank carry out an operator's order.
func (w *world) change(c Change) ChangeOutcome {
	w.t.Helper()
	if c.To.Zone == "" {
		c.To.Zone = "UTC"
	}
	out := w.bankEntry(func(bw *BankWriter) { bw.Change(&c) }, nil)[0]
	return out
}

// draw brings draws to a slice's leader, as one batch.
func (w *world) draw(s SliceNo, asks ...*ask) {
	w.t.Helper()
	w.sliceEntry(w.site(s), nil, asks, nil)
}

// order is a command of an operator or of the sink.
type order struct {
	write func(*EntryWriter)
	done  func(Outcome)
}

// sliceEntry does one round of a slice's leader: words, then orders, then the
// draws that waited, then new ones.
func (w *world) sliceEntry(s *site, words []Word, asks []*ask, orders []order) {
	w.t.Helper()
	var ew EntryWriter
	ew.Begin(nil, w.clock(s), w.days(s))
	var replies []Note
	var done []func(Outcome)
	touched := make(map[PrizeNo]bool)
	for i := range words {
		word := &words[i]
		replies = append(replies, Note{Prize: word.Prize, Purse: word.Purse})
		switch {
		case word.Kind == WordRecall:
			if k := RecallSize(s.slice.Tokens(word.Prize, word.Purse), word.Tokens, 0); k > 0 {
				ew.Return(word.Prize, word.Purse, k)
				done = append(done, func(out Outcome) { w.gaveBack(s, word, out) })
			}
		case s.slice.Learns(word):
			ew.Word(word)
			touched[word.Prize] = true
			done = append(done, func(out Outcome) {
				if len(words) == 1 && out.Verdict != Accepted {
					w.t.Fatalf("slice %d was to learn from %q, and did not", s.no, wordText(word))
				}
			})
		}
	}
	for _, o := range orders {
		o.write(&ew)
		done = append(done, o.done)
	}
	var waiting []*ask
	waiting, s.parked = s.parked, nil
	for _, a := range waiting {
		if touched[a.prize] {
			w.propose(s, &ew, a, &done)
		} else {
			s.parked = append(s.parked, a)
		}
	}
	for _, a := range asks {
		w.look(s, &ew, a, &done)
	}
	w.apply(s, &ew, done)
	// What waits and was not granted is looked at again.
	waiting, s.parked = s.parked, nil
	for _, a := range waiting {
		out := s.slice.Look(a.prize, []byte(a.user), []byte(a.id), w.clock(s), w.days(s))
		if out.Verdict.Final() && (out.Verdict != Granted || out.Repeat) {
			w.answer(s, a, out)
		} else {
			s.parked = append(s.parked, a)
		}
	}
	w.reply(s, replies)
	if len(asks) > 0 || len(touched) > 0 {
		w.asks(s)
	}
}

func (w *world) gaveBack(s *site, word *Word, out Outcome) {
	if out.Verdict == Accepted {
		s.gaveBack[returnKey(word.Prize, word.Purse, w.position(s, word.Prize, word.Purse).returns)] = true
	}
}

func returnKey(no PrizeNo, name Purse, n uint64) string {
	return fmt.Sprintf("%d %v %d %d", no, name, name.Epoch, n)
}

func (w *world) position(s *site, no PrizeNo, name Purse) purse {
	p := s.slice.prize(no)
	switch {
	case p == nil:
	case name.IsStock():
		return p.stock
	case name.Epoch == p.def.DayEpoch && p.def.DailyLimit > 0 && p.book(name.Day) != nil:
		return p.book(name.Day).purse
	}
	return purse{}
}

// look refuses a draw from committed memory where that can be.
func (w *world) look(s *site, ew *EntryWriter, a *ask, done *[]func(Outcome)) {
	out := s.slice.Look(a.prize, []byte(a.user), []byte(a.id), w.clock(s), w.days(s))
	switch {
	case out.Verdict == Granted && !out.Repeat, out.Verdict == Again, out.Verdict == Short:
		// Short ones are proposed as well, so that Apply is asked for each.
		w.propose(s, ew, a, done)
	default:
		w.answer(s, a, out)
	}
}

func (w *world) propose(s *site, ew *EntryWriter, a *ask, done *[]func(Outcome)) {
	ew.Draw(a.prize, []byte(a.user), []byte(a.id))
	*done = append(*done, func(out Outcome) { w.answer(s, a, out) })
}

// answer gives a draw its verdict, or parks it.
func (w *world) answer(s *site, a *ask, out Outcome) {
	w.t.Helper()
	switch out.Verdict {
	case Short, Again:
		s.parked = append(s.parked, a)
		return
	}
	a.final, a.out = true, out
	w.oracle.answered(s, a, out)
	w.trace("%c: %s", 'A'+rune(s.no-1), outcomeText(s, a, &out))
}

// apply has both replicas decide the entry; done hears of each outcome.
func (w *world) apply(s *site, ew *EntryWriter, done []func(Outcome)) {
	w.t.Helper()
	if ew.Count() == 0 {
		return
	}
	var res, twin Result
	if err := s.slice.Apply(ew.Bytes(), &res); err != nil {
		w.t.Fatalf("slice %d: %v", s.no, err)
	}
	if err := s.twin.Apply(ew.Bytes(), &twin); err != nil {
		w.t.Fatalf("slice %d's replica: %v", s.no, err)
	}
	if !slices.Equal(res.Outcomes, twin.Outcomes) {
		w.t.Fatalf("slice %d: replicas disagree: %v and %v", s.no, res.Outcomes, twin.Outcomes)
	}
	if len(res.Outcomes) != len(done) {
		w.t.Fatalf("slice %d: %d outcomes of %d commands", s.no, len(res.Outcomes), len(done))
	}
	w.oracle.events(s, res.Events)
	for i, out := range res.Outcomes {
		done[i](out)
	}
	w.oracle.check(s)
}

// reply answers words with the position of their purses.
func (w *world) reply(s *site, replies []Note) {
	for _, r := range replies {
		if n, ok := s.slice.Note(r.Prize, r.Purse); ok {
			w.need(s, &n)
			w.sendNote(s, n)
		}
	}
}

// image returns the bytes of a snapshot.
func sliceImage(t tester, s *Slice) []byte {
	var b bytes.Buffer
	m := s.Freeze()
	defer m.Release()
	if err := m.Encode(&b); err != nil {
		t.Fatalf("encode slice: %v", err)
	}
	return b.Bytes()
}

func bankImage(t tester, b *Bank) []byte {
	var buf bytes.Buffer
	m := b.Freeze()
	defer m.Release()
	if err := m.Encode(&buf); err != nil {
		t.Fatalf("encode bank: %v", err)
	}
	return buf.Bytes()
}
