package sim

import (
	"slices"

	"tombola/allocator"
)

// bankGroup is the bank: its replicas, and its leader's inbox.
type bankGroup struct {
	group
	sim         *Sim
	front, back *allocator.Bank

	notes   []allocator.Note
	changes []allocator.Change
	archive []allocator.PrizeNo

	inEntry  []allocator.Change // of the entry on its way
	archived int
	heard    []allocator.Note // answered after it
	told     []allocator.To
	writer   allocator.BankWriter
	result   allocator.BankResult

	now  allocator.Micros // of the last entry
	then allocator.Micros // of the entry on its way
	view [maxPrizes + 1]vaultView
	last int // number of prizes
}

func (b *bankGroup) reset(s *Sim) {
	cfg := allocator.BankConfig{Slices: s.n}
	b.resetGroup(s.rng.n(servers))
	b.sim, b.front, b.back, b.last = s, allocator.NewBank(cfg), allocator.NewBank(cfg), 0
	b.notes, b.changes, b.archive, b.heard = b.notes[:0], b.changes[:0], b.archive[:0], b.heard[:0]
	b.now = 0
	for no := range b.view {
		b.view[no].Def = allocator.Definition{}
		b.view[no].Accounts = b.view[no].Accounts[:0]
	}
}

func (b *bankGroup) majority() bool { return b.sim.step >= b.noMajor }

// rounds decides what waits; with hurry nothing is left on its way.
func (b *bankGroup) rounds(hurry bool) {
	for range 4 {
		if b.flying {
			if !hurry && b.sim.rng.one(3) || !b.majority() {
				return
			}
			b.commit(true)
			continue
		}
		if len(b.notes)+len(b.changes)+len(b.archive) == 0 {
			return
		}
		b.compose()
		if b.writer.Count() > 0 {
			b.flying = true
		} else {
			b.tell()
		}
	}
}

func (b *bankGroup) compose() {
	now := b.sim.clock(b.server)
	b.then = now
	b.writer.Begin(b.writer.Bytes()[:0], now)
	for i := range b.changes {
		b.writer.Change(&b.changes[i])
	}
	for i := range b.notes {
		n := &b.notes[i]
		if b.front.Learns(n, now) {
			b.writer.Note(n)
		}
		b.countNote(n)
	}
	for _, no := range b.archive {
		b.writer.Archive(no)
	}
	b.archived = len(b.archive)
	b.inEntry = append(b.inEntry[:0], b.changes...)
	b.heard = append(b.heard[:0], b.notes...)
	b.notes, b.changes, b.archive = b.notes[:0], b.changes[:0], b.archive[:0]
	b.result.Reset()
}

// countNote counts a rare state: an "empty" at numbers that do not count.
func (b *bankGroup) countNote(n *allocator.Note) {
	if !n.Empty || int(n.Prize) > b.last {
		return
	}
	for i := range b.view[n.Prize].Accounts {
		a := &b.view[n.Prize].Accounts[i]
		if l := &a.Lines[n.Slice-1]; a.Purse == n.Purse && (n.Lots != l.Lots || n.Returns != l.Returns && n.Returns != l.Returns+1) {
			b.sim.hit(EmptyNotCounted)
		}
	}
}

// commit has the entry applied. The leader hears of it unless it is gone.
func (b *bankGroup) commit(heard bool) {
	s := b.sim
	entry := b.writer.Bytes()
	b.commitEntry(entry)
	b.result.Reset()
	if err := b.front.Apply(entry, &b.result); err != nil {
		s.fail("entries can be applied", "bank: %v", err)
	}
	s.tally.Entries++
	if b.then >= b.now || b.now-b.then > 2*sec {
		b.now = b.then // small steps back are hidden
	}
	s.oracle.bankApplied(b)
	s.checkBank()
	if heard {
		b.tell()
	}
}

// tell sends what follows from the entry, and the answers to its notes.
func (b *bankGroup) tell() {
	b.told = b.told[:0]
	for i, no := range b.result.Touched {
		if !slices.Contains(b.result.Touched[:i], no) {
			b.told = b.front.Words(no, b.told)
		}
	}
	for i := range b.heard {
		b.told = b.front.Answer(&b.heard[i], b.told)
	}
	b.heard = b.heard[:0]
	b.sendWords()
}

func (b *bankGroup) sendWords() {
	for i := range b.told {
		to := &b.told[i]
		if !b.said(i) {
			b.sim.send(parcel{to: to.Slice, term: b.term, word: to.Word})
		}
	}
}

// said reports whether word i is among those before it: answers and what follows
// from an entry overlap.
func (b *bankGroup) said(i int) bool {
	w := &b.told[i]
	for k := range b.told[:i] {
		o := &b.told[k]
		if o.Slice == w.Slice && o.Word.Kind == w.Word.Kind && o.Word.Prize == w.Word.Prize && o.Word.Purse == w.Word.Purse &&
			o.Word.Version == w.Word.Version && o.Word.N == w.Word.N {
			return true
		}
	}
	return false
}

// tick says again what slices have not confirmed.
func (b *bankGroup) tick() {
	if b.flying {
		return
	}
	b.told = b.told[:0]
	for _, no := range b.front.Busy() {
		b.told = b.front.Words(no, b.told)
	}
	b.sendWords()
}
