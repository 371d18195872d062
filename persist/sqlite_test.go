package persist_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"tombola/persist"
)

func TestSQLiteCommitsAreDurableAndReadersDoNotBlock(t *testing.T) {
	db := newDatabase(t, persist.DriverSQLite)
	s := db.open(t)
	var mode string
	must(t, db.raw.QueryRow("PRAGMA journal_mode").Scan(&mode))
	if mode != "wal" {
		t.Errorf("journal mode %s", mode)
	}
	tx, err := db.raw.Begin()
	must(t, err)
	defer func() { _ = tx.Rollback() }()
	_, err = tx.Exec("UPDATE tombola_cluster SET cluster_id = cluster_id") // takes the write lock
	must(t, err)
	expectPrefix(t, s, 1, 0)
}

func TestABatchCutOffWhileAnotherProcessWritesLeavesNothing(t *testing.T) {
	db := newDatabase(t, persist.DriverSQLite)
	s := db.open(t)
	must(t, s.Write(t.Context(), 1, 0, events(0, 10)))
	tx, err := db.raw.Begin()
	must(t, err)
	defer func() { _ = tx.Rollback() }()
	_, err = tx.Exec("UPDATE tombola_cluster SET cluster_id = cluster_id")
	must(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := s.Write(ctx, 1, 10, events(10, 10)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("want the deadline's error, got %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the deadline of 50 ms was kept after %s", took)
	}
	must(t, tx.Rollback())
	expectPrefix(t, s, 1, 10)
	must(t, s.Write(t.Context(), 1, 10, events(10, 10)))
}
