package persist_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"tombola/internal/testcluster"
	"tombola/persist"
)

func TestNoRowGoesToAnotherClustersSchema(t *testing.T) {
	onEach(t, func(t *testing.T, db *database) {
		s := db.open(t)
		must(t, s.Write(t.Context(), 1, 0, events(0, 10)))
		// The schema behind the name is replaced while the store is open, with
		// a checkpoint that would do.
		_, err := db.raw.Exec("UPDATE tombola_cluster SET cluster_id = 'c-2'")
		must(t, err)
		if err := s.Write(t.Context(), 1, 10, events(10, 10)); !errors.Is(err, persist.ErrForeignCluster) {
			t.Errorf("write: %v", err)
		}
		if err := s.Write(t.Context(), 2, 0, events(0, 10)); !errors.Is(err, persist.ErrForeignCluster) {
			t.Errorf("write of a new stream: %v", err)
		}
		if _, err := s.Checkpoint(t.Context(), 1); !errors.Is(err, persist.ErrForeignCluster) {
			t.Errorf("checkpoint: %v", err)
		}
		_, err = db.raw.Exec("UPDATE tombola_cluster SET cluster_id = 'c-1'")
		must(t, err)
		expectPrefix(t, s, 1, 10)
		must(t, s.Write(t.Context(), 1, 10, events(10, 10)))
		expectPrefix(t, s, 1, 20)
	})
}

func TestASchemaThatWasMadeAgainIsFilledFromTheStart(t *testing.T) {
	db := newDatabase(t, persist.DriverMySQL)
	s := db.open(t)
	must(t, s.Write(t.Context(), 1, 0, events(0, 10)))
	cfg, err := mysql.ParseDSN(db.cfg.DSN)
	must(t, err)
	_, err = db.raw.Exec("DROP DATABASE " + cfg.DBName)
	must(t, err)
	if err := s.Write(t.Context(), 1, 10, events(10, 10)); err == nil {
		t.Error("a schema that is gone took a batch")
	}
	if _, err := s.Checkpoint(t.Context(), 1); err == nil {
		t.Error("a schema that is gone has a checkpoint")
	}
	_, err = db.raw.Exec("CREATE DATABASE " + cfg.DBName)
	must(t, err)
	at, err := s.Checkpoint(t.Context(), 1)
	if err != nil || at != 0 {
		t.Fatalf("checkpoint %d, %v", at, err)
	}
	must(t, s.Write(t.Context(), 1, 0, events(0, 20)))
	expectPrefix(t, s, 1, 20)
}

func TestAReadOnlyServerIsQuoted(t *testing.T) {
	db := newDatabase(t, persist.DriverMySQL)
	_, err := db.raw.Exec("CREATE USER IF NOT EXISTS plain@'127.0.0.1' IDENTIFIED BY 'plain'")
	must(t, err)
	_, err = db.raw.Exec("GRANT SELECT, INSERT, UPDATE, CREATE, INDEX ON *.* TO plain@'127.0.0.1'")
	must(t, err)
	t.Cleanup(func() { _, _ = db.raw.Exec("SET GLOBAL read_only = 0") })
	db.cfg.DSN = asUser(t, db.cfg.DSN, "plain")
	s := db.open(t)
	_, err = db.raw.Exec("SET GLOBAL read_only = 1")
	must(t, err)
	err = s.Write(t.Context(), 1, 0, events(0, 10))
	if err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("write: %v", err)
	}
	var open int64
	must(t, db.raw.QueryRow("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'plain'").Scan(&open))
	if open > 0 {
		t.Errorf("%d connections to the read-only server are kept", open)
	}
}

// behindProxy has the store reach the database through a proxy.
func behindProxy(t *testing.T) (*database, *testcluster.Proxy) {
	t.Helper()
	db := newDatabase(t, persist.DriverMySQL)
	cfg, err := mysql.ParseDSN(db.cfg.DSN)
	must(t, err)
	p := testcluster.NewProxy(t, cfg.Addr)
	cfg.Addr = p.Addr
	db.cfg.DSN = cfg.FormatDSN()
	return db, p
}

func TestACommitWhoseReplyWasCutIsFoundInTheCheckpoint(t *testing.T) {
	db, p := behindProxy(t)
	s := db.open(t)
	must(t, s.Write(t.Context(), 1, 0, events(0, 10)))
	p.CutReplyTo("COMMIT")
	if err := s.Write(t.Context(), 1, 10, events(10, 10)); err == nil {
		t.Error("a reply that never came was good")
	}
	if p.Cuts() != 1 {
		t.Fatalf("%d replies were cut", p.Cuts())
	}
	var fenced *persist.FencedError
	if err := s.Write(t.Context(), 1, 10, events(10, 10)); !errors.As(err, &fenced) || fenced.Found != 20 {
		t.Errorf("the same batch again: %v", err)
	}
	expectPrefix(t, s, 1, 20)
	expectBalanced(t, s)
}

func TestADatabaseThatSaysNothingIsGivenUpWithItsContext(t *testing.T) {
	db, p := behindProxy(t)
	s := db.open(t)
	must(t, s.Write(t.Context(), 1, 0, events(0, 10)))
	p.Hush()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := s.Checkpoint(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("checkpoint: %v", err)
	}
	if err := s.Write(ctx, 1, 10, events(10, 10)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("write: %v", err)
	}
	p.Speak()
	at, err := s.Checkpoint(t.Context(), 1)
	must(t, err)
	if at == 10 { // it may also have arrived late
		must(t, s.Write(t.Context(), 1, 10, events(10, 10)))
	}
	expectPrefix(t, s, 1, 20)
}
