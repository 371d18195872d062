package wire

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrRate is wrapped by the errors of reading a Rate.
var ErrRate = errors.New("wire: not a rate with at most three decimals")

// Rate is a number of tokens a second, in thousandths of a token. Its JSON is a
// decimal number with at most three decimals.
type Rate int64

// PerSecond is the Rate of one token a second.
const PerSecond Rate = 1000

// String returns r as it stands in JSON.
func (r Rate) String() string {
	whole := strconv.FormatInt(int64(r/PerSecond), 10)
	part := r % PerSecond
	if part == 0 || r < 0 {
		return whole
	}
	return whole + "." + strings.TrimRight(fmt.Sprintf("%03d", int64(part)), "0")
}

// MarshalJSON implements json.Marshaler.
func (r Rate) MarshalJSON() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalJSON reads a number without exponent and with at most three
// decimals; anything else is ErrRate.
func (r *Rate) UnmarshalJSON(data []byte) error {
	whole, part, dotted := strings.Cut(string(data), ".")
	if dotted && (part == "" || len(part) > 3) || len(whole) > 12 {
		return fmt.Errorf("%w: %s", ErrRate, data)
	}
	n, err := strconv.ParseUint(whole+(part + "000")[:3], 10, 63)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrRate, data)
	}
	*r = Rate(n)
	return nil
}

// defaultBurst is the burst where none is given: a second's worth, at least one
// token.
func (r Rate) defaultBurst() int64 {
	return max(1, int64((r+PerSecond-1)/PerSecond))
}
