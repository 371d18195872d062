package wire

import "fmt"

// Outcome is the answer to a draw that could be decided. The zero value means
// that there is none.
type Outcome uint8

// The outcomes of a draw. Only grants are remembered: a draw that was refused
// may be granted when it is sent again.
const (
	Granted     Outcome = 1
	SoldOut     Outcome = 2 // no slice holds a token any more
	DailyLimit  Outcome = 3 // the prize's tokens of today are gone
	UserLimit   Outcome = 4 // this user holds as many grants as one may
	NotStarted  Outcome = 5
	Ended       Outcome = 6
	Paused      Outcome = 7
	NotReleased Outcome = 8 // the prize's pace holds tokens back; try again later
)

// OutcomeCount is one more than the largest Outcome.
const OutcomeCount = 9

// String returns the outcome as it stands in answers.
func (o Outcome) String() string {
	switch o {
	case Granted:
		return "granted"
	case SoldOut:
		return "sold_out"
	case DailyLimit:
		return "daily_limit"
	case UserLimit:
		return "user_limit"
	case NotStarted:
		return "not_started"
	case Ended:
		return "ended"
	case Paused:
		return "paused"
	case NotReleased:
		return "not_released"
	default:
		return "none"
	}
}

// MarshalText implements encoding.TextMarshaler.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads what String wrote.
func (o *Outcome) UnmarshalText(text []byte) error {
	for c := Granted; c < OutcomeCount; c++ {
		if c.String() == string(text) {
			*o = c
			return nil
		}
	}
	return fmt.Errorf("wire: %q is no outcome of a draw", text)
}
