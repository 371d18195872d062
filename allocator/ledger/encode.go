package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrReleased means that the view was released before it was encoded.
var ErrReleased = errors.New("ledger: view was released")

// Encode writes the view as a snapshot for Decode, in pieces of up to 64 KB. Equal
// ledgers give equal bytes. It takes about 43 bytes for a grant of a new user,
// 32 of which are the ids.
func (f *Frozen) Encode(w io.Writer) error {
	if f.released.Load() {
		return ErrReleased
	}
	if err := f.encode(w); err != nil {
		return fmt.Errorf("ledger: write snapshot: %w", err)
	}
	return nil
}

func (f *Frozen) encode(w io.Writer) error {
	out, err := newFrameWriter(w)
	if err != nil {
		return err
	}
	out.begin(sectionHead)
	out.buf = binary.AppendUvarint(out.buf, f.last)
	out.buf = binary.AppendUvarint(out.buf, uint64(f.nUsers))
	out.buf = binary.AppendUvarint(out.buf, uint64(f.nGrants))
	if err := out.end(); err != nil {
		return err
	}

	out.begin(sectionUsers)
	var us userCoder
	for slot, u := range f.users.all() {
		if u.newest == 0 {
			continue
		}
		out.buf = us.append(out.buf, slot, u)
		if err := out.split(); err != nil {
			return err
		}
	}
	if err := out.end(); err != nil {
		return err
	}

	out.begin(sectionGrants)
	var gs grantCoder
	for slot, g := range f.grants.all() {
		if g.seq == 0 {
			continue
		}
		out.buf = gs.append(out.buf, slot, g)
		if err := out.split(); err != nil {
			return err
		}
	}
	if err := out.end(); err != nil {
		return err
	}

	out.begin(sectionEnd)
	return out.end()
}

// The coders write each number as its difference from what it is most of the
// time, given the item before. Differences may wrap; taking them back wraps the
// same way. A user's count is not written: it follows from its grants.

// place is the position of an item: how many free slots lie before it.
type place struct{ next uint64 }

func (p *place) append(b []byte, slot uint32) []byte {
	b = binary.AppendUvarint(b, uint64(slot)-p.next)
	p.next = uint64(slot) + 1
	return b
}

func (p *place) take(c *cursor) (slot uint32, ok bool) {
	gap := c.uint()
	if c.bad || p.next > maxSlot || gap > maxSlot-p.next {
		return 0, false
	}
	slot = uint32(p.next + gap)
	p.next = uint64(slot) + 1
	return slot, true
}

// fits32 reports whether v is the number of a slot plus one, or 0 for none.
func fits32(v int64) bool { return v >= 0 && v <= maxSlot+1 }

type userCoder struct {
	place
	prize  int64
	newest int64
}

func (s *userCoder) append(b []byte, slot uint32, u *user) []byte {
	b = s.place.append(b, slot)
	b = appendHash(b, u.hash)
	b = binary.AppendVarint(b, int64(u.prize)-s.prize)
	b = binary.AppendVarint(b, int64(u.newest)-s.newest-1)
	b = binary.AppendVarint(b, int64(u.older)-int64(slot))
	s.prize, s.newest = int64(u.prize), int64(u.newest)
	return b
}

// take reads one user; ok is false where it can't be one.
func (s *userCoder) take(c *cursor) (slot uint32, u user, ok bool) {
	slot, ok = s.place.take(c)
	u.hash = c.hash()
	s.prize += c.int()
	s.newest += c.int() + 1
	older := c.int() + int64(slot)
	if !ok || c.bad || !fits32(s.prize) || !fits32(s.newest) || s.newest == 0 || !fits32(older) {
		return 0, user{}, false
	}
	u.prize, u.newest, u.older = uint32(s.prize), uint32(s.newest), uint32(older)
	return slot, u, true
}

// hasRequest marks, beside the bits of the state, a grant with a request hash.
const hasRequest = 1 << 7

type grantCoder struct {
	place
	seq  uint64
	at   int64
	user int64
	day  int64
}

func (s *grantCoder) append(b []byte, slot uint32, g *grant) []byte {
	b = s.place.append(b, slot)
	if g.req.IsZero() {
		b = append(b, g.state)
	} else {
		b = appendHash(append(b, g.state|hasRequest), g.req)
	}
	b = binary.AppendVarint(b, int64(g.seq-s.seq-1))
	b = binary.AppendVarint(b, g.at-s.at)
	b = binary.AppendVarint(b, int64(g.user)-s.user-1)
	b = binary.AppendVarint(b, int64(g.day)-s.day)
	// No grant is older than itself, so a distance of 0 can stand for none.
	distance := int64(0)
	if g.older != 0 {
		distance = int64(slot) + 1 - int64(g.older)
	}
	b = binary.AppendVarint(b, distance)
	s.seq, s.at, s.user, s.day = g.seq, g.at, int64(g.user), int64(g.day)
	return b
}

// take reads one grant; ok is false where it can't be one.
func (s *grantCoder) take(c *cursor) (slot uint32, g grant, ok bool) {
	slot, ok = s.place.take(c)
	flags := c.byte()
	if flags&hasRequest != 0 {
		g.req = c.hash()
		ok = ok && !g.req.IsZero()
	}
	g.state = flags &^ hasRequest
	s.seq += uint64(c.int()) + 1
	s.at += c.int()
	s.user += c.int() + 1
	s.day += c.int()
	if distance := c.int(); distance != 0 {
		older := int64(slot) + 1 - distance
		ok = ok && fits32(older) && older != 0
		g.older = uint32(older)
	}
	restockedOnly := g.state == stateRestocked
	if !ok || c.bad || g.state > stateVoided|stateRestocked || restockedOnly ||
		!fits32(s.user) || int64(int32(s.day)) != s.day {
		return 0, grant{}, false
	}
	g.seq, g.at, g.user, g.day = s.seq, s.at, uint32(s.user), int32(s.day)
	return slot, g, true
}
