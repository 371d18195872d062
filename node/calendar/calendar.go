// Package calendar computes the date in a time zone, fast enough to do it for
// every batch of draws.
package calendar

import (
	"fmt"
	"sync"
	"time"

	"tombola/allocator"
)

// Calendar knows dates in named zones. It may be used concurrently.
type Calendar struct {
	mu    sync.Mutex
	zones map[string]*zone
}

// zone remembers the date last computed and how long it lasts.
type zone struct {
	loc         *time.Location
	day         allocator.Day
	begin, end  allocator.Micros // day holds from begin until before end
	unavailable error
}

// New returns a calendar of all zones that the time package can load.
func New() *Calendar { return &Calendar{zones: make(map[string]*zone)} }

// Days sets dates to the date that each of the named zones has at now. The
// error names a zone that is not known here; its date is then that of UTC.
func (c *Calendar) Days(now allocator.Micros, names []string, dates []allocator.Day) ([]allocator.Day, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var failed error
	dates = dates[:0]
	for _, name := range names {
		z := c.zones[name]
		if z == nil {
			z = load(name)
			c.zones[name] = z
		}
		if z.unavailable != nil {
			failed = z.unavailable
		}
		if now < z.begin || now >= z.end {
			z.turn(now)
		}
		dates = append(dates, z.day)
	}
	return dates, failed
}

func load(name string) *zone {
	loc, err := time.LoadLocation(name)
	if err != nil {
		return &zone{loc: time.UTC, unavailable: fmt.Errorf("calendar: zone %q: %w", name, err)}
	}
	return &zone{loc: loc}
}

// turn computes the date at now. Where a date begins and ends is found by
// search instead of by asking for midnight: on some days of some zones there
// is no midnight, or there are two.
func (z *zone) turn(now allocator.Micros) {
	at := func(m allocator.Micros) allocator.Day { return allocator.DayOf(m.Time().In(z.loc)) }
	z.day = at(now)
	const step = allocator.Micros(time.Minute / time.Microsecond)
	z.begin = now - now%step
	if at(z.begin) != z.day {
		z.begin = now
	}
	z.end = now + 1
	for jump := 12 * 60 * step; jump >= step; jump /= 2 {
		// The date has not changed before end; go on while it has not at the
		// end of the jump either. Days have at least 20 hours, so a jump of
		// half a day can't leap over a whole one.
		if next := z.end - z.end%step + jump; at(next) == z.day {
			z.end = next
		}
	}
}
