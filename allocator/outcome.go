package allocator

// Verdict is what became of one draw, or of one other command, in Apply.
type Verdict uint8

// The verdicts on a draw. The first eight are answers for the client; the rest
// are for the slice's leader, which answers, parks or routes again.
const (
	Granted     Verdict = 1
	SoldOut     Verdict = 2
	DailyLimit  Verdict = 3
	UserLimit   Verdict = 4
	NotStarted  Verdict = 5
	Ended       Verdict = 6
	Paused      Verdict = 7
	NotReleased Verdict = 8 // Outcome.Until says when the next token is due

	Short        Verdict = 16 // an empty purse: nothing changed, ask the bank and propose again
	Misrouted    Verdict = 17 // the user's home is another slice
	UnknownPrize Verdict = 18 // this slice has no such prize, or not yet
	Again        Verdict = 19 // the entry lacked the date of the prize's zone: propose again

	Voided      Verdict = 32 // the grant was taken back
	Already     Verdict = 33 // it had been taken back before
	NoSuchGrant Verdict = 34

	Accepted Verdict = 48 // a lot, definition or word of the bank was taken in
	Stale    Verdict = 49 // it was known or is out of date: nothing changed
)

// Final reports whether v answers a client's draw.
func (v Verdict) Final() bool { return v >= Granted && v <= NotReleased }

// Outcome is what one command of an entry came to. It holds no pointers, so
// that a batch's outcomes are one flat allocation that can be used again.
type Outcome struct {
	Verdict Verdict
	// Repeat is set where the grant was given to the same request id before.
	Repeat bool
	// GrantVoided is set where that grant has been voided since.
	GrantVoided bool
	// Seq is the grant's sequence in this slice.
	Seq uint64
	// At is when it was granted.
	At Micros
	// Until is, for NotReleased, when the next token is due.
	Until Micros
}
