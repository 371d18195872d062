// Package sim drives a bank and its slices through seeded schedules, all in one
// goroutine: clients that draw and repeat, operators that change prizes, leaders
// that come and go with entries committed, lost or unknown to their proposers,
// clocks that jump, messages that are lost, repeated, late and out of order.
//
// A Sim plays the part of what runs the machines (leaders' rounds, notes and
// words, parked draws, recalls, the barrier of a new term) by plain code of its
// own, and watches all of it at once: after every applied entry it checks the
// invariants that package allocator numbers, and in the end, with all faults
// healed, that every draw is answered and every token can be drawn.
//
// A run depends on its Options alone. Each step takes its random numbers from the
// seed and its own number, so that leaving out one step leaves the others much as
// they were: that is how Minimise makes a failing run short.
package sim
