package e2e_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"tombola/httpapi/wire"
	"tombola/internal/testcluster"
)

// limitsHoldExactlyAcrossServers draws from a prize of 30,000 with 200
// connections spread over three servers. The day's 20,000 are granted and not
// one more; when the limit is raised while draws go on, so is the rest; and
// MySQL has what clients were told.
func limitsHoldExactlyAcrossServers(t *testing.T, c *testcluster.Cluster, db *sql.DB) {
	const total, daily, conns = 30_000, 20_000, 200
	spec := counter(total)
	spec.DailyLimit, spec.Timezone = new(int64(daily)), noon()
	create(t, c, "day", spec)

	l := newLoad(t, c)
	var users, limited atomic.Int64
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		run(conns, func(worker int) {
			met := false
			for t.Context().Err() == nil {
				no := int(users.Add(1))
				d := draw{node: worker % len(c.Nodes), prize: "day", user: user(no)}
				if no%2 == 0 {
					d.requestID = "only" // decided by the user's home slice, the others by any
				}
				r := l.one(t.Context(), d)
				if r.err != nil || r.result.Outcome == wire.SoldOut {
					return
				}
				if r.result.Outcome == wire.DailyLimit && !met {
					met = true
					limited.Add(1)
				}
			}
		})
	}()

	err := testcluster.Until(within(t), func(context.Context) error {
		if n := limited.Load(); n < conns {
			return fmt.Errorf("%d of %d connections have met the daily limit", n, conns)
		}
		return nil
	})
	before := l.answers()
	mustBeAnswered(t, before)
	if err != nil {
		t.Fatal(err)
	}
	if n := outcomes(before); n[wire.Granted] != daily || n[wire.SoldOut] != 0 {
		t.Fatalf("outcomes before the limit was raised: %v; want %d granted, then daily_limit", n, daily)
	}
	neverRefusedWithTokensLeft(t, before)
	dailyAt := time.Since(l.began)

	if _, err := c.Client(1).Patch(within(t), "day", wire.PrizePatch{DailyLimit: wire.To(int64(total))}); err != nil {
		t.Fatal(err)
	}
	raised := time.Since(l.began)
	<-finished

	all := l.answers()
	mustBeAnswered(t, all)
	if n := outcomes(all); n[wire.Granted] != total {
		t.Errorf("outcomes: %v; want %d granted", n, total)
	}
	var after []drawn
	stale := 0
	for i := range all {
		if all[i].start <= raised {
			continue
		}
		after = append(after, all[i])
		if all[i].result.Outcome == wire.DailyLimit {
			if stale++; stale <= 5 {
				t.Errorf("node %d answered daily_limit at %s to a draw sent at %s; the limit had been raised at %s",
					all[i].node+1, all[i].end, all[i].start, raised)
			}
		}
	}
	if stale > 0 {
		t.Errorf("%d draws sent after the limit was raised were answered daily_limit", stale)
	}
	neverRefusedWithTokensLeft(t, after)
	sunk(t, c)
	holdsExactly(t, db, "day", grantsOf(t, all))
	verified(t, c)
	t.Logf("the day's %d took %s, the change %s, the other %d %s; %d draws in all",
		daily, dailyAt.Round(time.Millisecond), (raised - dailyAt).Round(time.Millisecond), total-daily,
		(time.Since(l.began) - raised).Round(time.Millisecond), len(all))
}

// quotaComesToWhereItIsDrawn puts all load on one server: the others'
// tokens come over while draws wait for them.
func quotaComesToWhereItIsDrawn(t *testing.T, c *testcluster.Cluster, db *sql.DB) {
	const total, conns = 10_000, 16
	create(t, c, "near", counter(total))

	l := newLoad(t, c)
	var users atomic.Int64
	run(conns, func(int) {
		for t.Context().Err() == nil {
			r := l.one(t.Context(), draw{node: 0, prize: "near", user: user(int(users.Add(1)))})
			if r.err != nil || r.result.Outcome != wire.Granted {
				return
			}
		}
	})

	all := l.answers()
	mustBeAnswered(t, all)
	if n := outcomes(all); n[wire.Granted] != total || n[wire.SoldOut] != conns {
		t.Errorf("outcomes: %v; want %d granted, and then sold_out once for each of %d connections", n, total, conns)
	}
	neverRefusedWithTokensLeft(t, all)
	sunk(t, c)
	holdsExactly(t, db, "near", grantsOf(t, all))
	verified(t, c)
	if n := repeated(all); n > 0 {
		t.Errorf("%d draws had to be sent again", n)
	}
	took := waits(all)
	t.Logf("a granted draw took p50 %s, p99 %s, p99.9 %s, at most %s", at(took, 0.5), at(took, 0.99), at(took, 0.999), took[len(took)-1])
}

