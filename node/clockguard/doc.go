// Package clockguard keeps a server whose clock is off from dating anything.
//
// What a leader proposes and what it refuses carries its wall clock, and with
// it the date. So each server compares its clock with those of the others, and
// dates nothing while it is more than Limit away from their median. Between two
// comparisons every reading is held against the monotonic clock: a step of the
// wall clock is noticed by the first reading after it, and no reading counts
// until the others have been asked again. So no entry is dated more than Limit
// and Step away from what most servers hold to be the time.
//
// The clocks of others are kept as their distance from this server's monotonic
// clock. They stay comparable when the wall clock steps, and what a server that
// is gone has said counts for as long as Keep.
package clockguard

import "time"

const (
	// Limit is how far a server's clock may be from the median.
	Limit = time.Second
	// near is how close it has to come before it counts again, so that a clock
	// at the limit does not flap.
	near = 750 * time.Millisecond
	// Step is how far wall clock and monotonic clock may come apart between
	// two comparisons.
	Step = 500 * time.Millisecond
	// Keep is how long the clock of a server that does not answer counts.
	Keep = 10 * time.Minute

	// every is how often the others are asked, soon how often while this
	// server's clock does not count.
	every = time.Second
	soon  = 100 * time.Millisecond
	// maxTrip is the longest way of question and answer that is believed: half
	// of it is the error of the answer.
	maxTrip = 500 * time.Millisecond
	// repeat is how often the log says again what is wrong.
	repeat = 30 * time.Second
)
