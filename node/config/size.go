package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Size is a number of bytes, written as a whole number with a unit: 512KiB,
// 256MiB, 1GiB, or 0.
type Size int64

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	number, unit := string(text), Size(1)
	for _, u := range units() {
		if n, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = n, u.size
			break
		}
	}
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil || Size(n) > (1<<63-1)/unit {
		return fmt.Errorf("%q is no size: want a whole number with KiB, MiB, GiB or TiB", text)
	}
	*s = Size(n) * unit
	return nil
}

// String returns the size in the largest unit that it is a whole number of.
func (s Size) String() string {
	for _, u := range units() {
		if s != 0 && s%u.size == 0 {
			return strconv.FormatInt(int64(s/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

type unit struct {
	name string
	size Size
}

// units returns the units from the largest to the smallest.
func units() [4]unit {
	return [...]unit{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}
}
