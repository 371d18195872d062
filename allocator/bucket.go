package allocator

// bucket is the token bucket of a paced prize, on the bank's clock: it fills
// at the prize's rate up to its burst, and a lot takes from it. Levels are in
// thousandths of a token times a million, so that no rate is rounded.
type bucket struct {
	level int64 // micro-millitokens: tokens * bucketUnit
	at    Micros
}

// bucketUnit is one token: a thousandth a second over a microsecond is 1.
const bucketUnit = 1_000_000_000

// maxBurst keeps levels within 64 bits.
const maxBurst = 1_000_000_000

// fill brings the level up to now. A clock that went back only moves at.
func (b *bucket) fill(r Release, now Micros) {
	passed := int64(now - b.at)
	b.at = now
	full := r.Burst * bucketUnit
	if passed <= 0 || b.level >= full {
		return
	}
	if missing := full - b.level; passed > missing/r.PerSecondMilli {
		b.level = full
		return
	}
	b.level += passed * r.PerSecondMilli
}

// refund puts tokens back that were released before, even above the burst.
func (b *bucket) refund(tokens int64) {
	b.level = min(b.level+min(tokens, maxBurst)*bucketUnit, 2*maxBurst*bucketUnit)
}

// tokens returns how many whole tokens the bucket holds.
func (b *bucket) tokens() int64 { return max(0, b.level) / bucketUnit }

// next returns when the bucket will hold a whole token.
func (b *bucket) next(r Release) Micros {
	missing := bucketUnit - b.level
	if missing <= 0 {
		return b.at
	}
	return b.at + Micros((missing+r.PerSecondMilli-1)/r.PerSecondMilli)
}
