// Package allocator holds the state machines that hand out a limited number of
// tokens: the slices, which grant, and the bank, which owns what no slice
// holds. It is pure: no clock, goroutine, logger or I/O. Whoever runs it
// replicates entries (EntryWriter, BankWriter), applies them in the same order
// on every replica, and carries notes and words between the slices and the
// bank, on a network that may lose, repeat, delay and reorder them.
//
// # Invariants
//
// They hold after every applied entry, whatever was delivered when. "On the
// way" counts lots issued and not accepted, and returns sent and not accepted.
//
//  1. Conservation. For each account of the bank,
//     size = before + pool + held + reserve + Σ over slices (lots - returns),
//     and for each slice, lots accepted - returns sent =
//     tokens + restocks that wait + grants that count.
//  2. Never over. A prize's grants that were not restocked are at most its
//     total; when one is made, those that count on its date are at most the
//     daily limit of the bank's definition or of one that some slice still has;
//     a user's that count are at most the user limit.
//  3. One open lot and one open return per prize, purse and slice: the bank's
//     last lot is the slice's last or the one after it, and the slice's last
//     return is the bank's last or the one after it; their sums agree.
//  4. Never twice. A request id (scoped to prize and user) has one grant, and
//     every repeat answers with that grant, voided or not.
//  5. Never falsely gone. When a slice answers SoldOut no slice holds a stock
//     token, none is on the way, and the pool is empty; DailyLimit likewise
//     for the date's day tokens. Tokens of restocks on their way and tokens
//     held for a version do not exist for draws yet.
//  6. A definition holds once every slice has committed its version; tokens
//     that a version made are in no purse before that.
//  7. Events are one sequence from 1 without gaps; a grant id is never used
//     again.
//  8. Replicas that applied the same entries encode to the same bytes, also
//     when one of them was restored from an image in between.
//
// # Quota
//
// Tokens move between the bank and one slice at a time. A note tells a slice's
// whole position in one purse; a word tells what the slice should know or do.
// Both may be lost, repeated and late: each is taken in only where it is news,
// and whoever leads says it again until the other side's position shows that
// it arrived. The rules are those of the model that the design names: lots are
// accepted in order; "empty" counts only at the last lot issued and the last
// return accepted; restocks travel to the bank; what makes tokens waits until
// every slice has a version that ends the word "dry".
//
// Draws need a stock token and, where there is a daily limit, a day token. The
// bank serves the slices that ask in a queue. From its head nothing is
// recalled, nor from a slice with a lot on its way, so that the two tokens meet
// in one place. An ask counts for a short while only: a slice whose draws wait
// repeats it, and takes it back when none waits any more, so that nobody is held
// up by one that is gone. Answers say nothing that a note shows to be known, so
// that two leaders that answer each other fall silent.
package allocator
