package ledger

import (
	"fmt"
	"runtime"
)

// Append adds a grant. Its Seq must be Last()+1 and its Request, if any, must
// not belong to a retained grant. Errors: ErrSequence, ErrRequestUsed, ErrFull.
func (l *Ledger) Append(e Entry) error {
	if err := l.follows(e.Seq); err != nil {
		return err
	}
	l.touch(&e)
	if old, ok := l.findRequest(e.Request); ok {
		return fmt.Errorf("%w: event %d, by grant %d", ErrRequestUsed, e.Seq, l.grants.at(old).seq)
	}
	// There are never more users than grants, so this covers both arenas.
	if l.grants.n > maxSlot {
		return fmt.Errorf("%w: event %d", ErrFull, e.Seq)
	}

	owner, ok := l.findUser(e.Prize, e.User)
	if !ok {
		owner = l.addUser(e.Prize, e.User)
	}
	slot, g := l.grants.alloc()
	u := l.users.mut(owner)
	*g = grant{req: e.Request, at: e.At, seq: e.Seq, user: owner, older: u.newest, day: e.Day}
	u.newest = slot + 1
	u.count++

	l.bySeq.insert(hashOfSeq(e.Seq), slot)
	if !e.Request.IsZero() {
		l.byRequest.insert(hashOfRequest(e.Request), slot)
	}
	l.last = e.Seq
	return nil
}

// touch reads a little of each index where e belongs. Done one after the
// other, the searches would wait for the memory three times; these reads wait
// for it together. That takes a third off an append.
func (l *Ledger) touch(e *Entry) {
	touched := l.byRequest.touch(hashOfRequest(e.Request)) +
		l.byUser.touch(hashOfUser(e.Prize, e.User)) +
		l.bySeq.touch(hashOfSeq(e.Seq))
	runtime.KeepAlive(touched) // or the compiler would leave the reads out
}

func (l *Ledger) addUser(prize uint32, id Hash) uint32 {
	slot, u := l.users.alloc()
	*u = user{hash: id, prize: prize, older: l.newest[prize]}
	l.newest[prize] = slot + 1
	l.byUser.insert(hashOfUser(prize, id), slot)
	return slot
}

// AppendVoid adds the event that voids the grant with sequence grantSeq; seq
// must be Last()+1. With restock the user's count is given back. The void's time
// is not kept. Errors: ErrSequence, ErrNoGrant, ErrVoided.
func (l *Ledger) AppendVoid(seq, grantSeq uint64, restock bool) error {
	if err := l.follows(seq); err != nil {
		return err
	}
	slot, ok := l.findSeq(grantSeq)
	if !ok {
		return fmt.Errorf("%w: event %d voids grant %d", ErrNoGrant, seq, grantSeq)
	}
	if l.grants.at(slot).state&stateVoided != 0 {
		return fmt.Errorf("%w: event %d voids grant %d", ErrVoided, seq, grantSeq)
	}
	g := l.grants.mut(slot)
	g.state |= stateVoided
	if restock {
		g.state |= stateRestocked
		l.users.mut(g.user).count--
	}
	l.last = seq
	return nil
}

func (l *Ledger) follows(seq uint64) error {
	if seq != l.last+1 || seq > MaxSeq {
		return fmt.Errorf("%w: %d after %d", ErrSequence, seq, l.last)
	}
	return nil
}

// Forget removes at most budget grants of prize, with their request ids, and
// every user of it that has no grant left. It reports whether nothing of the
// prize is left; until then it goes on where it stopped when it is called again.
// Newest users go first, and of a user the newest grants. In between the ledger
// answers for what is left, so a prize should be closed before it is forgotten.
// The work depends on budget alone, not on what else the ledger holds: a few
// microseconds a grant.
func (l *Ledger) Forget(prize uint32, budget int) (done bool) {
	for {
		head := l.newest[prize]
		if head == 0 {
			return true
		}
		if budget <= 0 {
			return false
		}
		budget--
		l.forgetOne(head - 1)
	}
}

// forgetOne removes the newest grant of a user, which is its prize's newest, and
// the user with its last grant.
func (l *Ledger) forgetOne(owner uint32) {
	u := l.users.at(owner)
	slot := u.newest - 1
	g := l.grants.at(slot)
	if g.older != 0 {
		u = l.users.mut(owner)
		u.newest = g.older
		if g.counts() {
			u.count--
		}
	} else {
		l.forgetUser(owner)
	}
	// The indexes read what they hold: they come before the arena.
	l.bySeq.remove(hashOfSeq(g.seq), slot)
	if !g.req.IsZero() {
		l.byRequest.remove(hashOfRequest(g.req), slot)
	}
	l.grants.free(slot)
}

func (l *Ledger) forgetUser(slot uint32) {
	u := l.users.at(slot)
	if u.older == 0 {
		delete(l.newest, u.prize)
	} else {
		l.newest[u.prize] = u.older
	}
	l.byUser.remove(hashOfUser(u.prize, u.hash), slot)
	l.users.free(slot)
}
