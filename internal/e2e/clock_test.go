package e2e_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tombola/httpapi/wire"
	"tombola/internal/testcluster"
)

// TestAClockThatJumps sets the clock of one server after the other wrong, by
// minutes, hours and more than a day either way, while draws go on. What that
// server led goes on elsewhere, nothing is ever dated by its clock, and once
// that is right again it leads as before.
func TestAClockThatJumps(t *testing.T) {
	const daily = 6000
	database := testcluster.MariaDB(t)
	db, err := sql.Open("mysql", database.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	c := testcluster.Start(t, testcluster.Options{MySQL: database.DSN, Clocks: true})
	began := time.Now()
	spec := counter(1_000_000)
	spec.DailyLimit, spec.PerUserLimit, spec.Timezone = new(int64(daily)), new(int64(1)), noon()
	create(t, c, "day", spec)
	spec = counter(1_000_000)
	spec.StartsAt, spec.EndsAt = new(wire.TimeOf(began.Add(-time.Hour))), new(wire.TimeOf(began.Add(time.Hour)))
	create(t, c, "window", spec)
	must(t, c.WaitSpread(within(t)))

	l := newLoad(t, c)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var next atomic.Int64
	loaded := make(chan struct{})
	go func() {
		defer close(loaded)
		run(6, func(worker int) {
			pace := time.NewTicker(25 * time.Millisecond)
			defer pace.Stop()
			for ctx.Err() == nil {
				no := int(next.Add(1))
				d := draw{node: worker % len(c.Nodes), prize: "day", user: user(no), requestID: "r"}
				if no%2 == 0 {
					d.prize = "window"
				}
				l.one(t.Context(), d)
				select {
				case <-ctx.Done():
				case <-pace.C:
				}
			}
		})
	}()
	for i, by := range []time.Duration{25 * time.Hour, -25 * time.Hour, 5 * time.Minute, -3 * time.Hour} {
		start := time.Now()
		wrongFor(t, c, l, i%len(c.Nodes), by)
		t.Logf("wrong by %s and back: %s", by, time.Since(start).Round(100*time.Millisecond))
	}
	stop()
	<-loaded

	// The rest of the day is drawn at once: its limit is exact.
	run(24, func(worker int) {
		for t.Context().Err() == nil {
			r := l.one(t.Context(), draw{node: worker % len(c.Nodes), prize: "day", user: user(int(next.Add(1))), requestID: "r"})
			if r.err != nil || r.result.Outcome != wire.Granted {
				return
			}
		}
	})
	all := l.answers()
	mustBeAnswered(t, all)
	byPrize := make(map[string][]drawn)
	for i := range all {
		byPrize[all[i].prize] = append(byPrize[all[i].prize], all[i])
	}
	if n := outcomes(byPrize["window"]); n[wire.Granted] != len(byPrize["window"]) {
		t.Errorf("a prize that is open for an hour yet: %v", n)
	}
	if n := outcomes(byPrize["day"]); n[wire.Granted] != daily || n[wire.DailyLimit] != len(byPrize["day"])-daily {
		t.Errorf("a daily limit of %d: %v", daily, n)
	}
	neverRefusedWithTokensLeft(t, byPrize["day"])
	datedRight(t, l, all)
	sunk(t, c)
	zone, err := time.LoadLocation(noon())
	must(t, err)
	for prize, today := range map[string]string{"day": began.In(zone).Format(time.DateOnly), "window": ""} {
		holdsExactly(t, db, prize, grantsOf(t, byPrize[prize]))
		datesInTheLog(t, db, prize, began, today)
	}
	verified(t, c)
	t.Logf("%d draws in %s, %d of them sent again", len(all), time.Since(began).Round(time.Second), repeated(all))
}

// wrongFor sets one server's clock wrong until it has handed over what it led
// and the others have granted for it, and then right again until it leads.
func wrongFor(t *testing.T, c *testcluster.Cluster, l *load, node int, by time.Duration) {
	t.Helper()
	n := c.Nodes[node]
	slice := sliceLedBy(t, c, n.ID)
	must(t, n.SetClock(by))
	unready(t, c, node)
	for _, want := range []struct{ path, text string }{{"/readyz?verbose", "clock is off"}, {"/metrics", "tombola_clock_off 1"}} {
		must(t, testcluster.Until(within(t), func(ctx context.Context) error {
			a, err := c.Client(node).Do(ctx, http.MethodGet, want.path, nil, http.Header{"Authorization": {"Bearer " + c.Token}})
			if err == nil && !strings.Contains(string(a.Body), want.text) {
				err = fmt.Errorf("%s does not say %q: %s", want.path, want.text, a.Body)
			}
			return err
		}))
	}
	must(t, testcluster.Until(within(t), func(ctx context.Context) error {
		state, err := c.Client((node + 1) % len(c.Nodes)).Cluster(ctx)
		if err != nil {
			return err
		}
		for _, g := range state.Groups {
			if g.Leader == n.ID || g.Leader == "" {
				return fmt.Errorf("%s, off by %s: %s is led by %q", n.ID, by, g.Name, g.Leader)
			}
		}
		return nil
	}))
	grantsFrom(t, l, slice)
	must(t, n.SetClock(0))
	must(t, c.WaitReady(within(t)))
	must(t, c.WaitSpread(within(t)))
	grantsFrom(t, l, sliceLedBy(t, c, n.ID))
}

// sliceLedBy returns a slice that a server leads.
func sliceLedBy(t testing.TB, c *testcluster.Cluster, node string) uint16 {
	t.Helper()
	state, err := c.Client(0).Cluster(within(t))
	must(t, err)
	for _, g := range state.Groups[1:] {
		if g.Leader == node {
			return uint16(g.Group)
		}
	}
	t.Fatalf("%s leads no slice: %+v", node, state.Groups)
	return 0
}

// grantsFrom waits until a slice has granted a few draws that were made from now
// on.
func grantsFrom(t testing.TB, l *load, slice uint16) {
	t.Helper()
	from := time.Since(l.began)
	must(t, testcluster.Until(within(t), func(context.Context) error {
		n := 0
		for _, d := range l.answers() {
			if d.start > from && d.result.Outcome == wire.Granted && uint16(d.result.GrantID>>48) == slice {
				n++
			}
		}
		if n < 3 {
			return fmt.Errorf("slice %d has granted %d draws", slice, n)
		}
		return nil
	}))
}

// datedRight fails the test for grants whose time is not that of the draw.
func datedRight(t testing.TB, l *load, all []drawn) {
	t.Helper()
	const tolerance = 2 * time.Second
	for i := range all {
		d := &all[i]
		if d.err != nil || d.result.Outcome != wire.Granted {
			continue
		}
		at := d.result.GrantedAt.Time()
		if early, late := l.began.Add(d.start-tolerance), l.began.Add(d.end+tolerance); at.Before(early) || at.After(late) {
			t.Fatalf("%+v was sent at %s, granted at %s and answered at %s", d.draw, l.began.Add(d.start), at, l.began.Add(d.end))
		}
	}
}

// datesInTheLog fails the test for rows that were granted at another time than
// since began, or, where today is known, on another day.
func datesInTheLog(t testing.TB, db *sql.DB, prize string, began time.Time, today string) {
	t.Helper()
	var wrong int
	err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM send_log WHERE prize_id = ? AND (granted_at < ? OR granted_at > ? OR ? <> '' AND day <> ?)",
		prize, began.UTC().Add(-2*time.Second), time.Now().UTC().Add(2*time.Second), today, today).Scan(&wrong)
	if err != nil || wrong > 0 {
		t.Errorf("%s: %d rows have a wrong date, %v", prize, wrong, err)
	}
}
