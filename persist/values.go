package persist

import (
	"fmt"
	"time"

	"tombola/allocator"
)

// instantLayout is how both databases are given an instant, and how SQLite
// keeps it: text that sorts by time.
const instantLayout = "2006-01-02 15:04:05.000000"

func instantText(at allocator.Micros) string {
	return at.Time().Format(instantLayout)
}

// instantValue scans an instant that the driver gives as a time (MySQL) or as
// text (SQLite). NULL leaves 0.
type instantValue struct{ at *allocator.Micros }

// Scan implements sql.Scanner.
func (v instantValue) Scan(value any) error {
	t, err := timeOf(value, instantLayout)
	if err == nil && !t.IsZero() {
		*v.at = allocator.MicrosOf(t)
	}
	return err
}

// dayValue is instantValue for dates.
type dayValue struct{ day *allocator.Day }

// Scan implements sql.Scanner.
func (v dayValue) Scan(value any) error {
	t, err := timeOf(value, time.DateOnly)
	if err == nil && !t.IsZero() {
		*v.day = allocator.DayOf(t)
	}
	return err
}

// timeOf returns the zero time for NULL.
func timeOf(value any, layout string) (time.Time, error) {
	switch v := value.(type) {
	case nil:
		return time.Time{}, nil
	case time.Time:
		return v, nil
	case string:
		return time.Parse(layout, v)
	default:
		return time.Time{}, fmt.Errorf("%T is no time", value)
	}
}
