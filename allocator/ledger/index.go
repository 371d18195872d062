package ledger

import "runtime"

const (
	segmentBits = 12
	groupLen    = 12
)

// index finds slots by hash. The hash's top bits choose one of 4096 tables, so
// that growing touches a small part of the index at a time: with ten million
// entries a table holds about 2400.
//
// An index knows the hashes of its entries only through hash, which reads the
// items themselves: an item must stay as it is while the index names it.
type index struct {
	tables [1 << segmentBits]table
	hash   func(slot uint32) uint64
}

// table is an open-addressing hash table of groups; their number is 0 or a power
// of two. An entry lies in the group that its hash's low bits choose, its home,
// or where that is full in the next group with room. So a search ends at the
// first group that is not full.
type table struct {
	groups []group
	n      int
}

// group fills one cache line, so that most searches wait for memory once. The
// first n places are in use: a slot, and a byte of its hash, by which all but
// one in 256 other entries are told apart without looking at the item.
type group struct {
	tags  [groupLen]uint8
	n     uint8
	slots [groupLen]uint32
}

func newIndex(hash func(slot uint32) uint64) *index { return &index{hash: hash} }

// tagOf takes a byte that neither the choice of a table (top bits) nor that of a
// group (low bits) uses.
func tagOf(h uint64) uint8 { return uint8(h >> (64 - segmentBits - 8)) }

// crowdedBy reports whether n entries are too many for a number of groups: more
// than 7/8. Beyond that searches become long; and one group at least must have
// room for them to end.
func crowdedBy(n, groups int) bool { return n*8 > groups*groupLen*7 }

func (x *index) table(h uint64) *table { return &x.tables[h>>(64-segmentBits)] }

// find returns the entry with hash h for which same is true.
func (x *index) find(h uint64, same func(slot uint32) bool) (slot uint32, ok bool) {
	t := x.table(h)
	if t.n == 0 {
		return 0, false
	}
	tag, mask := tagOf(h), uint64(len(t.groups)-1)
	for i := h & mask; ; i = (i + 1) & mask {
		g := &t.groups[i]
		for k := range g.n {
			if g.tags[k] == tag && same(g.slots[k]) {
				return g.slots[k], true
			}
		}
		if g.n < groupLen {
			return 0, false
		}
	}
}

// insert adds slot, whose hash is h and which the index doesn't hold yet.
func (x *index) insert(h uint64, slot uint32) {
	t := x.table(h)
	if crowdedBy(t.n+1, len(t.groups)) {
		x.resize(t, max(1, 2*len(t.groups)))
	}
	t.put(h, slot)
}

// remove takes out slot, whose hash is h and which the index holds.
func (x *index) remove(h uint64, slot uint32) {
	t := x.table(h)
	mask := uint64(len(t.groups) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		if k, ok := t.groups[i].position(slot); ok {
			x.takeOut(t, i, k)
			break
		}
	}
	t.n--
	switch {
	case t.n == 0:
		*t = table{}
	case len(t.groups) > 1 && t.n*8 < len(t.groups)*groupLen:
		x.resize(t, len(t.groups)/2)
	}
}

// takeOut removes place k of group i. Where the group was full, entries may lie
// behind it that are found only while it is full; one of them takes the place, and
// what it leaves behind is treated alike. So there are no tombstones.
func (x *index) takeOut(t *table, i uint64, k uint8) {
	for {
		wasFull := t.groups[i].n == groupLen
		t.groups[i].drop(k)
		if !wasFull {
			return
		}
		next, place, ok := x.follower(t, i)
		if !ok {
			return
		}
		t.groups[i].add(t.groups[next].tags[place], t.groups[next].slots[place])
		i, k = next, place
	}
}

// follower returns the first entry behind group i whose search passes through i.
func (x *index) follower(t *table, i uint64) (group uint64, place uint8, ok bool) {
	mask := uint64(len(t.groups) - 1)
	for j := (i + 1) & mask; j != i; j = (j + 1) & mask {
		g := &t.groups[j]
		for k := range g.n {
			home := x.hash(g.slots[k]) & mask
			if (j-home)&mask >= (j-i)&mask {
				return j, k, true
			}
		}
		if g.n < groupLen {
			break
		}
	}
	return 0, 0, false
}

func (x *index) resize(t *table, groups int) {
	next := table{groups: make([]group, groups)}
	var hashes [groupLen]uint64
	for i := range t.groups {
		g := &t.groups[i]
		// In a loop of their own, the reads of the items don't wait for each other.
		for k := range g.n {
			hashes[k] = x.hash(g.slots[k])
		}
		for k := range g.n {
			next.put(hashes[k], g.slots[k])
		}
	}
	*t = next
}

// reserve makes an empty index ready for n entries, which spares a load the
// steps of growing. Few entries are left to grow by themselves.
func (x *index) reserve(n int) {
	each := n >> segmentBits
	groups := 1
	for crowdedBy(each, groups) {
		groups *= 2
	}
	if groups == 1 {
		return
	}
	for i := range x.tables {
		x.tables[i].groups = make([]group, groups)
	}
}

// touch brings the group that a search for h begins with into the cache.
func (x *index) touch(h uint64) uint8 {
	t := x.table(h)
	if len(t.groups) == 0 {
		return 0
	}
	return t.groups[h&uint64(len(t.groups)-1)].n
}

// few is how many entries insertAll takes at most.
const few = 64

// insertAll inserts a few entries, unless one is the same as an entry that is
// there: then it stops and returns it. It first touches all the groups that it
// will need. No touch waits for another, so the memory's latency is paid about
// once for all of them; a load takes half as long for it.
func (x *index) insertAll(slots []uint32, same func(a, b uint32) bool) (twice uint32, found bool) {
	var hashes [few]uint64
	touched := uint8(0)
	for i, slot := range slots {
		hashes[i] = x.hash(slot)
		touched += x.touch(hashes[i])
	}
	runtime.KeepAlive(touched) // or the compiler would leave the reads out
	for i, slot := range slots {
		if _, found := x.find(hashes[i], func(other uint32) bool { return same(other, slot) }); found {
			return slot, true
		}
		x.insert(hashes[i], slot)
	}
	return 0, false
}

// put stores an entry in a table that has room for it.
func (t *table) put(h uint64, slot uint32) {
	mask := uint64(len(t.groups) - 1)
	i := h & mask
	for t.groups[i].n == groupLen {
		i = (i + 1) & mask
	}
	t.groups[i].add(tagOf(h), slot)
	t.n++
}

func (g *group) position(slot uint32) (k uint8, ok bool) {
	for k := range g.n {
		if g.slots[k] == slot {
			return k, true
		}
	}
	return 0, false
}

func (g *group) add(tag uint8, slot uint32) {
	g.tags[g.n], g.slots[g.n] = tag, slot
	g.n++
}

// drop removes place k; the last entry moves there.
func (g *group) drop(k uint8) {
	g.n--
	g.tags[k], g.slots[k] = g.tags[g.n], g.slots[g.n]
}
