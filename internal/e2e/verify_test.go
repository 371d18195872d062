package e2e_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"

	"tombola/httpapi/wire"
	"tombola/internal/testcluster"
)

// TestVerifyNamesEachWrongRowAndRepairPutsBackTheLost changes the send log by
// hand while draws go on.
func TestVerifyNamesEachWrongRowAndRepairPutsBackTheLost(t *testing.T) {
	my := testcluster.MariaDB(t)
	c := testcluster.Start(t, testcluster.Options{MySQL: my.DSN})
	db, err := sql.Open("mysql", my.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	create(t, c, "tea", counter(1_000_000))
	ids := make([]wire.GrantID, 24)
	for i := range ids {
		ids[i] = granted(t, c.Client(i%3), "tea", user(i), fmt.Sprint("r", i)).GrantID
	}
	lostVoid, lostVoided := ids[0], ids[1]
	for _, id := range []wire.GrantID{lostVoid, lostVoided} {
		if _, err := c.Client(0).Void(within(t), id, true); err != nil {
			t.Fatal(err)
		}
	}
	sunk(t, c)

	ctx, stop := context.WithCancel(t.Context())
	var draws atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(6, func(worker int) {
			for i := 0; ctx.Err() == nil; i++ {
				if _, err := c.Client(worker%3).Draw(ctx, "tea", fmt.Sprintf("w%d-%d", worker, i), "r"); err == nil {
					draws.Add(1)
				}
			}
		})
	}()
	defer func() { stop(); <-done }()

	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(query, err)
		}
	}
	// verify returns what it names: the kind by grant.
	verify := func(status int, args ...string) map[wire.GrantID]string {
		t.Helper()
		out, complaints, got, err := testcluster.Run(within(t), nil, append([]string{"verify", "-o", "json", "--server", c.URLs(), "--admin-token-file", c.TokenFile}, args...)...)
		var r struct {
			wire.Report
			Repaired wire.Report `json:"report"`
		}
		if err != nil || got != status {
			t.Fatalf("verify %v: exit status %d, want %d, %v\n%s%s", args, got, status, err, out, complaints)
		}
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("verify %v: %v\n%s%s", args, err, out, complaints)
		}
		named := map[wire.GrantID]string{}
		for _, d := range append(r.Discrepancies, r.Repaired.Discrepancies...) {
			if d.GrantID == 0 { // a number that is no grant id
				if _, err := fmt.Sscanf(d.Detail, "row %d:", &d.GrantID); err != nil {
					t.Errorf("%+v names no row", d)
				}
			}
			if named[d.GrantID] != "" {
				t.Errorf("%+v is named twice", d)
			}
			named[d.GrantID] = d.Kind
		}
		return named
	}
	expect := func(got, want map[wire.GrantID]string) {
		t.Helper()
		if !maps.Equal(got, want) {
			t.Fatalf("named %v\nwant %v", got, want)
		}
	}
	expect(verify(0), map[wire.GrantID]string{})

	lost := map[wire.GrantID]string{lostVoided: "missing_in_sink", lostVoid: "changed_in_sink"}
	exec("UPDATE send_log SET voided_at = NULL WHERE grant_id = ?", uint64(lostVoid))
	exec("DELETE FROM send_log WHERE grant_id = ?", uint64(lostVoided))
	for _, id := range ids[2:8] {
		exec("DELETE FROM send_log WHERE grant_id = ?", uint64(id))
		lost[id] = "missing_in_sink"
	}
	exec("CREATE TABLE good AS SELECT * FROM send_log WHERE grant_id IN (?,?,?,?,?,?,?)",
		uint64(ids[8]), uint64(ids[9]), uint64(ids[10]), uint64(ids[11]), uint64(ids[12]), uint64(ids[13]), uint64(ids[14]))
	left := map[wire.GrantID]string{}
	for i, change := range []string{
		"prize_id = 'coffee'", "user_id = CONCAT(user_id, ' ')", "code = ''", "request_id = NULL",
		"day = day + INTERVAL 1 DAY", "granted_at = granted_at + INTERVAL 1 MICROSECOND", "voided_at = granted_at",
	} {
		exec("UPDATE send_log SET "+change+" WHERE grant_id = ?", uint64(ids[8+i]))
		left[ids[8+i]] = "changed_in_sink"
	}
	foreign := []wire.GrantID{0<<48 | 7, 1 << 48, 2<<48 | 1<<40, 9<<48 | 1}
	for _, id := range foreign {
		exec("INSERT INTO send_log VALUES (?, 'tea', 'eve', NULL, NULL, '2026-01-02', '2026-01-02 03:04:05', NULL)", uint64(id))
		left[id] = "unknown_in_sink"
	}
	both := maps.Clone(left)
	maps.Copy(both, lost)
	expect(verify(1), both)
	expect(verify(1), both)

	expect(verify(1, "--repair-sink"), left)
	expect(verify(1, "--repair-sink"), left)
	expect(verify(1), left)

	for _, id := range foreign {
		exec("DELETE FROM send_log WHERE grant_id = ?", uint64(id))
	}
	exec("REPLACE INTO send_log SELECT * FROM good")
	expect(verify(0), map[wire.GrantID]string{})

	exec("UPDATE prize_send_num SET sent = sent + 5")
	if out, _, status, _ := testcluster.Run(within(t), nil, "verify", "--server", c.URLs(), "--admin-token-file", c.TokenFile); status != 1 {
		t.Errorf("a wrong total is not found:\n%s", out)
	}
	expect(verify(0, "--repair-sink"), map[wire.GrantID]string{})
	stop()
	<-done
	sunk(t, c)
	expect(verify(0), map[wire.GrantID]string{})
	rows := sendLog(t, db, "tea")
	for _, id := range ids {
		if r, ok := rows[id]; !ok || r.voided != slices.Contains(ids[:2], id) {
			t.Errorf("grant %s: %+v, %t", id, r, ok)
		}
	}
	t.Logf("%d draws were granted meanwhile", draws.Load())
}
