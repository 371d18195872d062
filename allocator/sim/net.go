package sim

import "tombola/allocator"

// parcel is a note or a word on its way.
type parcel struct {
	from allocator.SliceNo // 0 for the bank
	to   allocator.SliceNo
	term int // of the leader that sent it
	note allocator.Note
	word allocator.Word
}

// maxNet bounds what is on its way: the oldest is lost beyond that.
const maxNet = 48

func (s *Sim) send(p parcel) {
	if s.swarm.cut[p.from|p.to] {
		s.hit(MessageLost)
		return
	}
	if len(s.net) >= maxNet && !s.swarm.healed {
		s.hit(MessageLost)
		s.take(0)
	}
	s.net = append(s.net, p)
}

func (s *Sim) take(i int) parcel {
	p := s.net[i]
	s.net = append(s.net[:i], s.net[i+1:]...)
	return p
}

// deliver hands some messages to the leaders that they are for.
func (s *Sim) deliver() {
	r := &s.rng
	var touched [maxSlices + 1]bool
	for range 1 + r.n(5) {
		if len(s.net) == 0 {
			break
		}
		i := 0
		if s.swarm.has(FaultReorder) && r.one(3) {
			if i = r.n(len(s.net)); i > 0 {
				s.hit(MessageReordered)
			}
		}
		var p parcel
		if s.swarm.has(FaultRepeat) && r.one(5) {
			s.hit(MessageRepeated)
			p = s.net[i]
		} else {
			p = s.take(i)
		}
		s.receive(&p)
		touched[p.to] = true
	}
	for i := range touched {
		switch {
		case !touched[i]:
		case i == 0:
			s.bank.rounds(false)
		default:
			s.sites[i-1].rounds(false)
		}
	}
}

// receive puts a message before the leader that it is for. What the leader of a
// group without a majority hears it keeps, up to a bound.
func (s *Sim) receive(p *parcel) {
	if p.to == 0 {
		if p.term != s.site(p.from).term {
			s.hit(MessageFromDeposed)
		}
		if s.rng.one(8) {
			p.note = s.throughWire(p.note)
		}
		if s.says() {
			s.say("slice %d → bank: %s", p.from, noteText(&p.note))
		}
		if len(s.bank.notes) < maxNet || s.swarm.healed {
			s.bank.notes = append(s.bank.notes, p.note)
		}
		return
	}
	if p.term != s.bank.term {
		s.hit(MessageFromDeposed)
	}
	if s.says() {
		s.say("bank → slice %d: %s", p.to, wordText(&p.word))
	}
	if t := s.site(p.to); len(t.words) < maxNet || s.swarm.healed {
		t.words = append(t.words, p.word)
	}
}

// throughWire sends a note through its encoding.
func (s *Sim) throughWire(n allocator.Note) allocator.Note {
	back, err := allocator.DecodeNotes(allocator.AppendNotes(nil, []allocator.Note{n}))
	if err != nil || len(back) != 1 {
		s.fail("messages can be read", "note %v: %v", n, err)
	}
	return back[0]
}

// lose takes messages off the network.
func (s *Sim) lose() {
	for range min(len(s.net), 1+s.rng.n(6)) {
		p := s.take(s.rng.n(len(s.net)))
		s.hit(MessageLost)
		if s.says() {
			s.say("lost: %s", parcelText(&p))
		}
	}
}
