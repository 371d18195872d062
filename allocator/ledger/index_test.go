package ledger

import (
	"testing"

	"pgregory.net/rapid"
)

// Hashes that share tables, tags and homes, at a table's end, so that searches
// are long and wrap around.
func crowded(n uint32) uint64 {
	table := uint64(n%3) << (64 - segmentBits)
	tag := uint64(n/3%2) << (64 - segmentBits - 8)
	return table | tag | uint64(n/6%5)*0xFFFF
}

func TestAnIndexHoldsExactlyWhatWasPutIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := newIndex(crowded)
		want := map[uint32]bool{}
		flip := func(n uint32) {
			if want[n] {
				x.remove(crowded(n), n)
				delete(want, n)
			} else {
				x.insert(crowded(n), n)
				want[n] = true
			}
		}
		if n := rapid.Uint32Range(0, 300).Draw(t, "reserve") << segmentBits >> 4; rapid.Bool().Draw(t, "reserved") {
			x.reserve(int(n))
		}
		t.Repeat(map[string]func(*rapid.T){
			"one": func(t *rapid.T) { flip(rapid.Uint32Range(0, 400).Draw(t, "n")) },
			"run": func(t *rapid.T) {
				from := rapid.Uint32Range(0, 400).Draw(t, "from")
				for n := from; n < from+50; n++ {
					flip(n)
				}
			},
			"": func(t *rapid.T) {
				for n := range uint32(460) {
					got, ok := x.find(crowded(n), func(slot uint32) bool { return slot == n })
					if ok != want[n] || ok && got != n {
						t.Fatalf("%d: found %v, want %v", n, ok, want[n])
					}
				}
			},
		})
	})
}

func TestATableGrowsAndShrinksWithItsEntries(t *testing.T) {
	x := newIndex(crowded)
	size := func() int { return groupLen * len(x.tables[0].groups) }
	for n := range uint32(1000) {
		x.insert(crowded(3*n), 3*n)
	}
	if size() != 128*groupLen {
		t.Errorf("1000 entries lie in a table of %d", size())
	}
	for n := range uint32(990) {
		x.remove(crowded(3*n), 3*n)
	}
	if size() > 8*groupLen {
		t.Errorf("10 entries lie in a table of %d", size())
	}
	for n := uint32(990); n < 1000; n++ {
		x.remove(crowded(3*n), 3*n)
	}
	if x.tables[0].groups != nil {
		t.Error("an empty table is kept")
	}
}
