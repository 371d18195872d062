package persist_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/go-sql-driver/mysql"

	"tombola/persist"
)

// blockTotals locks the row of tv's total, as another stream's writer does,
// and returns the transaction that holds it.
func blockTotals(t *testing.T, db *database) *sql.Tx {
	t.Helper()
	tx, err := db.raw.BeginTx(t.Context(), nil)
	must(t, err)
	t.Cleanup(func() { _ = tx.Rollback() })
	_, err = tx.Exec("INSERT INTO prize_send_num (prize_id, sent) VALUES ('tv', 0)")
	must(t, err)
	return tx
}

func awaitBlockedWriter(t *testing.T, db *database) {
	t.Helper()
	eventually(t, "a writer that waits for the lock", func() bool {
		return db.int(t, "SELECT VARIABLE_VALUE FROM information_schema.global_status"+
			" WHERE VARIABLE_NAME = 'Innodb_row_lock_current_waits'") == 1
	})
}

func TestABatchCancelledInTheMiddleLeavesNothing(t *testing.T) {
	db := newDatabase(t, persist.DriverMySQL)
	s := db.open(t)
	blocker := blockTotals(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.Write(ctx, 1, 0, []persist.Row{grant(1), grant(2)}) }()
	awaitBlockedWriter(t, db)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("want context.Canceled, got %v", err)
	}
	must(t, blocker.Rollback())
	must(t, s.Write(t.Context(), 1, 0, []persist.Row{grant(1)}))
	if last, counts, err := countsOf(t, s, 1); err != nil || last != 1 || counts["tv"].Rows != 1 {
		t.Errorf("the stream is at %d with %v (%v)", last, counts, err)
	}
	expectBalanced(t, s)
}

func TestADeadlockedBatchIsDoneAgain(t *testing.T) {
	db := newDatabase(t, persist.DriverMySQL)
	s := db.open(t)
	_, err := s.Checkpoint(t.Context(), 1)
	must(t, err)
	blocker := blockTotals(t, db)
	// The server gives up the transaction that changed less: not this one.
	_, err = blocker.Exec("INSERT INTO coupon_code (prize_id, code, status, generation)" +
		" SELECT 'tv', seq, 'available', 1 FROM seq_1_to_5000")
	must(t, err)
	done := make(chan error, 1)
	go func() { done <- s.Write(t.Context(), 1, 0, []persist.Row{grant(1), grant(2)}) }()
	awaitBlockedWriter(t, db)
	_, err = blocker.Exec("SELECT last_seq FROM sink_checkpoint WHERE stream = 1 FOR UPDATE")
	must(t, err) // the writer holds that row: one of the two is given up
	must(t, blocker.Commit())
	must(t, <-done)
	if deadlocks := db.int(t, "SELECT VARIABLE_VALUE FROM information_schema.global_status"+
		" WHERE VARIABLE_NAME = 'Innodb_deadlocks'"); deadlocks == 0 {
		t.Error("there was no deadlock: the test shows nothing")
	}
	if last, counts, err := countsOf(t, s, 1); err != nil || last != 2 || counts["tv"].Rows != 2 {
		t.Errorf("the stream is at %d with %v (%v)", last, counts, err)
	}
	expectBalanced(t, s)
}

// A failover may leave a connection on a server that is now a replica.
func TestAReadOnlyServerIsLeftAndTheBatchWrittenLater(t *testing.T) {
	db := newDatabase(t, persist.DriverMySQL)
	s := db.open(t)
	must(t, s.Write(t.Context(), 1, 0, events(0, 10)))
	_, err := db.raw.Exec("CREATE USER IF NOT EXISTS plain@'127.0.0.1' IDENTIFIED BY 'plain'")
	must(t, err)
	_, err = db.raw.Exec("GRANT SELECT, INSERT, UPDATE, CREATE, INDEX ON *.* TO plain@'127.0.0.1'")
	must(t, err)
	t.Cleanup(func() { _, _ = db.raw.Exec("SET GLOBAL read_only = 0") })
	db.cfg.DSN = asUser(t, db.cfg.DSN, "plain")
	s = db.open(t) // without the right to write to a read-only server
	_, err = db.raw.Exec("SET GLOBAL read_only = 1")
	must(t, err)
	if err := s.Write(t.Context(), 1, 10, events(10, 10)); err == nil {
		t.Error("a read-only server took a batch")
	}
	_, err = db.raw.Exec("SET GLOBAL read_only = 0")
	must(t, err)
	must(t, s.Write(t.Context(), 1, 10, events(10, 10)))
	expectPrefix(t, s, 1, 20)
}

// asUser is the data source name for another user, whose password is its name.
func asUser(t *testing.T, dsn, user string) string {
	t.Helper()
	cfg, err := mysql.ParseDSN(dsn)
	must(t, err)
	cfg.User, cfg.Passwd = user, user
	return cfg.FormatDSN()
}
