package node

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// An empty log under an old name could outvote what was acknowledged, together
// with one replica that lags.
func TestAServerThatLostALogDoesNotStartWithoutIt(t *testing.T) {
	dir := t.TempDir()
	n := start(t, alone(t, dir))
	ready(t, n)
	end(t, n)
	if err := os.RemoveAll(filepath.Join(dir, "groups")); err != nil {
		t.Fatal(err)
	}
	n = start(t, alone(t, dir))
	defer end(t, n)
	select {
	case err := <-n.Failed():
		if !errors.Is(err, ErrLogLost) {
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatal("it started with an empty log")
	}
}
