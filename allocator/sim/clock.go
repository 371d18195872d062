package sim

import (
	"time"

	"tombola/allocator"
)

const (
	milli = allocator.Micros(1000)
	sec   = 1000 * milli
	hour  = 3600 * sec
)

// maxSkew is how far a server's clock is off at most.
const maxSkew = 25 * hour

// zoneNames are zones that lie far apart, with changes of the clock by an hour,
// by half an hour, and at midnight.
func zoneNames() []string {
	return []string{
		"UTC", "America/New_York", "Europe/Berlin", "Pacific/Kiritimati", "Pacific/Pago_Pago",
		"Australia/Lord_Howe", "Africa/Cairo", "America/Santiago",
	}
}

// startOf returns an instant shortly before something happens to dates.
func startOf(r *rng) allocator.Micros {
	at := of(r,
		time.Date(2026, 3, 8, 7, 0, 0, 0, time.UTC),   // New York, into summer
		time.Date(2026, 11, 1, 4, 0, 0, 0, time.UTC),  // New York: the day with 25 hours begins
		time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC), // Berlin, out of summer
		time.Date(2026, 4, 4, 15, 0, 0, 0, time.UTC),  // Lord Howe, by half an hour
		time.Date(2026, 4, 23, 22, 0, 0, 0, time.UTC), // Cairo: there is no midnight
		time.Date(2026, 9, 6, 4, 0, 0, 0, time.UTC),   // Santiago: there is no midnight
		time.Date(2026, 12, 31, 24, 0, 0, 0, time.UTC),
		time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC),
	)
	return allocator.MicrosOf(at) - allocator.Micros(r.n(7200))*sec + allocator.Micros(r.n(1_000_000))
}

// dateOf returns the date of an instant in a zone.
func (s *Sim) dateOf(at allocator.Micros, zone string) allocator.Day {
	return allocator.DayOf(at.Time().In(s.zones[zone]))
}

// dates returns the dates that a leader puts into an entry at its clock's now.
func (s *Sim) dates(slice *allocator.Slice, now allocator.Micros, days []allocator.Day) []allocator.Day {
	now = slice.Clock(now)
	days = days[:0]
	for _, zone := range slice.Zones() {
		days = append(days, s.dateOf(now, zone))
	}
	return days
}

// timeGoesOn lets time pass, mostly little.
func (s *Sim) timeGoesOn() {
	r := &s.rng
	passed := allocator.Micros(1 + r.n(200_000))
	switch k := r.n(8); {
	case s.swarm.days && k < 7:
		passed = 20*hour + allocator.Micros(r.n(10*3600))*sec
	case k < 2:
		passed = allocator.Micros(r.n(3000)) * milli
	case k == 2:
		passed = allocator.Micros(r.n(7200)) * sec
	case k == 3 && s.swarm.has(FaultClock):
		passed = allocator.Micros(r.n(25*3600)) * sec
	}
	before := s.dateOf(s.now, s.oracle.zone())
	s.now += passed
	s.say("time goes on by %v: %s", time.Duration(passed)*time.Microsecond, s.now.Time().Format(time.DateTime))
	if s.dateOf(s.now, s.oracle.zone()) != before {
		s.hit(MidnightPassed)
	}
}

// clockJumps sets a server's clock wrong by up to maxSkew, often to beside a
// midnight, or right again.
func (s *Sim) clockJumps() {
	r := &s.rng
	server := r.n(servers)
	was := s.dateOf(s.clock(server), s.oracle.zone())
	switch r.n(4) {
	case 0:
		s.skew[server] = 0
	case 1:
		s.skew[server] = allocator.Micros(r.n(10_000)-5_000) * milli
	default:
		s.skew[server] = allocator.Micros(r.n(int(2*maxSkew/sec)))*sec - maxSkew
		if r.one(2) {
			s.skew[server] = s.besideMidnight(s.skew[server])
		}
	}
	s.hit(ClockJumped)
	if s.dateOf(s.clock(server), s.oracle.zone()) != was {
		s.hit(ClockCrossedMidnight)
	}
	s.say("the clock of server %d is now off by %v", server+1, time.Duration(s.skew[server])*time.Microsecond)
}

// besideMidnight moves a skew so that the clock shows a time within a second of
// a midnight, where the bound leaves room for that.
func (s *Sim) besideMidnight(skew allocator.Micros) allocator.Micros {
	at := (s.now + skew).Time().In(s.zones[s.oracle.zone()])
	y, m, d := at.Date()
	midnight := allocator.MicrosOf(time.Date(y, m, d+1, 0, 0, 0, 0, at.Location()))
	moved := midnight - s.now + allocator.Micros(s.rng.n(2_000_000)-1_000_000)
	if moved > maxSkew || moved < -maxSkew {
		return skew
	}
	return moved
}
