package ledger

import "math/bits"

// Hash is a keyed 128-bit hash of an id. The key is the cluster's secret: whoever
// can choose ids must not be able to make two of them collide, because two
// ids with one hash are the same id to the ledger.
type Hash [2]uint64

// IsZero reports whether h is the zero hash, which stands for "no id".
func (h Hash) IsZero() bool { return h == Hash{} }

// golden is 2^64 divided by the golden ratio, an odd number without pattern.
const golden = 0x9E3779B97F4A7C15

// mix spreads the bits of x over all bits of the result (the finalizer of
// splitmix64), so that any of them may choose a table, a tag or a position.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

func hashOfRequest(req Hash) uint64 {
	return mix(req[0] + bits.RotateLeft64(req[1], 29)*golden)
}

func hashOfUser(prize uint32, user Hash) uint64 {
	return mix(user[0] + (bits.RotateLeft64(user[1], 29)+uint64(prize))*golden)
}

func hashOfSeq(seq uint64) uint64 { return mix(seq * golden) }
