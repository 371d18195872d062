package allocator

import "time"

// StepBack is how far a leader's clock may be behind its predecessor's and the
// group's time stands still for it. Beyond that the new leader is believed:
// leaders see to it that they are not proposing then.
const StepBack = 2 * time.Second

// clamp hides small steps back of leaders' clocks, so that what a group does
// is in order of time whenever clocks are sane.
func clamp(last, now Micros) Micros {
	if now < last && last-now <= Micros(StepBack.Microseconds()) {
		return last
	}
	return now
}

// A date is told by its number alone, of whichever zone it is one. Zones go
// from 12 hours behind UTC to 14 ahead, and messages may be late.
const (
	dayLength = Micros(24 * time.Hour / time.Microsecond)
	farAway   = Micros(26 * time.Hour / time.Microsecond)
	farBehind = Micros(12 * time.Hour / time.Microsecond)
	longOver  = 2 * dayLength
)

// near reports whether it may be a date somewhere at m. A clock that is days
// off, in a slice's entry or in what a slice has sent the bank, must not make a
// place for its date at the cost of today's.
func (m Micros) near(d Day) bool {
	begin := Micros(d) * dayLength
	return m >= begin-farAway && m < begin+dayLength+farAway
}

// longAfter reports whether a date has been over for two days in every zone at
// m. One that has not is not dropped, whatever needs its place.
func (m Micros) longAfter(d Day) bool {
	return m >= Micros(d+1)*dayLength+farBehind+longOver
}
