package persist_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tombola/internal/testcluster"
	"tombola/persist"
)

// TestAFullDatabaseIsQuotedAndGoesOnWithRoom needs the right to mount a small
// file system.
func TestAFullDatabaseIsQuotedAndGoesOnWithRoom(t *testing.T) {
	dir := t.TempDir()
	testcluster.NewSmallDisk(t, dir, 300<<20)
	maria := testcluster.StartMariaDB(t, dir)
	s, err := persist.Open(t.Context(), persist.Config{Driver: persist.DriverMySQL, DSN: maria.DSN, ClusterID: "c-1"})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })

	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	must(t, err)
	if _, err := io.Copy(f, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
	must(t, f.Close())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	at := uint64(0)
	for err == nil && at < 2_000_000 {
		if err = s.Write(ctx, 1, at, events(at, 4000)); err == nil {
			at += 4000
		}
	}
	if err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("after %d rows: %v", at, err)
	}
	must(t, os.Remove(filler))
	found, err := s.Checkpoint(t.Context(), 1)
	must(t, err)
	if found != at {
		t.Fatalf("checkpoint %d, want %d: a refused batch was kept", found, at)
	}
	must(t, s.Write(t.Context(), 1, at, events(at, 4000)))
	last, _, err := countsOf(t, s, 1)
	must(t, err)
	if last != at+4000 {
		t.Errorf("the stream is at %d", last)
	}
	expectBalanced(t, s)
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
