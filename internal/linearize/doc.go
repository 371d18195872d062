// Package linearize says what one prize promises to clients that speak to all
// servers at once, as a sequential object, and judges histories of a real
// cluster by it with porcupine: a history is right if its operations can be put
// in an order that agrees with real time and in which each got the answer that
// the object gives.
//
// The object has a total, a daily limit, a user limit, and what was granted. It
// is the order of decisions of a draw that is modelled (known request id, user
// limit, total, day), and is exact but for these, where the promise is weaker
// than "all at one instant":
//
//   - A void with restock has up to three instants between its call and its
//     answer: the grant is voided and the user's count is lower; later the
//     token can be drawn; and, independently, the day's token can. A sold_out
//     in between is right. By the void's answer all have passed, except where
//     that is 504 unconfirmed: then the tokens come at some later time.
//   - A refusal for the day may come where the total is used up as well: the
//     words "dry" for stock and day are said separately.
//   - below_granted may count a token that is on its way back as granted.
//   - A change that was superseded by a concurrent one is answered with the
//     total that holds, which is then not its own: it may or may not have been
//     in force in between.
//
// An operation whose outcome is unknown (504 unknown_outcome, a connection that
// broke) may take effect at any time after its call, or never. One that was
// answered with a code that says "certainly not done" must have had no effect.
package linearize
