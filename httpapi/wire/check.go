package wire

import (
	"strings"
	"time"
)

// Limits on prize definitions.
const (
	MaxTotal        int64 = 1e12 // also of the daily limit
	MaxBurst        int64 = 1e9
	MaxPerUserLimit int64 = 1e9
	MaxRate               = 1e9 * PerSecond
	DefaultTimezone       = "UTC"
	maxTimezone           = 64
)

// Check returns nil for a definition that can be used, or the *Problem that
// names the first member that can't. It is the one place with these rules.
func (s *PrizeSpec) Check() error {
	switch {
	case s.Kind != KindCounter:
		return InvalidField("kind", `must be "counter"`)
	case s.Total < 1 || s.Total > MaxTotal:
		return InvalidField("total", "must be between 1 and %d", MaxTotal)
	case !within(s.DailyLimit, MaxTotal):
		return InvalidField("daily_limit", "must be between 1 and %d, or null for no limit", MaxTotal)
	case !within(s.PerUserLimit, MaxPerUserLimit):
		return InvalidField("per_user_limit", "must be between 1 and %d, or null for no limit", MaxPerUserLimit)
	case !knownZone(s.Timezone):
		return InvalidField("timezone", "must be the IANA name of a time zone")
	case !sensible(s.StartsAt):
		return InvalidField("starts_at", "must be between the years 2000 and 9999")
	case !sensible(s.EndsAt):
		return InvalidField("ends_at", "must be between the years 2000 and 9999")
	case s.StartsAt != nil && s.EndsAt != nil && *s.StartsAt >= *s.EndsAt:
		return InvalidField("ends_at", "must be later than starts_at")
	case s.Release == nil:
		return nil
	case s.Release.PerSecond < 1 || s.Release.PerSecond > MaxRate:
		return InvalidField("release.per_second", "must be more than 0 and at most %s", MaxRate)
	case s.Release.Burst < 1 || s.Release.Burst > MaxBurst:
		return InvalidField("release.burst", "must be between 1 and %d", MaxBurst)
	}
	return nil
}

// within reports whether limit is none, or between 1 and most.
func within(limit *int64, most int64) bool {
	return limit == nil || *limit >= 1 && *limit <= most
}

// sensible reports whether t is none, or in a range in which no tool stumbles
// over it.
func sensible(t *Time) bool {
	return t == nil || *t >= TimeOf(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) &&
		*t < TimeOf(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))
}

// knownZone reports whether name is a zone that means the same on every server:
// "Local" and the files localtime and posixrules of many a system's zones do
// not, and the zones under right/ count leap seconds.
func knownZone(name string) bool {
	if name == "" || name == "Local" || name == "localtime" || name == "posixrules" || len(name) > maxTimezone ||
		strings.HasPrefix(name, "right/") || strings.HasPrefix(name, "posix/") {
		return false
	}
	_, err := time.LoadLocation(name)
	return err == nil
}