// lastTokensMeet draws from many prizes that have a token or two, with
// daily limits of as many: again and again the last token of the stock is in
// one slice and the last of the day in another, and a draw that needs both is
// granted all the same.
func lastTokensMeet(t *testing.T, c *testcluster.Cluster, db *sql.DB) {
	const rounds, draws = 16, 6 // more draws than there are tokens, two at each server
	type try struct {
		prize        string
		total, daily int64
		atOnce       bool
	}
	var tries []try
	for round := range rounds {
		for total := range int64(3) {
			for daily := range int64(3) {
				tries = append(tries, try{fmt.Sprintf("p%d-%d-%d", total+1, daily+1, round), total + 1, daily + 1, round%2 == 0})
			}
		}
	}
	l := newLoad(t, c)
	var next atomic.Int64
	run(4, func(int) {
		for i := next.Add(1) - 1; i < int64(len(tries)); i = next.Add(1) - 1 {
			spec := counter(tries[i].total)
			spec.DailyLimit, spec.Timezone = &tries[i].daily, noon()
			if _, err := c.Client(0).Put(within(t), tries[i].prize, spec); err != nil {
				t.Error(err)
				return
			}
			one := func(worker int) {
				l.one(t.Context(), draw{node: worker % len(c.Nodes), prize: tries[i].prize, user: user(worker)})
			}
			if tries[i].atOnce {
				run(draws, one)
				continue
			}
			for worker := range draws { // in turn, so that each finds the tokens elsewhere
				one(worker)
			}
		}
	})

	byPrize := make(map[string][]drawn)
	all := l.answers()
	mustBeAnswered(t, all)
	for i := range all {
		byPrize[all[i].prize] = append(byPrize[all[i].prize], all[i])
	}
	sunk(t, c)
	for _, try := range tries {
		want, refusal := int(try.daily), wire.DailyLimit
		if try.total <= try.daily {
			want, refusal = int(try.total), wire.SoldOut
		}
		if n := outcomes(byPrize[try.prize]); n[wire.Granted] != want || n[refusal] != draws-want {
			t.Errorf("%+v: outcomes %v; want %d granted and then %s", try, n, want, refusal)
		}
		neverRefusedWithTokensLeft(t, byPrize[try.prize])
		holdsExactly(t, db, try.prize, grantsOf(t, byPrize[try.prize]))
	}
	verified(t, c)
	took := waits(all)
	t.Logf("%d prizes; a granted draw took p50 %s, p99 %s, at most %s", len(tries), at(took, 0.5), at(took, 0.99), took[len(took)-1])
}

// manyPrizesAtOnce draws at random from a thousand prizes: each grants what
// it has.
func manyPrizesAtOnce(t *testing.T, c *testcluster.Cluster, db *sql.DB) {
	const prizes, conns = 1000, 100
	var next atomic.Int64
	began := time.Now()
	run(16, func(worker int) {
		for i := next.Add(1) - 1; i < prizes; i = next.Add(1) - 1 {
			if _, err := c.Client(worker%3).Put(within(t), prizeNo(int(i)), counter(totalOf(int(i)))); err != nil {
				t.Errorf("prize %d: %v", i, err)
				return
			}
		}
	})
	created := time.Since(began)
	var draws []draw
	for i := range prizes {
		for n := range totalOf(i) + 3 {
			draws = append(draws, draw{node: (i + int(n)) % 3, prize: prizeNo(i), user: user(int(n))})
		}
	}
	rand.Shuffle(len(draws), func(i, j int) { draws[i], draws[j] = draws[j], draws[i] })
	l := newLoad(t, c)
	l.each(conns, draws)

	all := l.answers()
	mustBeAnswered(t, all)
	byPrize := make(map[string][]drawn)
	for i := range all {
		byPrize[all[i].prize] = append(byPrize[all[i].prize], all[i])
	}
	for i := range prizes {
		n := outcomes(byPrize[prizeNo(i)])
		if n[wire.Granted] != int(totalOf(i)) || n[wire.SoldOut] != 3 {
			t.Errorf("%s: %v; want %d granted and 3 sold_out", prizeNo(i), n, totalOf(i))
		}
		neverRefusedWithTokensLeft(t, byPrize[prizeNo(i)])
	}
	sunk(t, c)
	for i := range prizes {
		holdsExactly(t, db, prizeNo(i), grantsOf(t, byPrize[prizeNo(i)]))
	}
	verified(t, c)
	t.Logf("%d prizes were created in %s; %d draws in %s", prizes, created.Round(time.Millisecond), len(draws), all[len(all)-1].end.Round(time.Millisecond))
}

func prizeNo(i int) string { return fmt.Sprintf("prize-%d", i) }

// totalOf returns between 1 and 12 tokens.
func totalOf(i int) int64 { return int64(i*7%12 + 1) }
