package ledger

const (
	segmentBits = 12
	minTable    = 8
)

// index finds slots by hash. The hash's top bits choose one of 4096 tables, so
// that growing touches a small part of the index at a time: with ten million
// entries a table holds about 2400.
//
// An index knows the hashes of its entries only through hash, which reads the
// items themselves: an item must stay as it is while the index names it.
type index struct {
	tables [1 << segmentBits]*table
	hash   func(slot uint32) uint64
}

// table is an open-addressing hash table with linear probing. Its length is a
// power of two. tags[i] is 0 where nothing is stored, else a byte of the
// entry's hash; slots[i] is the entry.
type table struct {
	tags  []uint8
	slots []uint32
	n     int
}

func newIndex(hash func(slot uint32) uint64) *index { return &index{hash: hash} }

func newTable(size int) *table {
	return &table{tags: make([]uint8, size), slots: make([]uint32, size)}
}

// tagOf takes a byte that neither the choice of a table (top bits) nor the home
// position (low bits) uses.
func tagOf(h uint64) uint8 { return max(1, uint8(h>>(64-segmentBits-8))) }

// full reports whether a table of this size must grow before it holds n
// entries. At 13/16 probes are short still, since tags lie 64 to a cache line.
func full(n, size int) bool { return n*16 > size*13 }

// find returns the entry with hash h for which same is true.
func (x *index) find(h uint64, same func(slot uint32) bool) (slot uint32, ok bool) {
	t := x.tables[h>>(64-segmentBits)]
	if t == nil {
		return 0, false
	}
	tag, mask := tagOf(h), uint64(len(t.tags)-1)
	for i := h & mask; t.tags[i] != 0; i = (i + 1) & mask {
		if t.tags[i] == tag && same(t.slots[i]) {
			return t.slots[i], true
		}
	}
	return 0, false
}

// insert adds slot, whose hash is h and which the index doesn't hold yet.
func (x *index) insert(h uint64, slot uint32) {
	p := &x.tables[h>>(64-segmentBits)]
	switch t := *p; {
	case t == nil:
		*p = newTable(minTable)
	case full(t.n+1, len(t.tags)):
		*p = x.resized(t, 2*len(t.tags))
	}
	(*p).put(h, slot)
}

// remove takes out slot, whose hash is h and which the index holds.
func (x *index) remove(h uint64, slot uint32) {
	p := &x.tables[h>>(64-segmentBits)]
	t := *p
	mask := uint64(len(t.tags) - 1)
	i := h & mask
	for t.tags[i] == 0 || t.slots[i] != slot {
		i = (i + 1) & mask
	}
	x.closeGap(t, i)
	t.n--
	switch {
	case t.n == 0:
		*p = nil
	case len(t.tags) > minTable && t.n*8 < len(t.tags):
		*p = x.resized(t, len(t.tags)/2)
	}
}

// closeGap empties position i and moves later entries back, so that a probe
// never meets a gap before its entry and no tombstones pile up.
func (x *index) closeGap(t *table, i uint64) {
	mask := uint64(len(t.tags) - 1)
	for j := (i + 1) & mask; t.tags[j] != 0; j = (j + 1) & mask {
		// The entry at j may move to i unless its home lies behind i.
		home := x.hash(t.slots[j]) & mask
		if (j-home)&mask >= (j-i)&mask {
			t.tags[i], t.slots[i] = t.tags[j], t.slots[j]
			i = j
		}
	}
	t.tags[i] = 0
}

func (x *index) resized(t *table, size int) *table {
	next := newTable(size)
	for i, tag := range t.tags {
		if tag != 0 {
			next.put(x.hash(t.slots[i]), t.slots[i])
		}
	}
	return next
}

// put stores an entry in a table that has room for it.
func (t *table) put(h uint64, slot uint32) {
	mask := uint64(len(t.tags) - 1)
	i := h & mask
	for t.tags[i] != 0 {
		i = (i + 1) & mask
	}
	t.tags[i], t.slots[i] = tagOf(h), slot
	t.n++
}

// reserve makes an empty index ready for n entries, which spares a load the
// steps of growing. Few entries are left to grow by themselves.
func (x *index) reserve(n int) {
	each := n >> segmentBits
	size := minTable
	for full(each, size) {
		size *= 2
	}
	if size == minTable {
		return
	}
	for i := range x.tables {
		x.tables[i] = newTable(size)
	}
}
