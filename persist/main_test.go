package persist_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tombola/allocator"
	"tombola/internal/testcluster"
	"tombola/persist"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("tombola/internal/testcluster.runSpawner"))
}

// database is a fresh, empty database of one kind.
type database struct {
	cfg persist.Config
	raw *sql.DB // for looking behind the store's back
}

// onEach runs a test against SQLite and against MariaDB.
func onEach(t *testing.T, test func(t *testing.T, db *database)) {
	t.Helper()
	for _, driver := range []string{persist.DriverSQLite, persist.DriverMySQL} {
		t.Run(driver, func(t *testing.T) { test(t, newDatabase(t, driver)) })
	}
}

func newDatabase(t testing.TB, driver string) *database {
	t.Helper()
	cfg := persist.Config{Driver: driver, ClusterID: "c-1"}
	var source string
	if driver == persist.DriverSQLite {
		// A name that has to be escaped in a URL.
		folder := filepath.Join(t.TempDir(), "new folder")
		cfg.Path = filepath.Join(folder, "sink?#%41.db")
		source = "file:" + folder + "/sink%3F%23%2541.db?_busy_timeout=10000"
	} else {
		cfg.DSN = testcluster.MariaDB(t).DSN
		source = cfg.DSN
	}
	db := &database{cfg: cfg}
	must(t, db.open(t).Close()) // creates the file and the tables
	raw, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	db.raw = raw
	return db
}

// open opens one more store, as another node would.
func (db *database) open(t testing.TB) *persist.Store {
	t.Helper()
	s, err := persist.Open(t.Context(), db.cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (db *database) int(t testing.TB, query string, args ...any) (n int64) {
	t.Helper()
	if err := db.raw.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

var start = time.Date(2026, 11, 22, 15, 30, 0, 123456000, time.UTC)

// grant is the event of a grant of prize "tv" to user u<seq>.
func grant(seq uint64) persist.Row {
	at := start.Add(time.Duration(seq) * time.Millisecond)
	return persist.Row{Prize: "tv", Event: allocator.Event{
		Seq: seq, Kind: allocator.EventGrant, Prize: 1, At: allocator.MicrosOf(at), Day: allocator.DayOf(at),
		User: fmt.Appendf(nil, "u%d", seq), RequestID: fmt.Appendf(nil, "r%d", seq),
	}}
}

// void is the event that takes the grant back, a day later.
func void(seq uint64, of persist.Row) persist.Row {
	at := start.Add(24*time.Hour + time.Duration(seq)*time.Millisecond)
	return persist.Row{Prize: of.Prize, Event: allocator.Event{
		Seq: seq, Kind: allocator.EventVoid, Prize: 1, At: allocator.MicrosOf(at), Day: of.Event.Day,
		Grant: of.Event.Seq, Restock: seq%2 == 0,
	}}
}

// event is the event at seq of an endless history in which every seventh event
// voids the grant three before it. Grants are of several prizes and days.
func event(seq uint64) persist.Row {
	if seq%7 == 0 {
		return void(seq, event(seq-3))
	}
	row := grant(seq)
	row.Prize = fmt.Sprintf("prize-%d", seq%3)
	row.Event.Day += allocator.Day(seq % 5)
	return row
}

// events returns that history after a sequence, n events long.
func events(after uint64, n int) []persist.Row {
	rows := make([]persist.Row, n)
	for i := range rows {
		rows[i] = event(after + 1 + uint64(i))
	}
	return rows
}

// countsAt says what the history leaves in the send log up to a sequence.
func countsAt(last uint64) map[string]persist.Counts {
	want := map[string]persist.Counts{}
	for seq := uint64(1); seq <= last; seq++ {
		row := event(seq)
		c := want[row.Prize]
		if row.Event.Kind == allocator.EventGrant {
			c.Rows++
		} else {
			c.Voided++
		}
		want[row.Prize] = c
	}
	return want
}

// countsOf returns a stream's checkpoint and how many rows it has of each prize,
// both as of one instant.
func countsOf(t *testing.T, s *persist.Store, stream uint16) (last uint64, perPrize map[string]persist.Counts, err error) {
	err = s.View(t.Context(), stream, func(v *persist.View) error {
		last, perPrize = v.Last, v.Counts
		return nil
	})
	return last, perPrize, err
}

// expectPrefix fails unless the stream stands at last and the database holds
// exactly that much of its history, with totals to match.
func expectPrefix(t *testing.T, s *persist.Store, stream uint16, last uint64) {
	t.Helper()
	at, counts, err := countsOf(t, s, stream)
	if err != nil {
		t.Fatal(err)
	}
	if at != last || !reflect.DeepEqual(counts, countsAt(last)) {
		t.Errorf("stream %d is at %d with %v, want %d with %v", stream, at, counts, last, countsAt(last))
	}
	expectBalanced(t, s)
}

func expectBalanced(t *testing.T, s *persist.Store) {
	t.Helper()
	books, err := s.Books(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if wrong := books.Mismatches(); len(wrong) > 0 {
		t.Errorf("totals that the send log does not add up to: %+v", wrong)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
