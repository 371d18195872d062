package sim

import (
	"fmt"
	"io"
)

// Mark is a fault or a rare state that runs are counted by.
type Mark int

// The marks.
const (
	MessageLost Mark = iota
	MessageRepeated
	MessageReordered
	MessageFromDeposed
	LeaderChanged
	EntryLost
	EntryCommittedUnknown
	EntryLeftToSuccessor
	QuorumLost
	ClockJumped
	ClockCrossedMidnight
	MidnightPassed
	GrantAtOtherDate
	ReplicaRestored
	BankRestored
	DrawGaveUp
	DrawRepeated
	RepeatAfterUnknown
	RepeatOfVoided
	ResizeUp
	ResizeDown
	ResizeBelowGranted
	ResizeReplaced
	DailyLimitAppeared
	DailyLimitRaised
	DailyLimitLowered
	DailyLimitRemoved
	UserLimitAppeared
	UserLimitStrayed
	ReleaseChanged
	PausedOrEnded
	Deleted
	Archived
	Forgotten
	SinkConfirmed
	SinkAheadRefused
	VoidRestocked
	VoidKept
	VoidOfOtherDate
	RestockWaited
	RestockWhileDry
	TokensHeld
	Reserved
	Recalled
	LotOutOfOrder
	EmptyNotCounted
	StaleDry
	DrySaid
	DryOfDaySaid
	SaidSoldOut
	SaidDailyLimit
	SaidUserLimit
	SaidNotReleased
	LastTokensApart
	TwoInQueue
	EpochBefore
	DateClosed
	ReturnAcrossLeaders
	LotAcrossLeaders
	ReturnOfOldDate
	marks
)

func (m Mark) String() string {
	return [...]string{
		"message lost", "message repeated", "message out of order", "message of a deposed leader",
		"leader changed", "entry lost with its leader", "entry committed, proposer did not learn it",
		"entry committed by the next leader", "group without quorum", "clock jumped", "clock jumped across midnight",
		"midnight passed", "granted on another date than the true one", "slice's replica restored from an image",
		"bank's replica restored from an image", "draw gave up waiting", "draw repeated by its client",
		"draw repeated after an unknown outcome", "repeat of a voided grant", "resize up", "resize down",
		"resize down below what is granted", "resize replaced by another", "daily limit added", "daily limit raised",
		"daily limit lowered", "daily limit removed", "user limit added", "user limit undone: strays",
		"release changed", "paused or ended", "deleted", "archived", "forgotten by a slice", "sink confirmed events",
		"sink ahead of its slice refused", "void with restock", "void without restock", "void after the grant's date",
		"restock waited for a return under way", "restock came back after dry", "new tokens held for a version",
		"tokens in a resize's reserve", "tokens recalled", "lot out of order ignored", "empty that did not count",
		"dry of another version ignored", "dry said of the stock", "dry said of a date", "answered sold_out",
		"answered daily_limit", "answered user_limit", "answered not_released",
		"last stock token and last day token apart", "two slices in the queue", "day epoch began after grants",
		"eight dates kept, the next closes one", "return finished by another leader", "lot finished by another leader",
		"return of a date that is over waited",
	}[m]
}

// Tally counts runs and what they met.
type Tally struct {
	Runs, Steps, Entries, Grants, Draws uint64
	Times, Seeds                        [marks]uint64
}

// Add adds the counts of other.
func (t *Tally) Add(other *Tally) {
	t.Runs += other.Runs
	t.Steps += other.Steps
	t.Entries += other.Entries
	t.Grants += other.Grants
	t.Draws += other.Draws
	for i := range marks {
		t.Times[i] += other.Times[i]
		t.Seeds[i] += other.Seeds[i]
	}
}

// Missing returns what was never met.
func (t *Tally) Missing() []Mark {
	var never []Mark
	for i := range marks {
		if t.Times[i] == 0 {
			never = append(never, i)
		}
	}
	return never
}

// Print writes the counts as a table.
func (t *Tally) Print(w io.Writer) {
	fmt.Fprintf(w, "%d seeds, %d steps, %d entries applied, %d draws, %d grants\n\n", t.Runs, t.Steps, t.Entries, t.Draws, t.Grants)
	fmt.Fprintf(w, "| fault or rare state | times | in seeds |\n| --- | ---: | ---: |\n")
	for i := range marks {
		fmt.Fprintf(w, "| %s | %d | %d |\n", i, t.Times[i], t.Seeds[i])
	}
}
