// Package mux shares one TCP listener between everything that the servers of
// a cluster say to each other: every Raft group and the forwarding of draws
// and calls.
//
// Whoever dials writes one small handshake that names the cluster, the format
// version, what the connection is for and who is calling. The acceptor checks
// it before anything else is read and answers with one status, so that a
// server of another cluster, an incompatible version or a group that is not
// served here is refused with a reason on both sides, and no byte of it
// reaches a state machine.
//
// The handshake keeps strangers out by mistake, not by force: it holds no
// secret. Use TLS with client certificates where the network is not trusted.
package mux
