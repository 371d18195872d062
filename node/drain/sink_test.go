package drain

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tombola/persist"
)

func sqlite(path, cluster string) persist.Config {
	return persist.Config{Driver: persist.DriverSQLite, Path: path, ClusterID: cluster, Logger: slog.New(slog.DiscardHandler)}
}

func TestASinkThatIsAwayAtTheStartIsOpenedLater(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := Open(t.Context(), sqlite(filepath.Join(dir, "tombola.db"), "c1"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("a sink that is away keeps a node from starting: %v", err)
	}
	if _, err := o.Checkpoint(t.Context(), 1); !errors.Is(err, ErrAway) {
		t.Fatalf("checkpoint: %v", err)
	}
	if err := o.Write(t.Context(), 1, 0, nil); !errors.Is(err, ErrAway) {
		t.Fatalf("write: %v", err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	o.Run(ctx) // until it is open
	if at, err := o.Checkpoint(t.Context(), 1); err != nil || at != 0 {
		t.Fatalf("checkpoint %d, %v", at, err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestASinkThatStaysAwayEndsWithTheNode(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "never")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := Open(t.Context(), sqlite(filepath.Join(dir, "tombola.db"), "c1"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	o.Run(ctx)
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAnotherClustersDatabaseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tombola.db")
	o, err := Open(t.Context(), sqlite(path, "c1"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), sqlite(path, "c2"), slog.New(slog.DiscardHandler)); !errors.Is(err, persist.ErrForeignCluster) {
		t.Fatalf("opened another cluster's database: %v", err)
	}
}
