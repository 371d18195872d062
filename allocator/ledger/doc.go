// Package ledger keeps the retained grants of one slice in memory: how often
// each user was granted each prize, which request ids were used, and what the
// repeat of a draw must answer. It is part of the slice's state machine, so it
// is deterministic: it reads no clock, starts no goroutine and does no I/O of
// its own. It knows neither prizes nor limits; whether a draw may be granted is
// its caller's question.
//
// # Layout
//
// The aim is ten million grants in less than 96 bytes each beside the ids, a
// snapshot that holds the state machine up for microseconds, and no operation
// that stalls because something large is copied or hashed anew.
//
//   - Grants (48 bytes) and users (32 bytes, one for each pair of prize and
//     user) live in two arenas: chunks of 512 items, allocated as they are
//     needed. An item is named by its slot, a uint32.
//   - Three indexes lead to slots: from a request hash, from an event's
//     sequence, and from prize and user. Each is split by the hash's top bits
//     into 4096 open-addressing tables that grow and shrink alone. An entry is
//     a slot and one byte of hash, so that a probe rarely has to look at
//     an item that is not the one it wants.
//   - A user's grants are a list from the newest to the oldest, and so are the
//     users of a prize. Forgetting a prize follows these lists: it looks at
//     nothing else, and what is left of the lists is the position at
//     which it goes on.
//
// Grants are not stored at the position of their sequence. The third index costs
// about eight bytes a grant, and in exchange a prize that runs for years does
// not pin the memory of the short ones whose grants lie between its own, sequences
// that need no memory (voids, forgotten grants) use none, and no list
// of grants is limited to a window of sequences. A void leaves a mark on its
// grant and nothing else.
//
// # Snapshots
//
// Freeze shares the chunks with the Frozen view that it returns; whichever chunk
// the ledger then writes to first is copied, until the view is released. So
// Freeze itself copies a few pointers, and the view can be encoded by another
// goroutine while the ledger changes.
//
// # Invariants
//
// Decode refuses a snapshot that breaks one of these:
//
//  1. Sequences of grants are unique and lie between 1 and Last.
//  2. A request hash other than zero belongs to at most one grant.
//  3. A pair of prize and user has at most one user entry, and has one exactly
//     while it has a retained grant.
//  4. A user's list holds all of its retained grants, newest first.
//  5. The users of a prize form one list, newest first.
//  6. A user's count is the number of its retained grants that were not voided
//     with restock.
//  7. A new item takes the lowest free slot. So slots depend on nothing but
//     the history, and a restored ledger goes on exactly as the one that was
//     frozen: same answers, same order of forgetting, same bytes in the
//     next snapshot.
package ledger
