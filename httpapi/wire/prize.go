package wire

import "strconv"

// PrizeSpec is what an operator says a prize is. Null limits and times mean
// "none".
type PrizeSpec struct {
	Kind         string   `json:"kind"`           // KindCounter
	Total        int64    `json:"total"`          // tokens in the prize's lifetime
	DailyLimit   *int64   `json:"daily_limit"`    // tokens in a calendar day of Timezone
	PerUserLimit *int64   `json:"per_user_limit"` // grants that one user may hold
	Timezone     string   `json:"timezone"`       // IANA name
	StartsAt     *Time    `json:"starts_at"`
	EndsAt       *Time    `json:"ends_at"`
	Release      *Release `json:"release"` // null releases everything at once
}

// Release is the pace at which a prize's tokens become available.
type Release struct {
	PerSecond Rate  `json:"per_second"`
	Burst     int64 `json:"burst"` // tokens that may gather while nobody draws
}

// KindCounter is the kind of prizes whose tokens are all alike.
const KindCounter = "counter"

// The statuses of a prize. An operator sets the first three; a deleted prize
// has ended for good and its id is never used again.
const (
	StatusActive  = "active"
	StatusPaused  = "paused"
	StatusEnded   = "ended"
	StatusDeleted = "deleted"
)

// Definition is a prize as it is defined now: the public view of it.
type Definition struct {
	Prize   string `json:"prize"`
	Version uint64 `json:"version"` // rises with each change
	Status  string `json:"status"`
	PrizeSpec
}

// ETag returns the entity tag of d.
func (d *Definition) ETag() string { return `"v` + strconv.FormatUint(d.Version, 10) + `"` }

// Prize is a prize with its counts: the operators' view.
type Prize struct {
	Definition
	Day          string       `json:"day"`           // the date it is now in the prize's zone
	Pool         Purses       `json:"pool"`          // tokens that the bank holds
	Slices       []PrizeSlice `json:"slices"`        // tokens and counts, slice by slice
	Granted      int64        `json:"granted"`       // grants not voided
	GrantedToday int64        `json:"granted_today"` // of them, those of Day
	Voided       int64        `json:"voided"`
	Outbox       int64        `json:"outbox"` // events that the sink has not confirmed
}

// Purses are the tokens of one prize held in one place.
type Purses struct {
	Stock int64  `json:"stock"`
	Today *int64 `json:"today"` // null without a daily limit
}

// PrizeSlice is one slice's part of a prize.
type PrizeSlice struct {
	Slice        uint16 `json:"slice"`
	Leader       string `json:"leader"` // node id; empty when nobody leads
	Version      uint64 `json:"version"`
	Purses       Purses `json:"purses"`
	Granted      int64  `json:"granted"`
	GrantedToday int64  `json:"granted_today"`
	Voided       int64  `json:"voided"`
	Outbox       int64  `json:"outbox"`
	// Error says why this slice could not be asked; its counts are then zero
	// and missing from the prize's sums.
	Error string `json:"error,omitzero"`
}

// PrizePage is one page of the list of prizes, in the order of their ids.
type PrizePage struct {
	Prizes []Prize `json:"prizes"`
	// Cursor asks for the next page; empty on the last.
	Cursor string `json:"cursor,omitzero"`
}

// Change is who changes something and under which conditions.
type Change struct {
	// Actor goes into the audit trail.
	Actor string
	// IfVersion, when not 0, is the version that must hold (If-Match: "v3").
	IfVersion uint64
	// IfExists refuses to create (If-Match: *), IfAbsent to replace
	// (If-None-Match: *). What does not hold is CodePreconditionFailed.
	IfExists bool
	IfAbsent bool
}
