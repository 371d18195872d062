package allocator

import (
	"slices"
)

// BankConfig is what a bank is made with; it never changes.
type BankConfig struct {
	Slices int // their number in the cluster
}

// Bank is the state machine of the group that owns the catalog of prizes and
// the tokens that no slice holds. It is not safe for concurrent use: its owner
// excludes readers while Apply runs.
type Bank struct {
	cfg    BankConfig
	prizes []*vault // by number; entry 0 is unused
	byID   map[string]PrizeNo
	now    Micros
	dated  bool   // dates of the current entry's notes must be near its time
	ops    uint64 // the last change's number
	audit  []AuditEntry
	audits uint64 // entries ever made
	// busy holds the prizes for which a slice still has something to hear.
	busy map[PrizeNo]struct{}
}

// NewBank returns a bank without prizes.
func NewBank(cfg BankConfig) *Bank {
	return &Bank{cfg: cfg, prizes: make([]*vault, 1), byID: make(map[string]PrizeNo), busy: make(map[PrizeNo]struct{})}
}

// vault is a prize as the bank keeps it.
type vault struct {
	def    Definition
	slices []member // by slice number - 1
	stock  account
	days   []*account // ascending by day, at most keptDays
	closed Day        // dates before this one are closed for good
	queue  []SliceNo  // slices whose draws wait for tokens, in order of asking
	shrink shrink
	ended  Micros // when an operator's change left it over, 0 where none has
	bucket bucket
	op     Operation // the last change
	// probation is the change that set a user limit where there was none, while
	// it waits for the slices' word that all grants were routed by user.
	probation uint64
}

// member is what the bank knows of one slice's view of a prize.
type member struct {
	acked  Version // the definition that it has committed
	strays int64
	before []DayCount // its grants by date when the day epoch began
}

// account is one purse's tokens as the bank sees them:
// size = before + pool + held + reserve + the sum over slices of lots - returns.
type account struct {
	day     Day
	size    int64 // tokens in existence, granted ones included
	before  int64 // of a day: granted before its epoch, without a token
	pool    int64
	held    int64   // new tokens that wait until every slice has heldFor
	heldFor Version // the version that lets them go
	reserve int64   // taken out for a smaller total, to be destroyed
	said    Version // the last version at which the bank said dry
	lines   []line  // by slice number - 1
}

// line is one slice's side of an account.
type line struct {
	lots    uint64 // the last lot issued
	lotSum  int64
	open    int64 // size of that lot while it is not acknowledged
	returns uint64
	retSum  int64
	// The slice was empty when it stood at these numbers.
	claimed     bool
	claimLots   uint64
	claimReturn uint64
	told        Version // the slice knows dry at this version
	need        int64
	want        int64
	asked       Micros // when need was last heard
}

// out returns the tokens that are on the slice's side: on their way, in its
// purse, or granted.
func (l *line) out() int64 { return l.lotSum - l.retSum }

// empty reports whether the slice's word that it is empty counts: no lot was
// issued since, and no return is on its way.
func (l *line) empty() bool {
	return l.claimed && l.claimLots == l.lots && l.claimReturn == l.returns
}

// waiting reports whether draws of the slice wait for tokens: whoever still
// needs them asks again before an ask lapses.
func (l *line) waiting(now Micros) bool {
	return l.need > 0 && now >= l.asked && now-l.asked <= needFor
}

// shrink is a resize down under way: tokens are recalled into the reserve
// until the target holds, or until it is plain that it lies below what is
// granted.
type shrink struct {
	on     bool
	target int64
	op     uint64 // the change that wants it
}

// needFor is how long an ask for tokens counts: a slice that still needs them
// repeats it, one that has lost its leader does not hold others up for longer,
// which is less than a draw waits. The bank takes in a repeated ask four times
// in that time.
const needFor = Micros(800_000)

func newVault(def Definition, n int) *vault {
	return &vault{def: def, slices: make([]member, n), stock: account{lines: make([]line, n)}}
}

func (b *Bank) vault(no PrizeNo) *vault {
	if int64(no) >= int64(len(b.prizes)) {
		return nil
	}
	return b.prizes[no]
}

// ackedAll returns the version that every slice has committed.
func (v *vault) ackedAll() Version {
	lowest := v.slices[0].acked
	for i := range v.slices {
		lowest = min(lowest, v.slices[i].acked)
	}
	return lowest
}

// account returns the account of a purse, nil where there is none (yet).
func (v *vault) account(name Purse) *account {
	if name.IsStock() {
		return &v.stock
	}
	if v.def.DailyLimit == 0 || name.Epoch != v.def.DayEpoch {
		return nil
	}
	for _, a := range v.days {
		if a.day == name.Day {
			return a
		}
	}
	return nil
}

// fundable reports whether a date can have an account: every slice has said
// what it granted on it before the day epoch, and the date is not closed.
func (v *vault) fundable(name Purse) bool {
	return v.def.DailyLimit > 0 && name.Epoch == v.def.DayEpoch && !name.IsStock() &&
		v.ackedAll() >= v.def.DayEpoch && name.Day >= v.closed
}

// timely reports whether a date can get its account at now: it is near, and
// there is room for it.
func (v *vault) timely(day Day, now Micros) bool {
	return now.near(day) && (len(v.days) < keptDays || now.longAfter(v.days[0].day))
}

// overdue reports whether a date without an account will not get one any more,
// since it has long been over. A return of its tokens closes it for good, or its
// slice would repeat that for ever.
func (v *vault) overdue(name Purse, now Micros) bool {
	return v.fundable(name) && now.longAfter(name.Day)
}

// fund opens the account of a date, if it can be.
func (b *Bank) fund(v *vault, name Purse) *account {
	if !v.fundable(name) || b.dated && !v.timely(name.Day, b.now) {
		return nil
	}
	a := &account{day: name.Day, lines: make([]line, len(v.slices))}
	for i := range v.slices {
		for _, c := range v.slices[i].before {
			if c.Day == name.Day {
				a.before = min(a.before+c.Grants, MaxTotal)
			}
		}
	}
	a.size = max(v.def.DailyLimit, a.before)
	a.pool = a.size - a.before
	i, _ := slices.BinarySearchFunc(v.days, name.Day, func(a *account, d Day) int { return int(a.day) - int(d) })
	v.days = slices.Insert(v.days, i, a)
	if len(v.days) > keptDays {
		v.closed = v.days[0].day + 1
		v.days = slices.Delete(v.days, 0, 1)
	}
	return v.account(name)
}

// accounts calls f for the stock account and each day's.
func (v *vault) accounts(f func(name Purse, a *account)) {
	f(Purse{}, &v.stock)
	for _, a := range v.days {
		f(Purse{Day: a.day, Epoch: v.def.DayEpoch}, a)
	}
}

// hold adds new tokens that no slice may see before all have the vault's
// current version.
func (v *vault) hold(a *account, tokens int64) {
	a.held += tokens
	a.heldFor = v.def.Version
}
