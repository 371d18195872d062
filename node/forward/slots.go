package forward

import "tombola/node/draws"

// slots holds the draws that may have been written and have no answer yet. An
// id names a slot and one use of it, so that an answer that comes too late
// finds nothing. Its owner's lock guards it.
type slots struct {
	stride  uint64 // a power of two, at least the number of slots
	entries []slot
	free    []uint32
}

type slot struct {
	id       uint64      // of the current or last use: index + uses * stride
	deadline int64       // of the draw, beside it so that a sweep reads no draws
	draw     *draws.Draw // nil while free or reserved
}

// newSlots makes room for window draws; slots are made as they are needed.
func newSlots(window int) slots {
	stride := uint64(1)
	for stride < uint64(window) {
		stride *= 2
	}
	return slots{stride: stride}
}

// used returns how many slots are taken or reserved.
func (s *slots) used() int { return len(s.entries) - len(s.free) }

// reserve takes a slot for a draw that is about to be written.
func (s *slots) reserve() uint64 {
	var index uint32
	if n := len(s.free); n > 0 {
		index, s.free = s.free[n-1], s.free[:n-1]
	} else {
		index = uint32(len(s.entries))
		s.entries = append(s.entries, slot{id: uint64(index)})
	}
	e := &s.entries[index]
	e.id += s.stride
	return e.id
}

// put fills a reserved slot.
func (s *slots) put(id uint64, d *draws.Draw) {
	e := &s.entries[id&(s.stride-1)]
	e.draw, e.deadline = d, d.Deadline
}

// release gives a reserved slot back unused.
func (s *slots) release(id uint64) { s.free = append(s.free, uint32(id&(s.stride-1))) }

// take empties the slot of id and returns its draw, nil when id is not in
// flight (any more).
func (s *slots) take(id uint64) *draws.Draw {
	index := id & (s.stride - 1)
	if index >= uint64(len(s.entries)) {
		return nil
	}
	e := &s.entries[index]
	d := e.draw
	if e.id != id || d == nil {
		return nil
	}
	e.draw = nil
	s.free = append(s.free, uint32(index))
	return d
}

// expired empties the slots of draws whose deadline is before now and appends
// those draws to into.
func (s *slots) expired(now int64, into []*draws.Draw) []*draws.Draw {
	for i := range s.entries {
		if e := &s.entries[i]; e.draw != nil && e.deadline < now {
			into = append(into, s.take(e.id))
		}
	}
	return into
}

// all empties every slot and appends the draws to into.
func (s *slots) all(into []*draws.Draw) []*draws.Draw {
	for i := range s.entries {
		if e := &s.entries[i]; e.draw != nil {
			into = append(into, s.take(e.id))
		}
	}
	return into
}
