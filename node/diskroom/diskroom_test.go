package diskroom

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

const mib = 1 << 20

func TestADiskIsLowBelowItsFloorAndWellAgainSomewhatAboveIt(t *testing.T) {
	var free int64
	var fails error
	w := newWatch("data", 80*mib, func(string) (int64, error) { return free, fails })
	for _, step := range []struct {
		free      int64
		fails     error
		low, room bool
	}{
		{free: 80 * mib, low: true, room: true}, // it began with nothing free
		{free: 89 * mib, low: true, room: true},
		{free: 90 * mib, low: false, room: true},
		{free: 80 * mib, low: false, room: true},
		{free: 80*mib - 1, low: true, room: true},
		{free: 20 * mib, low: true, room: true},
		{free: 20*mib - 1, low: true, room: false},
		{fails: errors.New("no such directory"), low: true, room: false},
		{free: 100 * mib, low: false, room: true},
		{fails: errors.New("no such directory"), low: false, room: true},
	} {
		free, fails = step.free, step.fails
		w.once()
		if w.Low() != step.low || w.Room() != step.room {
			t.Errorf("%d MiB free, %v: low %v, room %v; want %v, %v", free/mib, fails, w.Low(), w.Room(), step.low, step.room)
		}
		if problem := w.Problem(); (problem != nil) != step.low {
			t.Errorf("%d MiB free, %v: problem %v", free/mib, fails, problem)
		}
	}
}

func TestWithoutAFloorNoDiskIsLow(t *testing.T) {
	w := newWatch("data", 0, func(string) (int64, error) { return 0, nil })
	if w.Low() || !w.Room() {
		t.Error("low, or without room")
	}
}

func TestAChangeIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var free atomic.Int64
		free.Store(100 * mib)
		w := newWatch("data", 80*mib, func(string) (int64, error) { return free.Load(), nil })
		told := make(chan bool)
		go w.Run(t.Context(), func() { told <- w.Low() })
		free.Store(10 * mib)
		if low := <-told; !low {
			t.Error("not low")
		}
		free.Store(100 * mib)
		if low := <-told; low {
			t.Error("still low")
		}
	})
}

func TestARealDiskHasRoom(t *testing.T) {
	if free, err := Free(t.TempDir()); err != nil || free <= 0 {
		t.Errorf("%d bytes, %v", free, err)
	}
	if _, err := Free("/no/such/directory"); err == nil {
		t.Error("a directory that does not exist has room")
	}
}
