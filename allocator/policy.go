package allocator

import "math"

// The sizes of lots, asks and returns. They are policy: any answer keeps the
// promises, a good one keeps draws from waiting.

// LotSize returns how many of the avail tokens in the pool a slice gets that
// needs need now and would like want: what it needs, and ahead of need at most
// its share of half the pool, so that lots shrink as the pool does.
func LotSize(avail, need, want int64, slices int) int64 {
	share := (avail + 2*int64(slices) - 1) / (2 * int64(slices))
	return min(avail, max(need, min(want, share)))
}

// LowWater returns the number of tokens below which a slice that grants
// perSecond tokens a second asks for more: those of a quarter of a second,
// many times what an answer takes.
func LowWater(perSecond float64) int64 { return int64(perSecond / 4) }

// WantSize returns how many tokens a slice asks for ahead of need: those of
// two seconds, or as many as the bank will give where it has no rate yet.
func WantSize(perSecond float64) int64 {
	if perSecond <= 0 {
		return math.MaxInt32
	}
	return max(1, int64(perSecond*2))
}

// RecallSize returns how many of its tokens a slice that grants perSecond
// tokens a second gives back when wanted are: at least those, and all that it
// would not grant itself within half a second.
func RecallSize(tokens, wanted int64, perSecond float64) int64 {
	return min(tokens, max(wanted, tokens-int64(perSecond/2)))
}
