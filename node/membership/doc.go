// Package membership says who this server is, which cluster it belongs to and
// where the cluster's other servers are.
//
// Three things are kept apart:
//
//   - The identity is made once per data directory: the configured node id and
//     a random incarnation. A server whose directory was wiped is a new server.
//   - The cluster is agreed on once, by as many servers as were expected, and
//     written down. It holds the servers that created it, the number of slices
//     and the key for keyed hashing.
//   - Gossip says where servers are now and whether they answer. It changes
//     addresses only. It never changes who is a member of a Raft group.
//
// # Creating a cluster
//
// No server coordinates it. Every server announces its settings and a random
// seed. A server that sees exactly as many candidates as it expects computes
// the cluster's id from their names and settings, and announces that id as a
// proposal. Once all candidates propose the same id, each writes the cluster
// down. A server that stopped in between finds the others' cluster announced,
// computes the same id once it has seen them, and writes it down as well. Any
// other server stays out and says so.
//
// The cluster's key is computed from the seeds, which travel by gossip: where
// the network is not trusted, gossip needs a key of its own (ReadGossipKey).
package membership
