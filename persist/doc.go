// Package persist is the sink of the slices' events: the send log and its
// totals, in MySQL or SQLite, written in batches exactly once.
//
// # Exactly once
//
// Every stream (a slice, or the bank as stream 0) has one row in
// sink_checkpoint: the sequence of its last event in this database. A batch is
// one transaction whose first statement moves that row from the sequence
// before the batch to its last one, and only if it still stands where the
// writer believes. From that follows:
//
//  1. The rows of a stream are always an exact prefix of its history: what a
//     batch adds and the checkpoint that says so commit together.
//  2. Of two writers of one stream (a deposed leader and its successor) the
//     second to move the row changes nothing and gets ErrFenced.
//  3. A commit whose reply was lost is resolved by writing the batch again:
//     ErrFenced with Found at the batch's last sequence means that it was done.
//  4. The row lock taken first makes the loser wait at the first statement, not
//     collide in the middle of a batch.
//
// Plain INSERTs only: a duplicate key is never ignored, because it would mean
// that one of these rules is broken. It is reported as ErrDuplicate.
//
// The totals (prize_send_num and daily_send) move in the same transaction. They
// count the grants that are not voided, on the grant's own day, whether or not
// a void put the token back into stock.
//
// # Two databases, one writer
//
// MySQL and SQLite go through the same code; what differs is a value of type
// dialect. Ids, codes and users compare byte by byte in both. Times are UTC
// with microseconds.
//
// The send log has one secondary index, by user, because anybody may ask for a
// user's grants. It is the dearest part of a row (see BenchmarkWrite): users
// come in no order. MySQL has it on user_id, which its own users search by as
// well. SQLite, which writes whole pages to its log on every commit, has it in
// parts by sequence, so that a batch changes few pages.
package persist
