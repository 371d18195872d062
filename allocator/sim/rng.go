package sim

// rng is splitmix64: small, and begun anew for each step at no cost.
type rng struct{ state uint64 }

func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// begin starts the numbers of one step of a seed.
func (r *rng) begin(seed uint64, step int) {
	r.state = mix(seed*0x9E3779B97F4A7C15 + mix(uint64(step)+1))
}

func (r *rng) next() uint64 {
	r.state += 0x9E3779B97F4A7C15
	return mix(r.state)
}

// n returns a number from 0 to k-1; k must be above 0.
func (r *rng) n(k int) int { return int((r.next() >> 32) * uint64(k) >> 32) }

// one reports true in one of k cases.
func (r *rng) one(k int) bool { return r.n(k) == 0 }

// of returns one of the values.
func of[T any](r *rng, values ...T) T { return values[r.n(len(values))] }
