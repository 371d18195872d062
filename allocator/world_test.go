package allocator

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
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
	last   uint64 // of its events
	// gaveBack holds the returns that answered recalls: other returns are
	// restocks.
	gaveBack map[string]bool
}

// ask is a client's draw.
type ask struct {
	prize  PrizeNo
	user   string
	id     string
	final  bool
	out    Outcome
	events []string
}

// parcel is an encoded message on its way. to is 0 for the bank.
type parcel struct {
	to    SliceNo
	body  []byte
	label string
}

func testKey() HashKey { return HashKey{1, 2} }

func newWorld(t tester, n int) *world {
	w := &world{t: t, now: 1_000_000_000_000, day: 20_000, trace: func(string, ...any) {}}
	w.bank, w.twin = NewBank(BankConfig{Slices: n}), NewBank(BankConfig{Slices: n})
	for i := range n {
		cfg := SliceConfig{Slice: SliceNo(i + 1), Slices: n, Key: testKey()}
		w.sites = append(w.sites, &site{
			no: cfg.Slice, slice: NewSlice(cfg), twin: NewSlice(cfg), gaveBack: make(map[string]bool),
		})
	}
	w.oracle = newOracle(w)
	return w
}

func (w *world) site(s SliceNo) *site { return w.sites[s-1] }

// days returns the dates that the leader of a slice puts into an entry.
func (w *world) days(s *Slice) []Day { return slices.Repeat([]Day{w.day}, len(s.Zones())) }

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

func (w *world) sendWords(out []To) {
	var said []string
	for i := range out {
		p := parcel{to: out[i].Slice, body: AppendWords(nil, []Word{out[i].Word})}
		p.label = fmt.Sprintf("bank→%c %s", 'A'+rune(p.to-1), wordText(&out[i].Word))
		if !slices.Contains(said, p.label) {
			said = append(said, p.label)
			w.send(p)
		}
	}
}

func (w *world) send(p parcel) {
	if w.cut != 0 && strings.Contains(p.label, string('A'+rune(w.cut-1))) {
		return
	}
	w.net = append(w.net, p)
	if w.keep {
		w.sent = append(w.sent, p)
	}
}

func (w *world) sendNote(s *site, n Note) {
	w.send(parcel{body: AppendNotes(nil, []Note{n}), label: fmt.Sprintf("%c→bank %s", 'A'+rune(s.no-1), noteText(&n))})
}

// take removes a message from the network.
func (w *world) take(i int) parcel {
	p := w.net[i]
	w.net = slices.Delete(w.net, i, i+1)
	return p
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
	ew.Begin(nil, w.now, w.days(s.slice))
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
			done = append(done, func(Outcome) {})
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
	w.reply(s, replies)
	if len(asks) > 0 || len(touched) > 0 {
		w.asks(s)
	}
	// What waits and was not granted is looked at again.
	waiting, s.parked = s.parked, nil
	for _, a := range waiting {
		out := s.slice.Look(a.prize, []byte(a.user), []byte(a.id), w.now, w.days(s.slice))
		if out.Verdict.Final() && (out.Verdict != Granted || out.Repeat) {
			w.answer(s, a, out)
		} else {
			s.parked = append(s.parked, a)
		}
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
	out := s.slice.Look(a.prize, []byte(a.user), []byte(a.id), w.now, w.days(s.slice))
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

// asks sends notes for the draws that wait, about both of their purses.
func (w *world) asks(s *site) {
	var told []PrizeNo
	for _, a := range s.parked {
		if slices.Contains(told, a.prize) {
			continue
		}
		told = append(told, a.prize)
		names := []Purse{{}}
		if day, ok := s.slice.DayPurse(a.prize, w.days(s.slice)); ok {
			names = append(names, day)
		}
		for _, name := range names {
			if n, ok := s.slice.Note(a.prize, name); ok {
				if w.need(s, &n); n.Need > 0 {
					w.sendNote(s, n)
				}
			}
		}
	}
}

func (w *world) need(s *site, n *Note) {
	if !n.Purse.IsStock() && n.Purse.Day != w.day {
		return
	}
	for _, a := range s.parked {
		if a.prize == n.Prize {
			n.Need++
		}
	}
	tokens := s.slice.Tokens(n.Prize, n.Purse)
	n.Need = max(0, n.Need-tokens)
	if n.Need > 0 || tokens == 0 && !n.Dry {
		n.Want = w.want
	}
}

// repeat has every leader say again what was not confirmed.
func (w *world) repeat() {
	var out []To
	for _, no := range w.bank.Busy() {
		out = w.bank.Words(no, out)
	}
	w.sendWords(out)
	for _, s := range w.sites {
		for _, n := range s.slice.Open(nil) {
			w.need(s, &n)
			w.sendNote(s, n)
		}
		w.asks(s)
	}
}

// quiesce delivers all messages in order until none is left. Leaders that never
// stop talking are a fault.
func (w *world) quiesce() {
	w.t.Helper()
	for range 20_000 {
		if len(w.net) == 0 {
			return
		}
		w.deliver(w.take(0))
	}
	var said []string
	w.trace = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	for range 12 {
		w.deliver(w.take(0))
	}
	w.t.Fatalf("the leaders do not stop talking:\n%s\n%s", strings.Join(said, "\n"), w.oracle.dump(1))
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
