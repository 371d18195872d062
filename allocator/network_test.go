package allocator

import (
	"fmt"
	"slices"
	"strings"
)

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

// takeInOrder removes the oldest message on the route of the i-th.
func (w *world) takeInOrder(i int) parcel {
	route, _, _ := strings.Cut(w.net[i].label, " ")
	return w.take(slices.IndexFunc(w.net, func(p parcel) bool { return strings.HasPrefix(p.label, route+" ") }))
}

// asks sends notes for the draws that wait, about both of their purses, and
// takes an ask back when none waits any more, so that it holds up nobody.
func (w *world) asks(s *site) {
	waiting := make(map[PrizeNo]bool)
	for _, a := range s.parked {
		waiting[a.prize] = true
	}
	for no := range PrizeNo(len(w.bank.prizes)) {
		if !waiting[no] && !s.asked[no] {
			continue
		}
		s.asked[no] = waiting[no]
		names := []Purse{{}}
		if day, ok := s.slice.DayPurse(no, w.days(s)); ok {
			names = append(names, day)
		}
		for _, name := range names {
			if n, ok := s.slice.Note(no, name); ok {
				if w.need(s, &n); n.Need > 0 || !waiting[no] {
					w.sendNote(s, n)
				}
			}
		}
	}
}

func (w *world) need(s *site, n *Note) {
	if !n.Purse.IsStock() && n.Purse.Day != w.day+s.off+s.misdated {
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
