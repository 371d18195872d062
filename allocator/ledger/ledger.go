package ledger

import "errors"

// MaxSeq is the largest event sequence: 48 bits, which is what a grant id has
// room for.
const MaxSeq = 1<<48 - 1

// Errors of a Ledger's writing methods. Whenever one is returned, nothing has
// changed. A state machine that meets any of them (after it looked before it
// wrote) has diverged from its log.
var (
	// ErrSequence means that an event does not follow the last one.
	ErrSequence = errors.New("ledger: event out of sequence")
	// ErrRequestUsed means that the request hash belongs to a retained grant.
	ErrRequestUsed = errors.New("ledger: request id was used")
	// ErrNoGrant means that no retained grant has this sequence.
	ErrNoGrant = errors.New("ledger: no such grant")
	// ErrVoided means that the grant has been voided before.
	ErrVoided = errors.New("ledger: grant was voided before")
	// ErrFull means that 2^32-1 grants are retained.
	ErrFull = errors.New("ledger: full")
)

// Entry is a grant as it is when it is made.
type Entry struct {
	// Seq is the grant's place in the slice's sequence of events.
	Seq uint64
	// Prize is the prize's number.
	Prize uint32
	// Day is the date in the prize's zone, in days since 1970-01-01.
	Day int32
	// At is when it was granted, in microseconds since the Unix epoch.
	At int64
	// User is the keyed hash of the user's id. The prize is not part of it, so
	// that a user's home can be computed from it.
	User Hash
	// Request is the keyed hash of prize, user and request id, or zero
	// where the draw had no request id.
	Request Hash
}

// Grant is a retained grant as it is now.
type Grant struct {
	Entry
	// Voided is set once the grant was taken back.
	Voided bool
	// Restocked is set where the void gave the user's count back.
	Restocked bool
}

// HasRequest reports whether the draw had a request id.
func (g Grant) HasRequest() bool { return !g.Request.IsZero() }

// counts reports whether the grant counts against its user's limit.
func (g *grant) counts() bool { return g.state&stateRestocked == 0 }

// A grant's state, in bits.
const (
	stateVoided    = 1 << 0
	stateRestocked = 1 << 1 // only where voided
)

// grant is a Grant in memory: 48 bytes. A free slot has seq 0.
type grant struct {
	req   Hash
	at    int64
	seq   uint64
	user  uint32 // slot of the user
	older uint32 // slot+1 of the same user's grant before this one, 0 for none
	day   int32
	state uint8
}

// user is what is known of one user and one prize: 32 bytes. A free slot has
// newest 0.
type user struct {
	hash   Hash
	prize  uint32
	count  uint32
	newest uint32 // slot+1 of the newest grant
	older  uint32 // slot+1 of the same prize's user before this one, 0 for none
}

// Ledger holds the retained grants of one slice.
//
// Methods that only read (Count, Find, Grant, EachOf, Last, Len, Users) may run
// at the same time as each other; all others need the Ledger for themselves.
// What Freeze returned is independent of that: see Frozen.
type Ledger struct {
	views  *views
	last   uint64
	grants arena[grant]
	users  arena[user]

	byRequest *index
	bySeq     *index
	byUser    *index

	newest map[uint32]uint32 // slot+1 of each prize's newest user
}

// New returns an empty ledger, whose first event will be number 1.
func New() *Ledger {
	v := newViews()
	l := &Ledger{
		views:  v,
		grants: newArena[grant](v),
		users:  newArena[user](v),
		newest: make(map[uint32]uint32),
	}
	l.byRequest = newIndex(func(slot uint32) uint64 { return hashOfRequest(l.grants.at(slot).req) })
	l.bySeq = newIndex(func(slot uint32) uint64 { return hashOfSeq(l.grants.at(slot).seq) })
	l.byUser = newIndex(func(slot uint32) uint64 {
		u := l.users.at(slot)
		return hashOfUser(u.prize, u.hash)
	})
	return l
}

// Last returns the sequence of the last event, 0 before the first.
func (l *Ledger) Last() uint64 { return l.last }

// Len returns the number of retained grants, voided ones included.
func (l *Ledger) Len() int { return l.grants.n }

// Users returns the number of pairs of prize and user that have retained grants.
func (l *Ledger) Users() int { return l.users.n }

// Count returns how many retained grants of prize count against user's limit:
// all but those that were voided with restock.
func (l *Ledger) Count(prize uint32, user Hash) uint32 {
	slot, ok := l.findUser(prize, user)
	if !ok {
		return 0
	}
	return l.users.at(slot).count
}

// Find returns the retained grant that was given to the request. The zero hash
// belongs to none.
func (l *Ledger) Find(request Hash) (Grant, bool) {
	slot, ok := l.findRequest(request)
	if !ok {
		return Grant{}, false
	}
	return l.grant(slot), true
}

// Grant returns the retained grant with this sequence.
func (l *Ledger) Grant(seq uint64) (Grant, bool) {
	slot, ok := l.findSeq(seq)
	if !ok {
		return Grant{}, false
	}
	return l.grant(slot), true
}

// EachOf calls yield with user's retained grants of prize, newest first, until
// it returns false. yield must not change the ledger.
func (l *Ledger) EachOf(prize uint32, user Hash, yield func(Grant) bool) {
	slot, ok := l.findUser(prize, user)
	if !ok {
		return
	}
	for next := l.users.at(slot).newest; next != 0; next = l.grants.at(next - 1).older {
		if !yield(l.grant(next - 1)) {
			return
		}
	}
}

func (l *Ledger) grant(slot uint32) Grant {
	g := l.grants.at(slot)
	u := l.users.at(g.user)
	return Grant{
		Entry:     Entry{Seq: g.seq, Prize: u.prize, Day: g.day, At: g.at, User: u.hash, Request: g.req},
		Voided:    g.state&stateVoided != 0,
		Restocked: g.state&stateRestocked != 0,
	}
}

func (l *Ledger) findRequest(req Hash) (uint32, bool) {
	if req.IsZero() {
		return 0, false
	}
	return l.byRequest.find(hashOfRequest(req), func(slot uint32) bool {
		return l.grants.at(slot).req == req
	})
}

func (l *Ledger) findSeq(seq uint64) (uint32, bool) {
	return l.bySeq.find(hashOfSeq(seq), func(slot uint32) bool {
		return l.grants.at(slot).seq == seq
	})
}

func (l *Ledger) findUser(prize uint32, id Hash) (uint32, bool) {
	return l.byUser.find(hashOfUser(prize, id), func(slot uint32) bool {
		u := l.users.at(slot)
		return u.prize == prize && u.hash == id
	})
}
