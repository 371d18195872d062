package ledger

import (
	"iter"
	"math"
	"math/bits"
)

const (
	chunkBits = 9 // 512 items: a copy on write takes microseconds
	dirBits   = 8 // 256 chunks
	chunkLen  = 1 << chunkBits
	dirLen    = 1 << dirBits
	dirShift  = chunkBits + dirBits

	// maxSlot is the highest slot: slot+1 must fit a uint32, since 0 means "none".
	maxSlot = math.MaxUint32 - 1
)

type chunk[T any] [chunkLen]T

// dir is the part of an arena that frozen views share: pointers to chunks, nil
// where no slot is in use.
type dir[T any] [dirLen]*chunk[T]

// usage is the part of an arena that is never shared: which slots of a dir are
// in use, and when the dir and its chunks were made.
type usage struct {
	born   uint64 // of the dir
	live   int
	births [dirLen]uint64
	lives  [dirLen]uint16
	used   [dirLen][chunkLen / 64]uint64
}

// arena stores items in slots. A slot keeps its item until free is called; a new
// item gets the lowest free slot. Chunks without items use no memory.
type arena[T any] struct {
	views *views
	dirs  []*dir[T] // nil where no slot is in use
	usage []*usage
	n     int
	low   uint64 // no slot below is free
}

func newArena[T any](v *views) arena[T] { return arena[T]{views: v} }

// at returns the item in slot i, which is in use, for reading only.
func (a *arena[T]) at(i uint32) *T {
	return &a.dirs[i>>dirShift][i>>chunkBits%dirLen][i%chunkLen]
}

// mut returns the item in slot i, which is in use, for writing. The pointer is
// good until the next freeze.
func (a *arena[T]) mut(i uint32) *T {
	u, d, c := a.own(i)
	if a.views.shared(u.births[c]) {
		fresh := *d[c]
		d[c] = &fresh
		u.births[c] = a.views.now
	}
	return &d[c][i%chunkLen]
}

// own returns the dir of slot i, copied before if a view shares it.
func (a *arena[T]) own(i uint32) (*usage, *dir[T], uint32) {
	n := i >> dirShift
	u := a.usage[n]
	if a.views.shared(u.born) {
		fresh := *a.dirs[n]
		a.dirs[n] = &fresh
		u.born = a.views.now
	}
	return u, a.dirs[n], i >> chunkBits % dirLen
}

// has reports whether slot i is in use.
func (a *arena[T]) has(i uint32) bool {
	n := int(i >> dirShift)
	if n >= len(a.usage) || a.usage[n] == nil {
		return false
	}
	word := a.usage[n].used[i>>chunkBits%dirLen][i%chunkLen/64]
	return word>>(i%64)&1 == 1
}

// alloc takes the lowest free slot and returns it with its item, which is zero.
// The caller has checked that n <= maxSlot.
func (a *arena[T]) alloc() (uint32, *T) {
	i := a.lowest()
	a.low = uint64(i) + 1
	return i, a.place(i)
}

func (a *arena[T]) lowest() uint32 {
	c := int(a.low >> chunkBits % dirLen)
	for n := int(a.low >> dirShift); n < len(a.usage); n, c = n+1, 0 {
		u := a.usage[n]
		if u == nil {
			return uint32(n) << dirShift
		}
		if u.live == dirLen*chunkLen {
			continue
		}
		for ; c < dirLen; c++ {
			if u.lives[c] == chunkLen {
				continue
			}
			for w, word := range u.used[c] {
				if word != math.MaxUint64 {
					bit := bits.TrailingZeros64(^word)
					return uint32(n<<dirShift | c<<chunkBits | w<<6 | bit)
				}
			}
		}
	}
	return uint32(len(a.usage)) << dirShift
}

// place takes slot i, which must be free, and returns its item, which is zero.
func (a *arena[T]) place(i uint32) *T {
	n := int(i >> dirShift)
	for n >= len(a.dirs) {
		a.dirs, a.usage = append(a.dirs, nil), append(a.usage, nil)
	}
	if a.dirs[n] == nil {
		a.dirs[n], a.usage[n] = new(dir[T]), &usage{born: a.views.now}
	}
	u, d, c := a.own(i)
	if d[c] == nil {
		d[c], u.births[c] = new(chunk[T]), a.views.now
	}
	u.used[c][i%chunkLen/64] |= 1 << (i % 64)
	u.lives[c]++
	u.live++
	a.n++
	return a.mut(i)
}

// free empties slot i, which is in use.
func (a *arena[T]) free(i uint32) {
	u, d, c := a.own(i)
	u.used[c][i%chunkLen/64] &^= 1 << (i % 64)
	u.lives[c]--
	u.live--
	a.n--
	a.low = min(a.low, uint64(i))
	switch {
	case u.live == 0:
		a.dirs[i>>dirShift], a.usage[i>>dirShift] = nil, nil
	case u.lives[c] == 0:
		d[c] = nil
	default:
		var zero T
		*a.mut(i) = zero
	}
}

// freeze returns the arena's items as they are now.
func (a *arena[T]) freeze() image[T] {
	return append(image[T](nil), a.dirs...)
}

// all yields the arena's items in the order of their slots, with zero items
// where slots are free. The arena must not change meanwhile.
func (a *arena[T]) all() iter.Seq2[uint32, *T] { return image[T](a.dirs).all() }

// image is an arena as it was when it was frozen.
type image[T any] []*dir[T]

func (m image[T]) all() iter.Seq2[uint32, *T] {
	return func(yield func(uint32, *T) bool) {
		for n, d := range m {
			if d == nil {
				continue
			}
			for c, items := range d {
				if items == nil {
					continue
				}
				for k := range items {
					if !yield(uint32(n<<dirShift|c<<chunkBits|k), &items[k]) {
						return
					}
				}
			}
		}
	}
}
