package sim

import (
	"flag"
	"strings"
	"testing"
)

func flags() (seed *uint64, seeds *int) {
	return flag.Uint64("seed", 0, "replay this seed and print its story"),
		flag.Int("seeds", 2000, "how many seeds TestSim runs")
}

// steps is the length of each run.
const steps = 240

// TestSim runs seeds from 1 on, each a world and a schedule of its own, or replays
// the one that -seed names.
func TestSim(t *testing.T) {
	if *replay != 0 {
		opt := Options{Seed: *replay, Steps: steps, Story: func(line string) { t.Log(line) }}
		if f := New(&Tally{}).Run(opt); f != nil {
			t.Fatal(f)
		}
		return
	}
	tally := &Tally{}
	s := New(tally)
	for seed := uint64(1); seed <= uint64(*count); seed++ {
		if f := s.Run(Options{Seed: seed, Steps: steps}); f != nil {
			t.Fatalf("%v\nreplay with: go test -run TestSim ./allocator/sim -seed %d", f, seed)
		}
	}
	var b strings.Builder
	tally.Print(&b)
	t.Log(b.String())
	if never := tally.Missing(); *count >= 20000 && len(never) > 0 {
		t.Fatalf("never met, which is a gap of the simulation: %v", never)
	}
}

var replay, count = flags()
