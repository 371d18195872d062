package allocator

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// PrizeNo is the number of a prize in the bank's catalog. Numbers start at 1,
// are given in order of creation and are never used again.
type PrizeNo uint32

// SliceNo is the number of a slice, 1 to MaxSlices.
type SliceNo uint16

// MaxSlices is the largest slice number that fits a grant id.
const MaxSlices = 32767

// MaxTotal is the largest number of tokens that a prize can have, and the
// largest of its limits. It leaves room in 64 bits for every sum.
const MaxTotal = 1_000_000_000_000_000

// maxText bounds the names inside encodings, in bytes.
const maxText = 256

// Version numbers the definitions of one prize; it rises with each change.
type Version uint64

// Micros is an instant, in microseconds since the Unix epoch, UTC.
type Micros int64

// Time returns m as a time in UTC.
func (m Micros) Time() time.Time { return time.UnixMicro(int64(m)).UTC() }

// MicrosOf returns t in microseconds since the Unix epoch.
func MicrosOf(t time.Time) Micros { return Micros(t.UnixMicro()) }

// Day is a calendar date in a prize's time zone, as the number of days from
// 1970-01-01 to that date. The leader computes it; the state machines only
// compare it. Zero means "no day".
type Day int32

// String returns the date as 2006-01-02.
func (d Day) String() string {
	return time.Unix(int64(d)*86400, 0).UTC().Format(time.DateOnly)
}

// DayOf returns the date that t has in its own location.
func DayOf(t time.Time) Day {
	y, m, d := t.Date()
	return Day(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// GrantID identifies a grant in the whole cluster: the slice's number in the
// top 16 bits, the event's sequence in that slice in the lower 48.
type GrantID uint64

// MaxSeq is the largest event sequence that fits a grant id.
const MaxSeq = 1<<48 - 1

// NewGrantID joins a slice's number and an event's sequence.
func NewGrantID(s SliceNo, seq uint64) GrantID {
	return GrantID(uint64(s)<<48 | seq&MaxSeq)
}

// Slice returns the number of the slice that granted.
func (g GrantID) Slice() SliceNo { return SliceNo(g >> 48) }

// Seq returns the event's sequence in its slice.
func (g GrantID) Seq() uint64 { return uint64(g) & MaxSeq }

// String returns the id as clients see it: "1-42".
func (g GrantID) String() string {
	return strconv.FormatUint(uint64(g.Slice()), 10) + "-" + strconv.FormatUint(g.Seq(), 10)
}

// ErrGrantID is wrapped by ParseGrantID's errors.
var ErrGrantID = errors.New("allocator: not a grant id")

// ParseGrantID reads what GrantID.String wrote. It accepts that form only: no
// signs, leading zeros or white space, so that one grant has one text.
func ParseGrantID(s string) (GrantID, error) {
	left, right, ok := strings.Cut(s, "-")
	if !ok {
		return 0, fmt.Errorf("%w: %q", ErrGrantID, s)
	}
	slice, err1 := strconv.ParseUint(left, 10, 16)
	seq, err2 := strconv.ParseUint(right, 10, 48)
	if err1 != nil || err2 != nil || slice == 0 || slice > MaxSlices || seq == 0 {
		return 0, fmt.Errorf("%w: %q", ErrGrantID, s)
	}
	id := NewGrantID(SliceNo(slice), seq)
	if id.String() != s {
		return 0, fmt.Errorf("%w: %q", ErrGrantID, s)
	}
	return id, nil
}

// Kind says what a prize's tokens are.
type Kind uint8

// The kinds of prizes.
const (
	KindCounter Kind = 1 // n tokens, all alike
	KindCode    Kind = 2 // every token is a coupon code
)

// Status is what an operator decided about a prize.
type Status uint8

// The statuses of a prize.
const (
	StatusActive  Status = 1
	StatusPaused  Status = 2
	StatusEnded   Status = 3
	StatusDeleted Status = 4 // ended for good, the id is never used again
)

// Release is the pace at which a prize's tokens become available: a token
// bucket that holds at most Burst tokens and gains PerSecondMilli/1000 tokens
// a second. The zero value releases everything at once.
type Release struct {
	PerSecondMilli int64 // thousandths of a token a second
	Burst          int64
}

// On reports whether the prize is paced at all.
func (r Release) On() bool { return r.PerSecondMilli > 0 }

// Definition is what an operator said a prize is. Zero limits and instants
// mean "none".
type Definition struct {
	No           PrizeNo
	ID           string
	Version      Version
	Kind         Kind
	Status       Status
	Total        int64 // the total that holds
	DailyLimit   int64
	PerUserLimit int64
	Zone         string // IANA name
	StartsAt     Micros
	EndsAt       Micros
	Release      Release

	// DayEpoch is the version at which the current daily limit began to be
	// counted in day purses. Purses of another epoch are void.
	DayEpoch Version
	// Archived is set once the prize is over for good and its retention has
	// passed: slices may forget its users and request ids.
	Archived bool
}

// Purse names one kind of tokens of a prize: the stock purse (the zero value)
// or the purse of one date under one epoch of the daily limit.
type Purse struct {
	Day   Day
	Epoch Version
}

// IsStock reports whether p is the stock purse.
func (p Purse) IsStock() bool { return p == Purse{} }

// String returns "stock" or the date.
func (p Purse) String() string {
	if p.IsStock() {
		return "stock"
	}
	return "day " + p.Day.String()
}

// EventKind says what happened in a slice.
type EventKind uint8

// The kinds of events.
const (
	EventGrant EventKind = 1
	EventVoid  EventKind = 2
)

// Event is one step of a slice's history. All events of a slice share one
// sequence without gaps, counted from 1; a grant's id is made of it.
type Event struct {
	Seq  uint64
	Kind EventKind
	// Prize is the prize concerned.
	Prize PrizeNo
	// At is when the leader's clock said it happened.
	At Micros
	// Day is the grant's date in the prize's zone, for a void that of the grant.
	Day Day
	// Grant is, for a void, the sequence of the voided grant in this slice.
	Grant uint64
	// Restock is, for a void, whether the token went back to the bank.
	Restock bool
	// User and RequestID are set for grants. They may alias the buffer that was
	// decoded: copy what outlives it.
	User      []byte
	RequestID []byte
}
