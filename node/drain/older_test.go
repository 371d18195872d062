package drain

import (
	"database/sql"
	"testing"

	_ "github.com/go-sql-driver/mysql" // the driver that restores the copy

	"tombola/internal/testcluster"
	"tombola/persist"
)

// TestARestoredOlderStateIsSentWhatItLacks has a real database go back to a
// copy of itself while the slice goes on.
func TestARestoredOlderStateIsSentWhatItLacks(t *testing.T) {
	maria := testcluster.MariaDB(t)
	store, err := persist.Open(t.Context(), persist.Config{Driver: persist.DriverMySQL, DSN: maria.DSN, ClusterID: "c1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	db, err := sql.Open("mysql", maria.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	at := func(n uint64) func() bool {
		return func() bool {
			found, err := store.Checkpoint(t.Context(), 1)
			return err == nil && found == n
		}
	}
	w := newWorld(t, 5000)
	w.d.cfg.Sink = store
	w.run()
	w.await("the sink has the first part", at(5000))
	w.stop()
	<-w.done
	tables := []string{"send_log", "prize_send_num", "daily_send", "sink_checkpoint"}
	for _, table := range tables {
		if _, err := db.Exec("CREATE TABLE old_" + table + " AS SELECT * FROM " + table); err != nil {
			t.Fatal(err)
		}
	}
	w.grant(5000)
	w.run()
	w.await("the sink has both parts", at(10_000))
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		for _, statement := range []string{"DELETE FROM " + table, "INSERT INTO " + table + " SELECT * FROM old_" + table} {
			if _, err := tx.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	w.grant(10)
	w.await("the sink has all again", at(10_010))
	var rows, sent, daily int
	err = db.QueryRow("SELECT (SELECT COUNT(*) FROM send_log), (SELECT SUM(sent) FROM prize_send_num), (SELECT SUM(sent) FROM daily_send)").Scan(&rows, &sent, &daily)
	if err != nil || rows != 10_010 || sent != rows || daily != rows {
		t.Errorf("%d rows, totals %d and %d (%v), want 10010", rows, sent, daily, err)
	}
}
