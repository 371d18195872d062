package ledger

import "sync/atomic"

// views knows which frozen views are open. Time is counted in epochs, from 1;
// each freeze ends one. What was born in an epoch up to a view's own may be
// shared with that view and must be copied before it is changed.
type views struct {
	now   uint64
	guard uint64 // no open view has a later epoch; 0 where none is open
	open  []*Frozen
}

func newViews() *views { return &views{now: 1} }

// shared reports whether what was born in this epoch may belong to an open view.
func (v *views) shared(born uint64) bool {
	return born <= v.guard && born <= v.refresh()
}

// refresh drops released views and returns the latest epoch of those left.
func (v *views) refresh() uint64 {
	left := v.open[:0]
	v.guard = 0
	for _, f := range v.open {
		if !f.released.Load() {
			left = append(left, f)
			v.guard = f.epoch // views are in the order of their epochs
		}
	}
	clear(v.open[len(left):])
	v.open = left
	return v.guard
}

func (v *views) add(f *Frozen) {
	v.refresh()
	f.epoch, v.guard = v.now, v.now
	v.open = append(v.open, f)
	v.now++
}

// Frozen is a Ledger as it was when Freeze was called. Its methods may run at
// the same time as any method of the Ledger, but not as each other.
type Frozen struct {
	epoch    uint64
	released atomic.Bool
	last     uint64
	nGrants  int
	nUsers   int
	grants   image[grant]
	users    image[user]
}

// Freeze returns a view of the ledger as it is now, in microseconds whatever its
// size. Until the view is released, the ledger copies each chunk of 512 items
// before it first changes it; at worst that doubles the items' memory. Several
// views may be open at once.
func (l *Ledger) Freeze() *Frozen {
	f := &Frozen{
		last:    l.last,
		nGrants: l.grants.n,
		nUsers:  l.users.n,
		grants:  l.grants.freeze(),
		users:   l.users.freeze(),
	}
	l.views.add(f)
	return f
}

// Release ends the view, so that the ledger need not copy for it. It may be
// called more than once. A view that is never released keeps its memory for
// as long as the ledger lives.
func (f *Frozen) Release() {
	f.grants, f.users = nil, nil
	f.released.Store(true)
}
