package e2e_test

import (
	"database/sql"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"tombola/httpapi/wire"
	"tombola/internal/testcluster"
)

// TestMidnight has the date change while prizes with a daily limit are drawn:
// first in three zones at once, two of them a whole day apart, then in one after
// the other, a quarter of an hour from each other. All servers' clocks are set on
// together in between, as by an operator. On both sides of each midnight the
// limit is exact, and nothing is refused for want of the other day's tokens.
func TestMidnight(t *testing.T) {
	const daily = 400
	type night struct {
		hour, minute int // of midnight, UTC
		zones        []string
	}
	nights := []night{
		{10, 0, []string{"Pacific/Kiritimati", "Pacific/Honolulu", "Pacific/Rarotonga"}},
		{18, 15, []string{"Asia/Kathmandu"}},
		{18, 30, []string{"Asia/Kolkata"}},
	}
	// The clocks begin an hour before the first midnight of tomorrow.
	year, month, day := time.Now().UTC().AddDate(0, 0, 1).Date()
	midnight := func(n night) time.Time { return time.Date(year, month, day, n.hour, n.minute, 0, 0, time.UTC) }
	database := testcluster.MariaDB(t)
	db, err := sql.Open("mysql", database.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	c := testcluster.Start(t, testcluster.Options{
		MySQL: database.DSN, Election: 3 * time.Second, Clocks: true, Clock: time.Until(midnight(nights[0]).Add(-time.Hour)),
	})
	prize := func(zone string) string { return "in-" + zone[len(zone)-5:] }
	for _, n := range nights {
		for _, zone := range n.zones {
			spec := counter(1_000_000)
			spec.DailyLimit, spec.Timezone = new(int64(daily)), zone
			create(t, c, prize(zone), spec)
		}
	}
	for _, n := range nights {
		const before = 4 * time.Second
		offset := time.Until(midnight(n).Add(-before))
		for _, node := range c.Nodes {
			must(t, node.SetClock(offset))
		}
		must(t, c.WaitReady(within(t)))
		l := newLoad(t, c)
		at := midnight(n).Sub(l.began.Add(offset)) // midnight, since the load began
		drawThrough(t, l, at, len(n.zones), func(i int) string { return prize(n.zones[i]) })
		all := l.answers()
		mustBeAnswered(t, all)
		sunk(t, c)
		for _, zone := range n.zones {
			location, err := time.LoadLocation(zone)
			must(t, err)
			today := midnight(n).In(location)
			if h, m, s := today.Clock(); h+m+s != 0 {
				t.Fatalf("it is not midnight in %s but %s", zone, today)
			}
			exactAroundMidnight(t, db, prize(zone), at, ofPrize(all, prize(zone)), today, daily)
		}
	}
	verified(t, c)
}

// drawThrough draws each of the prizes from well before midnight until all who
// draw have met the new day's limit.
func drawThrough(t *testing.T, l *load, midnight time.Duration, prizes int, prize func(int) string) {
	const workers = 4 // for each prize
	var next atomic.Int64
	run(workers*prizes, func(worker int) {
		pace := time.NewTicker(5 * time.Millisecond)
		defer pace.Stop()
		for t.Context().Err() == nil {
			no := int(next.Add(1))
			d := draw{node: worker % len(l.clients), prize: prize(worker % prizes), user: user(no)}
			if no%2 == 0 {
				d.requestID = "r"
			}
			r := l.one(t.Context(), d)
			if r.err != nil || r.start > midnight && r.result.Outcome == wire.DailyLimit {
				return
			}
			<-pace.C
		}
	})
}

func ofPrize(all []drawn, prize string) []drawn {
	var of []drawn
	for i := range all {
		if all[i].prize == prize {
			of = append(of, all[i])
		}
	}
	return of
}

// exactAroundMidnight fails the test unless a prize's draws met the limits of
// both days, and no other.
func exactAroundMidnight(t *testing.T, db *sql.DB, prize string, midnight time.Duration, all []drawn, today time.Time, daily int) {
	t.Helper()
	var before, after []drawn
	for i := range all {
		switch d := &all[i]; {
		case d.result.Outcome == wire.SoldOut:
			t.Errorf("%s is answered to have sold out", prize)
		case d.end < midnight:
			before = append(before, *d)
		case d.start > midnight:
			after = append(after, *d)
		}
	}
	met := outcomes(before)[wire.DailyLimit] > 0
	if enough := 2 * time.Second; !met && midnight > enough {
		t.Errorf("%s: the limit was not met before midnight: %v", prize, outcomes(before))
	}
	neverRefusedWithTokensLeft(t, before)
	neverRefusedWithTokensLeft(t, after)
	rows := make(map[string]int)
	for _, r := range sendLog(t, db, prize) {
		rows[r.day]++
	}
	yesterday := today.AddDate(0, 0, -1).Format(time.DateOnly)
	want := map[string]int{yesterday: daily, today.Format(time.DateOnly): daily}
	if n := rows[yesterday]; !met && n <= daily { // the servers were ready too late
		if want[yesterday] = n; n == 0 {
			delete(want, yesterday)
		}
		t.Logf("%s: %d were granted before midnight, on a busy machine", prize, n)
	}
	if fmt.Sprint(rows) != fmt.Sprint(want) {
		t.Errorf("%s: rows by day %v, want %v", prize, rows, want)
	}
	holdsExactly(t, db, prize, grantsOf(t, all))
}
