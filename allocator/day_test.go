package allocator

import (
	"testing"
	"time"
	_ "time/tzdata" // the zones of the tests, on machines without them
)

func TestDayOf(t *testing.T) {
	cases := []struct{ zone, utc, day string }{
		{"UTC", "1970-01-01T00:00:00Z", "1970-01-01"},
		{"UTC", "1969-12-31T23:59:59Z", "1969-12-31"},
		// Midnight in Shanghai is 16:00 UTC of the day before.
		{"Asia/Shanghai", "2026-11-21T15:59:59.999999Z", "2026-11-21"},
		{"Asia/Shanghai", "2026-11-21T16:00:00Z", "2026-11-22"},
		{"Asia/Shanghai", "2026-11-22T15:59:59.999999Z", "2026-11-22"},
		// Spring forward in Berlin: the day has 23 hours.
		{"Europe/Berlin", "2026-03-28T22:59:59Z", "2026-03-28"},
		{"Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29"},
		{"Europe/Berlin", "2026-03-29T21:59:59Z", "2026-03-29"},
		{"Europe/Berlin", "2026-03-29T22:00:00Z", "2026-03-30"},
		// Fall back in New York: the day has 25 hours, the hour from one to two
		// comes twice.
		{"America/New_York", "2026-11-01T03:59:59Z", "2026-10-31"},
		{"America/New_York", "2026-11-01T04:00:00Z", "2026-11-01"},
		{"America/New_York", "2026-11-01T05:30:00Z", "2026-11-01"},
		{"America/New_York", "2026-11-01T06:30:00Z", "2026-11-01"},
		{"America/New_York", "2026-11-02T04:59:59Z", "2026-11-01"},
		{"America/New_York", "2026-11-02T05:00:00Z", "2026-11-02"},
		// In Beirut the clock goes from midnight to one: the day begins at one.
		{"Asia/Beirut", "2022-03-26T21:59:59Z", "2022-03-26"},
		{"Asia/Beirut", "2022-03-26T22:00:00Z", "2022-03-27"},
		// Samoa left out the 30th.
		{"Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29"},
		{"Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31"},
		{"Asia/Kathmandu", "2026-05-01T18:14:59Z", "2026-05-01"},
		{"Asia/Kathmandu", "2026-05-01T18:15:00Z", "2026-05-02"},
	}
	for _, c := range cases {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339Nano, c.utc)
		if err != nil {
			t.Fatal(err)
		}
		if got := DayOf(at.In(zone)).String(); got != c.day {
			t.Errorf("%s in %s is %s, want %s", c.utc, c.zone, got, c.day)
		}
	}
}

// Every hour of twenty years has the date that its own zone's calendar says, and
// dates never go back.
func TestDayOfEveryHour(t *testing.T) {
	for _, name := range []string{"Asia/Shanghai", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Africa/Cairo"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		last := Day(0)
		for at := time.Date(2008, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2028; at = at.Add(time.Hour) {
			day := DayOf(at.In(zone))
			if day < last || day.String() != at.In(zone).Format(time.DateOnly) {
				t.Fatalf("%v in %s is %v", at, name, day)
			}
			last = day
		}
	}
}

func TestGrantIDText(t *testing.T) {
	for _, text := range []string{"1-1", "32767-281474976710655", "3-42"} {
		id, err := ParseGrantID(text)
		if err != nil || id.String() != text {
			t.Errorf("%s came back as %s, %v", text, id, err)
		}
	}
	for _, text := range []string{"", "1", "-", "0-1", "1-0", "01-1", "1-01", "+1-1", "1-+1", "32768-1", "1-281474976710656", " 1-1", "1-1 ", "1-1-1", "a-1"} {
		if id, err := ParseGrantID(text); err == nil {
			t.Errorf("%q is taken for %s", text, id)
		}
	}
}
