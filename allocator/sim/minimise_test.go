package sim

import (
	"strings"
	"testing"
)

// TestARunDependsOnItsOptionsAlone tells the story of a seed twice, by a Sim that
// has made other runs in between.
func TestARunDependsOnItsOptionsAlone(t *testing.T) {
	s := New(&Tally{})
	tell := func() string {
		var b strings.Builder
		if f := s.Run(Options{Seed: 7, Steps: steps, Story: func(line string) { b.WriteString(line + "\n") }}); f != nil {
			t.Fatal(f)
		}
		return b.String()
	}
	first := tell()
	for seed := range uint64(40) {
		if f := s.Run(Options{Seed: seed + 100, Steps: steps}); f != nil {
			t.Fatal(f)
		}
	}
	if first == "" || tell() != first {
		t.Fatal("the same seed tells another story")
	}
}

// TestAFailureIsMadeShort breaks a promise of the simulator's own making, at the
// first void with restock, and looks at what is left of the run.
func TestAFailureIsMadeShort(t *testing.T) {
	s := New(&Tally{})
	s.tripAt = VoidRestocked
	var opt Options
	var failure *Failure
	for seed := uint64(1); failure == nil && seed < 50; seed++ {
		opt = Options{Seed: seed, Steps: steps}
		failure = s.Run(opt)
	}
	if failure == nil {
		t.Fatal("no seed voids with restock")
	}
	short, again := s.Minimise(opt, failure)
	if again.Rule != failure.Rule || again.Seed != failure.Seed {
		t.Fatalf("minimised to another failure: %v, was %v", again, failure)
	}
	if left := short.Left(); left > 12 || short.Without == 0 {
		t.Fatalf("%d steps of %d are left, without %b", left, opt.Steps, short.Without)
	}
	if f := s.Run(short); f == nil || f.Rule != failure.Rule {
		t.Fatalf("the short run does not fail again: %v", f)
	}
}
