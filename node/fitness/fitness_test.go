package fitness_test

import (
	"errors"
	"testing"

	"tombola/node/fitness"
)

func TestAServerIsFitWhileNothingSpeaksAgainstIt(t *testing.T) {
	f := fitness.New()
	fit, changed := f.Fit()
	if !fit {
		t.Fatal("unfit without a finding")
	}
	f.Set("disk", nil)
	select {
	case <-changed:
		t.Fatal("a finding without a problem changed something")
	default:
	}
	low := errors.New("almost full")
	f.Set("disk", low)
	f.Set("clock", errors.New("off"))
	<-changed
	f.Set("clock", nil)
	if fit, changed = f.Fit(); fit {
		t.Fatal("fit although the disk is almost full")
	}
	if got := f.Findings(); len(got) != 2 || got[0].Name != "disk" || !errors.Is(got[0].Problem, low) || got[1].Problem != nil {
		t.Errorf("findings: %v", got)
	}
	f.Set("disk", nil)
	<-changed
	if fit, _ = f.Fit(); !fit {
		t.Error("unfit although all is well again")
	}
}
