package ledger

import (
	"fmt"
	"io"
	"iter"
)

// Decode reads what Frozen.Encode wrote, and not a byte beyond it, and returns a
// ledger that behaves exactly as the frozen one. The snapshot may be anything:
// what breaks an invariant of the ledger is refused with an error that
// wraps ErrCorrupt or ErrVersion, or the reader's own.
func Decode(r io.Reader) (*Ledger, error) {
	in, err := newFrameReader(r)
	if err != nil {
		return nil, err
	}
	d := decoder{in: in, l: New()}
	for _, step := range []func() error{
		d.readHead, d.readUsers, d.readGrants, d.readEnd,
		d.indexUsers, d.indexGrants, d.indexRequests, d.checkPrizes, d.checkChains,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return d.l, nil
}

// decoder fills a ledger from a snapshot: first the items as they come, then
// what follows from them, checking how they hang together.
type decoder struct {
	in      *frameReader
	l       *Ledger
	nUsers  uint64
	nGrants uint64

	requests int // grants that have one

	section byte // of the frame that was read last
	body    cursor
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
}

func (d *decoder) read() error {
	section, body, err := d.in.next()
	d.section, d.body = section, cursor{b: body}
	return err
}

func (d *decoder) readHead() error {
	if err := d.read(); err != nil {
		return err
	}
	d.l.last, d.nUsers, d.nGrants = d.body.uint(), d.body.uint(), d.body.uint()
	if d.section != sectionHead || d.body.bad || len(d.body.b) > 0 {
		return corrupt("head")
	}
	if d.l.last > MaxSeq {
		return corrupt("last event %d", d.l.last)
	}
	return d.read()
}

func (d *decoder) readUsers() error {
	var s userCoder
	return d.items(sectionUsers, "user", func() bool {
		slot, u, ok := s.take(&d.body)
		if ok {
			*d.l.users.place(slot) = u
		}
		return ok
	})
}

func (d *decoder) readGrants() error {
	var s grantCoder
	return d.items(sectionGrants, "grant", func() bool {
		slot, g, ok := s.take(&d.body)
		if !ok || g.seq == 0 || g.seq > d.l.last || !d.l.users.has(g.user) {
			return false
		}
		if !g.req.IsZero() {
			d.requests++
		}
		*d.l.grants.place(slot) = g
		return true
	})
}

// items takes items from one or more frames of a section; the first frame has
// been read, and so has, in the end, the first one of the section behind it.
func (d *decoder) items(section byte, what string, take func() bool) error {
	if d.section != section {
		return corrupt("section %d in place of %d", d.section, section)
	}
	n := 0
	for d.section == section {
		for ; len(d.body.b) > 0; n++ {
			if !take() {
				return corrupt("%s number %d", what, n)
			}
		}
		if err := d.read(); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) readEnd() error {
	if d.section != sectionEnd || len(d.body.b) > 0 {
		return corrupt("section %d in place of the end", d.section)
	}
	if users, grants := d.l.users.n, d.l.grants.n; uint64(users) != d.nUsers || uint64(grants) != d.nGrants {
		return corrupt("%d users and %d grants where there should be %d and %d", users, grants, d.nUsers, d.nGrants)
	}
	return nil
}

func (d *decoder) indexUsers() error {
	l := d.l
	return load(l.byUser, l.users.n, "user",
		func(yield func(uint32) bool) {
			for slot, u := range l.users.all() {
				if u.newest != 0 && !yield(slot) {
					return
				}
			}
		},
		func(a, b uint32) bool {
			x, y := l.users.at(a), l.users.at(b)
			return x.hash == y.hash && x.prize == y.prize
		})
}

func (d *decoder) indexGrants() error {
	l := d.l
	return load(l.bySeq, l.grants.n, "grant",
		func(yield func(uint32) bool) {
			for slot, g := range l.grants.all() {
				if g.seq != 0 && !yield(slot) {
					return
				}
			}
		},
		func(a, b uint32) bool { return l.grants.at(a).seq == l.grants.at(b).seq })
}

func (d *decoder) indexRequests() error {
	l := d.l
	return load(l.byRequest, d.requests, "request",
		func(yield func(uint32) bool) {
			for slot, g := range l.grants.all() {
				if !g.req.IsZero() && !yield(slot) {
					return
				}
			}
		},
		func(a, b uint32) bool { return l.grants.at(a).req == l.grants.at(b).req })
}

// load puts n slots into an empty index, unless two have the same item.
func load(x *index, n int, what string, slots iter.Seq[uint32], same func(a, b uint32) bool) error {
	x.reserve(n)
	var some [few]uint32
	k := 0
	flush := func() error {
		slot, twice := x.insertAll(some[:k], same)
		if twice {
			return corrupt("%s in slot %d is there twice", what, slot)
		}
		k = 0
		return nil
	}
	for slot := range slots {
		some[k] = slot
		if k++; k < len(some) {
			continue
		}
		if err := flush(); err != nil {
			return err
		}
	}
	return flush()
}

// checkPrizes finds each prize's newest user and checks that the users of a
// prize are one list. No other step has used the users' counts yet, so they
// mark who is the older one of another.
func (d *decoder) checkPrizes() error {
	l := d.l
	for slot, u := range l.users.all() {
		if u.newest == 0 || u.older == 0 {
			continue
		}
		if !l.users.has(u.older - 1) {
			return corrupt("user in slot %d: list of users", slot)
		}
		older := l.users.mut(u.older - 1)
		if older.prize != u.prize || older.count != 0 {
			return corrupt("user in slot %d: list of users", slot)
		}
		older.count = 1
	}
	listed := 0
	for slot, u := range l.users.all() {
		if u.newest == 0 || u.count != 0 {
			continue
		}
		if l.newest[u.prize] != 0 {
			return corrupt("users of prize %d are two lists", u.prize)
		}
		l.newest[u.prize] = slot + 1
		// Nobody is on two lists or twice on one, so this comes to an end.
		for next := slot + 1; next != 0; next = l.users.at(next - 1).older {
			listed++
		}
	}
	if listed != l.users.n {
		return corrupt("%d users are on no list", l.users.n-listed)
	}
	return nil
}

// checkChains checks that each user's grants are one list, newest first, and
// counts them.
func (d *decoder) checkChains() error {
	l := d.l
	chained := 0
	for slot, u := range l.users.all() {
		if u.newest == 0 {
			continue
		}
		count, below := uint32(0), uint64(MaxSeq+1)
		for next := u.newest; next != 0; {
			if !l.grants.has(next - 1) {
				return corrupt("user in slot %d: list of grants", slot)
			}
			g := l.grants.at(next - 1)
			if g.user != slot || g.seq >= below {
				return corrupt("user in slot %d: list of grants", slot)
			}
			if g.counts() {
				count++
			}
			chained++
			below, next = g.seq, g.older
		}
		l.users.mut(slot).count = count
	}
	if chained != l.grants.n {
		return corrupt("%d grants are on no list", l.grants.n-chained)
	}
	return nil
}
