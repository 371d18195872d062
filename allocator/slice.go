package allocator

import (
	"encoding/binary"
	"slices"

	"github.com/dchest/siphash"

	"tombola/allocator/ledger"
)

// HashKey keys the hashes of users and request ids. It is one per cluster and
// secret, so that nobody can choose ids that collide.
type HashKey struct{ K0, K1 uint64 }

// HashKeyOf makes a key of 16 secret bytes.
func HashKeyOf(b [16]byte) HashKey {
	return HashKey{binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])}
}

func (k HashKey) user(user []byte) ledger.Hash {
	hi, lo := siphash.Hash128(k.K0, k.K1, user)
	return ledger.Hash{hi, lo}
}

// request hashes a request id within its scope, the prize and the user.
func (k HashKey) request(prize PrizeNo, user ledger.Hash, id []byte) ledger.Hash {
	var b [20 + maxText]byte
	binary.LittleEndian.PutUint64(b[0:], user[0])
	binary.LittleEndian.PutUint64(b[8:], user[1])
	binary.LittleEndian.PutUint32(b[16:], uint32(prize))
	n := copy(b[20:], id)
	hi, lo := siphash.Hash128(k.K1, k.K0, b[:20+n])
	return ledger.Hash{hi, lo | 1} // never zero, which means "no request id"
}

// Home returns the slice where a user's request ids and limits are decided.
func Home(key HashKey, user []byte, slices int) SliceNo {
	return home(key.user(user), slices)
}

func home(user ledger.Hash, slices int) SliceNo {
	return SliceNo(user[0]%uint64(slices)) + 1
}

// SliceConfig is what a slice is made with; it never changes.
type SliceConfig struct {
	Slice  SliceNo
	Slices int // their number in the cluster
	Key    HashKey
}

// Slice is the state machine of one slice. It is not safe for concurrent use:
// its owner excludes readers while Apply runs.
type Slice struct {
	cfg    SliceConfig
	ledger *ledger.Ledger
	prizes []*prize // by number; entry 0 is unused, unknown prizes are nil
	zones  []string // in order of first use, so the same on every replica
	now    Micros   // of the last entry
	dated  bool     // dates of the current entry must be near its time
	days   []Day    // of the current entry, by zone
	sunk   uint64   // the sink holds all events up to this one
	// open holds the prizes with a return that the bank may not have.
	open map[PrizeNo]struct{}
}

// NewSlice returns a slice that knows no prize.
func NewSlice(cfg SliceConfig) *Slice {
	return &Slice{cfg: cfg, ledger: ledger.New(), prizes: make([]*prize, 1), open: make(map[PrizeNo]struct{})}
}

// Reset makes the slice as NewSlice made it and keeps memory for its next use.
// No image of it may be in use.
func (s *Slice) Reset() {
	s.ledger.Reset()
	clear(s.open)
	*s = Slice{cfg: s.cfg, ledger: s.ledger, prizes: s.prizes[:1], days: s.days[:0], open: s.open}
}

// prize is a prize as one slice knows it.
type prize struct {
	def       Definition
	zone      int // index in Slice.zones
	stock     purse
	days      []dayBook // ascending by day, at most keptDays
	closed    Day       // dates before this one are closed for good
	granted   int64
	voided    int64
	restocked int64
	strays    int64
	forgotten bool   // users and request ids of the archived prize are gone
	last      uint64 // the prize's last event
}

// dayBook is one date of a prize.
type dayBook struct {
	day    Day
	sent   int64 // grants of the date that were not voided
	counts int64 // grants of the date that count against a daily limit
	before int64 // counts when the current day epoch began
	purse  purse
}

// keptDays is how many dates of a prize are kept: enough that one is over for
// days in every zone before it goes.
const keptDays = 8

func (s *Slice) prize(no PrizeNo) *prize {
	if int64(no) >= int64(len(s.prizes)) {
		return nil
	}
	return s.prizes[no]
}

func (s *Slice) today(p *prize) (Day, bool) {
	if p.zone >= len(s.days) || s.dated && !s.now.near(s.days[p.zone]) {
		return 0, false
	}
	return s.days[p.zone], true
}

// book returns the date's book, nil where there is none.
func (p *prize) book(day Day) *dayBook {
	i, ok := slices.BinarySearchFunc(p.days, day, func(b dayBook, d Day) int { return int(b.day) - int(d) })
	if !ok {
		return nil
	}
	return &p.days[i]
}

// openBook returns the date's book, a new one where there is none; nil for a date
// that is closed, and where there is no room for another.
func (s *Slice) openBook(p *prize, day Day) *dayBook {
	if b := p.book(day); b != nil {
		return b
	}
	if day < p.closed || s.dated && !p.room(s.now) {
		return nil
	}
	i, _ := slices.BinarySearchFunc(p.days, day, func(b dayBook, d Day) int { return int(b.day) - int(d) })
	p.days = slices.Insert(p.days, i, dayBook{day: day})
	if len(p.days) > keptDays {
		p.closed = p.days[0].day + 1
		p.days = slices.Delete(p.days, 0, 1)
	}
	return p.book(day)
}

// room reports whether one more date can be kept at now.
func (p *prize) room(now Micros) bool {
	return len(p.days) < keptDays || now.longAfter(p.days[0].day)
}

// purse returns the purse, nil where the slice has none of that name.
func (s *Slice) purse(p *prize, name Purse) *purse {
	if name.IsStock() {
		return &p.stock
	}
	if name.Epoch != p.def.DayEpoch || p.def.DailyLimit == 0 {
		return nil
	}
	if b := s.openBook(p, name.Day); b != nil {
		return &b.purse
	}
	return nil
}

// purse holds tokens, and how they came and went.
type purse struct {
	tokens   int64
	lots     uint64 // the last lot accepted
	lotSum   int64  // tokens of all lots accepted
	returns  uint64 // the last return sent
	retSum   int64  // tokens of all returns sent
	open     int64  // size of the last return while the bank may not have it
	restock  int64  // tokens of voided grants that wait for the next return
	dry      Version
	pacedAt  Version
	released Micros // nothing is released before, as of pacedAt
}

// isDry reports whether the bank said under version v that no token is left.
func (p *purse) isDry(v Version) bool { return p.tokens == 0 && p.dry == v }

// sendRestock makes the next return of restocked tokens, if none is open.
func (p *purse) sendRestock() {
	if p.open != 0 || p.restock == 0 {
		return
	}
	p.sendBack(p.restock)
	p.restock = 0
}

func (p *purse) sendBack(tokens int64) {
	p.returns++
	p.retSum += tokens
	p.open = tokens
}
