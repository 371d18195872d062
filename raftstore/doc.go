// Package raftstore runs one Raft group on one server: log and snapshots on
// disk, proposals, leadership and its balance. A server runs several groups,
// each with its own Group, directory and share of the listener (package mux).
//
// # What a caller may rely on
//
//   - Propose returns nil only after the entry is on the disks of a majority
//     and this server's Machine has applied it. ErrNotLeader means that it was
//     certainly not done and never will be; ErrUnknown that nobody can tell.
//   - Machine.Apply runs for every committed entry, in log order, one at a
//     time, on every server. What the proposer passed along reaches it on the
//     proposing server only, and never after Propose has returned.
//   - Leading is true, and Options.Lead runs, only from the term's barrier on:
//     the Machine has then applied everything that any earlier leader
//     committed. The next term's Lead starts after the last one has returned.
//   - Verify confirms with a majority that this server leads.
//
// # What ends the process
//
// An error from Machine.Apply or Machine.Restore, from the log store, or a
// leadership transfer that never ends leaves a group that can't go on. Each is
// reported through Options.Fatal, once; the process should end and start
// again from its log.
//
// # Limitations
//
// The log is a bbolt file, which never shrinks: after a snapshot its pages are
// used again. An entry should stay below about 1 MiB. A server whose directory
// is lost must come back under a new server id.
package raftstore
