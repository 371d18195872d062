package e2e_test

import (
	"context"
	"database/sql"
	"strconv"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver that reads what the nodes wrote

	"tombola/httpapi/wire"
	"tombola/internal/testcluster"
)

// patience bounds waits for something that comes at once on an idle machine.
const patience = 90 * time.Second

// within returns a context for waiting.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// TestThreeServers has three servers, which send to one MySQL, show what they
// promise. Each part has prizes of its own.
//
// The election timeout is longer than the default: nothing fails here, and a
// busy machine should not look like a failure.
func TestThreeServers(t *testing.T) {
	database := testcluster.MariaDB(t)
	db, err := sql.Open("mysql", database.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	c := testcluster.Start(t, testcluster.Options{MySQL: database.DSN, Election: 3 * time.Second})
	for _, part := range []struct {
		name string
		test func(*testing.T, *testcluster.Cluster, *sql.DB)
	}{
		{"limits hold exactly across servers", limitsHoldExactlyAcrossServers},
		{"quota comes to where it is drawn", quotaComesToWhereItIsDrawn},
		{"last tokens meet", lastTokensMeet},
		{"many prizes at once", manyPrizesAtOnce},
		{"users get no more than their limit", usersGetNoMoreThanTheirLimit},
		{"a request id is granted once", aRequestIDIsGrantedOnce},
		{"a void with restock gives the token back", aVoidWithRestockGivesTheTokenBack},
		{"days are those of the prize's zone", daysAreThoseOfThePrizesZone},
		{"bad input changes nothing", badInputChangesNothing},
		{"operators see the cluster", operatorsSeeTheCluster},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, c, db) })
	}
	for _, n := range c.Nodes {
		for _, line := range n.Logged("level=ERROR", "panic:", "fatal error:") {
			t.Errorf("%s logged: %s", n.ID, line)
		}
	}
}

// counter returns the definition of a prize without limits.
func counter(total int64) wire.PrizeSpec {
	return wire.PrizeSpec{Kind: wire.KindCounter, Total: total, Timezone: wire.DefaultTimezone}
}

// noon returns a time zone in which the date does not change for hours.
func noon() string {
	behind := time.Now().UTC().Hour() - 12 // Etc/GMT+5 is five hours behind UTC
	if behind >= 0 {
		return "Etc/GMT+" + strconv.Itoa(behind)
	}
	return "Etc/GMT" + strconv.Itoa(behind)
}

func create(t testing.TB, c *testcluster.Cluster, prize string, spec wire.PrizeSpec) {
	t.Helper()
	if _, err := c.Client(0).Put(within(t), prize, spec); err != nil {
		t.Fatalf("create %s: %v", prize, err)
	}
}

// granted draws, and fails the test unless that is granted.
func granted(t testing.TB, c *testcluster.Client, prize, user, requestID string) wire.DrawResult {
	t.Helper()
	return answered(t, c, prize, user, requestID, wire.Granted)
}

// answered draws, and fails the test unless that has the given outcome.
func answered(t testing.TB, c *testcluster.Client, prize, user, requestID string, want wire.Outcome) wire.DrawResult {
	t.Helper()
	r, err := c.Draw(within(t), prize, user, requestID)
	if err != nil || r.Outcome != want {
		t.Fatalf("draw of %s by %s as %q at %s: %s, %v; want %s", prize, user, requestID, c.URL, r.Outcome, err, want)
	}
	return r
}

// row is a row of the send log.
type row struct {
	user, requestID, day string
	voided               bool
}

// sunk waits until MySQL has all that was granted and voided.
func sunk(t testing.TB, c *testcluster.Cluster) {
	t.Helper()
	if err := c.WaitSunk(within(t)); err != nil {
		t.Fatal(err)
	}
}

// sendLog returns the rows of a prize.
func sendLog(t testing.TB, db *sql.DB, prize string) map[wire.GrantID]row {
	t.Helper()
	found, err := db.QueryContext(t.Context(), "SELECT grant_id, user_id, COALESCE(request_id, ''), day, voided_at IS NOT NULL FROM send_log WHERE prize_id = ?", prize)
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	rows := make(map[wire.GrantID]row)
	for found.Next() {
		var id uint64
		var r row
		if err := found.Scan(&id, &r.user, &r.requestID, &r.day, &r.voided); err != nil {
			t.Fatal(err)
		}
		rows[wire.GrantID(id)] = r
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// holdsExactly fails the test unless the send log has the given grants of a
// prize and no other, and the totals say so too.
func holdsExactly(t testing.TB, db *sql.DB, prize string, users map[wire.GrantID]string) {
	t.Helper()
	rows := sendLog(t, db, prize)
	for id, user := range users {
		if r, ok := rows[id]; !ok {
			t.Errorf("grant %s to %s is not in the send log", id, user)
		} else if r.user != user {
			t.Errorf("grant %s to %s is in the send log as one to %s", id, user, r.user)
		}
	}
	if len(rows) != len(users) {
		t.Errorf("%s: the send log has %d rows for %d grants", prize, len(rows), len(users))
	}
	sent, daily := totals(t, db, prize)
	if sent != int64(len(users)) || daily != sent {
		t.Errorf("%s: totals say %d, those by day %d, for %d grants", prize, sent, daily, len(users))
	}
}

// totals returns what MySQL's mirrored totals say of a prize.
func totals(t testing.TB, db *sql.DB, prize string) (sent, daily int64) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), "SELECT COALESCE(SUM(sent), 0) FROM prize_send_num WHERE prize_id = ?", prize).Scan(&sent); err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRowContext(t.Context(), "SELECT COALESCE(SUM(sent), 0) FROM daily_send WHERE prize_id = ?", prize).Scan(&daily); err != nil {
		t.Fatal(err)
	}
	return sent, daily
}

// verified runs `tombola verify`, which must find nothing.
func verified(t testing.TB, c *testcluster.Cluster) {
	t.Helper()
	out, complaints, status, err := testcluster.Run(within(t), nil, "verify", "--server", c.URLs(), "--admin-token-file", c.TokenFile)
	if err != nil || status != 0 {
		t.Errorf("tombola verify: exit status %d, %v\n%s%s", status, err, out, complaints)
	}
}
