package sim

import (
	"bytes"

	"tombola/allocator"
)

// newLeader ends the term of a slice's leader. What was on its way is lost,
// committed without its knowing, or left to the successor, who commits it before
// anything of its own: the barrier of its term.
func (t *site) newLeader(f fate) {
	s := t.sim
	s.hit(LeaderChanged)
	for i := range t.view {
		if t.knows[i] && t.view[i].Purses[0].Open > 0 {
			s.hit(ReturnAcrossLeaders)
		}
	}
	was := t.server
	t.server = (t.server + 1 + s.rng.n(servers-1)) % servers
	s.say("slice %d: server %d leads no more", t.no, was+1)
	if t.flying {
		t.endFlight(f)
	}
	for no := range t.parked {
		t.queue = append(t.queue, t.parked[no]...)
	}
	t.forgetLeader()
	t.term++
	t.catchUp()
	t.kit.front, t.kit.back = t.kit.back, t.kit.front
	s.say("slice %d: server %d leads, with all %d entries", t.no, t.server+1, len(t.ends))
	s.checkSlice(t)
}

// endFlight settles an entry whose leader is gone.
func (t *site) endFlight(f fate) {
	s, r := t.sim, &t.round
	first := len(r.commands) - r.proposed
	for _, c := range r.commands[first:] {
		d := &s.draws[c.draw]
		switch {
		case f == fateLost && s.rng.one(2):
			t.queue = append(t.queue, c.draw) // certainly not done: routed again
		default:
			d.state = unknown
		}
	}
	t.queue = append(t.queue, r.refused...)
	t.flying = false
	switch f {
	case fateLost:
		s.hit(EntryLost)
		s.say("slice %d: its entry of %d commands is lost", t.no, len(r.commands))
		return
	case fateUnknown:
		s.hit(EntryCommittedUnknown)
	case fateSuccessor:
		s.hit(EntryLeftToSuccessor)
	}
	s.say("slice %d: its entry of %d commands is committed, and its proposer did not hear of it", t.no, len(r.commands))
	t.commit(false)
}

// catchUp has the replica behind apply all that is committed, and compares both:
// invariant 8.
func (t *site) catchUp() {
	s := t.sim
	for ; t.applied < len(t.ends); t.applied++ {
		t.result.Reset()
		if err := t.kit.back.Apply(t.entry(t.applied), &t.result); err != nil {
			s.fail("entries can be applied", "a replica of slice %d: %v", t.no, err)
		}
	}
	s.encodeSlice(t.kit.front, &s.bytes.image)
	s.encodeSlice(t.kit.back, &s.bytes.other)
	if !bytes.Equal(s.bytes.image.b, s.bytes.other.b) {
		s.fail("8: replicas encode to the same bytes", "slice %d", t.no)
	}
}

// follow has the replica behind apply some of what is committed.
func (t *site) follow() {
	for range 1 + t.sim.rng.n(8) {
		if t.applied == len(t.ends) {
			return
		}
		t.result.Reset()
		if err := t.kit.back.Apply(t.entry(t.applied), &t.result); err != nil {
			t.sim.fail("entries can be applied", "a replica of slice %d: %v", t.no, err)
		}
		t.applied++
	}
}

// restore replaces a replica by what an image of it is read as: the one in front,
// as after a restart, or the one behind, as after a snapshot was sent to it.
func (t *site) restore() {
	s := t.sim
	s.hit(ReplicaRestored)
	s.say("slice %d: a replica is restored from an image of all %d entries", t.no, len(t.ends))
	s.encodeSlice(t.kit.front, &s.bytes.image)
	back, err := allocator.DecodeSlice(bytes.NewReader(s.bytes.image.b), allocator.SliceConfig{
		Slice: t.no, Slices: s.n, Key: key(),
	})
	if err != nil {
		s.fail("images can be read", "slice %d: %v", t.no, err)
	}
	s.encodeSlice(back, &s.bytes.other)
	if !bytes.Equal(s.bytes.image.b, s.bytes.other.b) {
		s.fail("8: a restored replica encodes to the same bytes", "slice %d", t.no)
	}
	t.kit.back, t.applied = back, len(t.ends)
	if !t.flying && s.rng.one(2) {
		t.kit.front, t.kit.back = t.kit.back, t.kit.front
	}
}

func (s *Sim) encodeSlice(slice *allocator.Slice, to *imageBuffer) {
	to.reset()
	m := slice.Freeze()
	defer m.Release()
	if err := m.Encode(to); err != nil {
		s.fail("images can be written", "slice: %v", err)
	}
}

// newLeader ends the term of the bank's leader.
func (b *bankGroup) newLeader(f fate) {
	s := b.sim
	s.hit(LeaderChanged)
	for no := 1; no <= b.last; no++ {
		for i := range b.view[no].Accounts {
			for _, l := range b.view[no].Accounts[i].Lines {
				if l.Open > 0 {
					s.hit(LotAcrossLeaders)
				}
			}
		}
	}
	s.say("the bank: server %d leads no more", b.server+1)
	b.server = (b.server + 1 + s.rng.n(servers-1)) % servers
	if b.flying {
		b.flying = false
		if f == fateLost {
			s.hit(EntryLost)
			s.say("the bank's entry is lost")
		} else {
			s.hit(EntryCommittedUnknown)
			s.say("the bank's entry is committed, and its proposer did not hear of it")
			b.commit(false)
		}
	}
	b.notes, b.changes, b.archive, b.heard = b.notes[:0], b.changes[:0], b.archive[:0], b.heard[:0]
	b.term++
	b.catchUp()
	b.front, b.back = b.back, b.front
	s.say("the bank: server %d leads", b.server+1)
	s.checkBank()
}

func (b *bankGroup) catchUp() {
	s := b.sim
	for ; b.applied < len(b.ends); b.applied++ {
		b.result.Reset()
		if err := b.back.Apply(b.entry(b.applied), &b.result); err != nil {
			s.fail("entries can be applied", "a replica of the bank: %v", err)
		}
	}
	b.result.Reset()
	s.encodeBank(b.front, &s.bytes.image)
	s.encodeBank(b.back, &s.bytes.other)
	if !bytes.Equal(s.bytes.image.b, s.bytes.other.b) {
		s.fail("8: replicas encode to the same bytes", "the bank")
	}
}

func (b *bankGroup) restore() {
	s := b.sim
	s.hit(BankRestored)
	s.say("the bank: a replica is restored from an image of all %d entries", len(b.ends))
	s.encodeBank(b.front, &s.bytes.image)
	back, err := allocator.DecodeBank(bytes.NewReader(s.bytes.image.b), allocator.BankConfig{Slices: s.n})
	if err != nil {
		s.fail("images can be read", "the bank: %v", err)
	}
	s.encodeBank(back, &s.bytes.other)
	if !bytes.Equal(s.bytes.image.b, s.bytes.other.b) {
		s.fail("8: a restored replica encodes to the same bytes", "the bank")
	}
	b.back, b.applied = back, len(b.ends)
	if !b.flying && s.rng.one(2) {
		b.front, b.back = b.back, b.front
	}
}

func (s *Sim) encodeBank(bank *allocator.Bank, to *imageBuffer) {
	to.reset()
	m := bank.Freeze()
	defer m.Release()
	if err := m.Encode(to); err != nil {
		s.fail("images can be written", "bank: %v", err)
	}
}
