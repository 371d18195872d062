package calendar

import (
	"testing"
	"time"
	_ "time/tzdata"

	"tombola/allocator"
)

// The date of every minute of days that are awkward somewhere agrees with what
// the time package says, whichever way the clock was read before.
func TestDaysAgreeWithTheTimePackage(t *testing.T) {
	zones := []string{
		"UTC", "Asia/Shanghai", "America/New_York", "Europe/Berlin", "America/Sao_Paulo",
		"Pacific/Apia", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Havana",
	}
	starts := []time.Time{
		time.Date(2026, 3, 7, 20, 0, 0, 0, time.UTC),   // New York springs forward
		time.Date(2026, 10, 31, 20, 0, 0, 0, time.UTC), // and falls back
		time.Date(2026, 3, 28, 20, 0, 0, 0, time.UTC),  // Berlin
		time.Date(2018, 11, 3, 20, 0, 0, 0, time.UTC),  // Sao Paulo had no midnight
		time.Date(2011, 12, 29, 0, 0, 0, 0, time.UTC),  // Apia had no 30th
		time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),   // Havana had midnight twice
	}
	for _, start := range starts {
		c := New()
		var dates []allocator.Day
		for m := range 3 * 24 * 60 {
			now := start.Add(time.Duration(m)*time.Minute + 59*time.Second + 999_999*time.Microsecond)
			dates = check(t, c, now, zones, dates)
			if m%7 == 0 { // the clock of another leader is a little behind
				dates = check(t, c, now.Add(-90*time.Second), zones, dates)
			}
		}
	}
}

func check(t *testing.T, c *Calendar, now time.Time, zones []string, dates []allocator.Day) []allocator.Day {
	t.Helper()
	dates, err := c.Days(allocator.MicrosOf(now), zones, dates)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range zones {
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		if want := now.In(loc).Format(time.DateOnly); dates[i].String() != want {
			t.Fatalf("%s at %s: date %s, want %s", name, now.In(loc), dates[i], want)
		}
	}
	return dates
}

func TestMidnightInShanghai(t *testing.T) {
	c := New()
	midnight := time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC)
	before, _ := c.Days(allocator.MicrosOf(midnight)-1, []string{"Asia/Shanghai"}, nil)
	after, _ := c.Days(allocator.MicrosOf(midnight), []string{"Asia/Shanghai"}, nil)
	if before[0].String() != "2026-11-22" || after[0].String() != "2026-11-23" {
		t.Fatalf("dates around midnight: %s, %s", before[0], after[0])
	}
}

func TestUnknownZoneIsAnError(t *testing.T) {
	if _, err := New().Days(0, []string{"Mars/Olympus"}, nil); err == nil {
		t.Fatal("no error for a zone that does not exist")
	}
}

func BenchmarkDays(b *testing.B) {
	c := New()
	zones := []string{"UTC", "Asia/Shanghai", "America/New_York"}
	now := allocator.MicrosOf(time.Now())
	var dates []allocator.Day
	for b.Loop() {
		dates, _ = c.Days(now, zones, dates)
	}
}
