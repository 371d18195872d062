// Package outbox keeps a sequence of records on disk, in segment files: the
// events of one replicated state machine, on every replica, until they have
// been passed on and their retention has ended. It knows nothing of what the
// records mean, nor of the log that they come from.
//
// # Limits
//
//   - Sequence numbers start at 1, or where Reset says, and have no gaps.
//   - A record is 1 byte to MaxRecord long.
//   - One writer: Append, Load, Reset and Close wait for each other. Any number
//     of goroutines may read, wait, trim and sync beside it.
//   - Append does not wait for the disk. What was appended since the last Sync
//     may be lost with the machine's power, so the owner must be able to append
//     it again: it calls Sync before it forgets how.
//   - The same record must have the same bytes when it is appended again, also
//     after an upgrade: whatever encodes it has to be deterministic.
//   - A directory belongs to one Outbox at a time; nothing here locks it.
//
// # Files
//
//	00000000000000000001.seg   records from sequence 1 on
//	00000000000000000001.idx   its sparse index, once the segment is full
//	00000000000001048577.seg   the newest segment, the one being written
//	synced                     how far everything is known to be on the disk
//
// A segment has a header of 20 bytes (magic, format version, tag, first
// sequence, CRC-32C) and then records: length as a uvarint, payload, and the
// CRC-32C of sequence and payload, 4 bytes. Numbers are little-endian. The
// sequence itself is not stored, it is counted, and the checksum proves it. A
// length of zero is not valid, so that a hole of zeros is never a record.
//
// # Crash safety
//
// Sync flushes the segments, oldest first, then the directory, and then
// replaces the file "synced", which names the place that it reached. At Open
//
//   - everything before that place must be whole: a missing file, a missing
//     byte or a wrong checksum there is ErrCorrupt. Only the segment that holds
//     the place and those after it are scanned at Open; older segments are
//     checked when they are read, record by record.
//   - after that place the first record that is not whole ends the outbox: it
//     and all that follows are cut off, with a warning. A crash leaves such
//     tails, in one segment or, when the power fails, in several, in whatever
//     order the system wrote its pages; the owner appends those records again.
//
// A full segment's index is a file, not memory, so that the memory in use does
// not grow with the backlog: less than 200 bytes a segment stay resident. An
// index that is missing or damaged is made again by one scan of its segment.
//
// When a write fails half way (a full disk), the segment is cut back to its
// last whole record and the error is returned; the same Append may be tried
// again. When a flush fails, what the disk holds is unknown, so the Outbox
// accepts nothing more: end the process and open it again.
package outbox
