package e2e_test

import (
	"database/sql"
	"sync/atomic"
	"testing"
	"time"

	"tombola/httpapi/wire"
	"tombola/internal/testcluster"
)

// usersGetNoMoreThanTheirLimit has 1,000 users draw 20 times each from all
// servers at once. One grant each is allowed.
func usersGetNoMoreThanTheirLimit(t *testing.T, c *testcluster.Cluster, db *sql.DB) {
	const users, times, conns = 1000, 20, 100
	spec := counter(users * times)
	spec.PerUserLimit = new(int64(1))
	create(t, c, "each", spec)

	var draws []draw
	for u := range users {
		for n := range times { // all of one user's are under way together
			draws = append(draws, draw{node: (u + n) % len(c.Nodes), prize: "each", user: user(u)})
		}
	}
	l := newLoad(t, c)
	l.each(conns, draws)

	all := l.answers()
	mustBeAnswered(t, all)
	if n := outcomes(all); n[wire.Granted] != users || n[wire.UserLimit] != users*(times-1) {
		t.Errorf("outcomes: %v; want %d granted, all others user_limit", n, users)
	}
	grants := grantsOf(t, all)
	once := make(map[string]bool)
	for _, user := range grants {
		if once[user] {
			t.Errorf("%s was granted twice", user)
		}
		once[user] = true
	}
	sunk(t, c)
	holdsExactly(t, db, "each", grants)
	verified(t, c)
	t.Logf("%d draws in %s", len(all), time.Since(l.began).Round(time.Millisecond))
}

// aRequestIDIsGrantedOnce sends 5,000 draws to all servers at once. All
// three answers to each name the same grant, and so do those to the same draws
// after the prize has sold out, was paused, changed, and has ended.
func aRequestIDIsGrantedOnce(t *testing.T, c *testcluster.Cluster, db *sql.DB) {
	const requests, conns = 5000, 60
	spec := counter(requests)
	spec.PerUserLimit = new(int64(5))
	create(t, c, "same", spec)

	same := func(i int) draw { return draw{prize: "same", user: user(i / 5), requestID: "r" + user(i)} }
	l := newLoad(t, c)
	var next atomic.Int64
	run(conns, func(int) {
		for i := next.Add(1) - 1; i < requests; i = next.Add(1) - 1 {
			run(len(c.Nodes), func(node int) {
				d := same(int(i))
				d.node = node
				l.one(t.Context(), d)
			})
		}
	})

	all := l.answers()
	mustBeAnswered(t, all)
	grants := make(map[string]wire.DrawResult)
	first := 0
	for i := range all {
		r := all[i].result
		if r.Outcome != wire.Granted {
			t.Fatalf("%+v: %s", all[i].draw, r.Outcome)
		}
		if !r.Repeat {
			first++
		}
		before, known := grants[all[i].requestID]
		if known && (r.GrantID != before.GrantID || r.GrantedAt != before.GrantedAt) {
			t.Errorf("%s is grant %s of %s at one server, %s of %s at another", all[i].requestID, before.GrantID, before.GrantedAt, r.GrantID, r.GrantedAt)
		}
		grants[all[i].requestID] = r
	}
	if len(grants) != requests || first != requests {
		t.Errorf("%d requests were granted, %d as new; want %d", len(grants), first, requests)
	}
	sunk(t, c)
	holdsExactly(t, db, "same", grantsOf(t, all))

	repeats := func(when string, refusal wire.Outcome) {
		t.Helper()
		l := newLoad(t, c)
		var draws []draw
		for i := 0; i < requests; i += 10 {
			d := same(i)
			d.node = i / 10 % len(c.Nodes)
			draws = append(draws, d)
		}
		l.each(conns, draws)
		all := l.answers()
		mustBeAnswered(t, all)
		for i := range all {
			r, before := all[i].result, grants[all[i].requestID]
			if r.Outcome != wire.Granted || !r.Repeat || r.GrantID != before.GrantID || r.GrantedAt != before.GrantedAt {
				t.Fatalf("%s: %s again is %+v; was %+v", when, all[i].requestID, r, before)
			}
		}
		for node := range c.Nodes {
			answered(t, c.Client(node), "same", "another", "new", refusal)
		}
	}
	patch := func(p wire.PrizePatch) {
		t.Helper()
		if _, err := c.Client(2).Patch(within(t), "same", p); err != nil {
			t.Fatal(err)
		}
	}
	repeats("sold out", wire.SoldOut)
	patch(wire.PrizePatch{Total: wire.To(int64(requests + 100))})
	patch(wire.PrizePatch{Status: wire.To(wire.StatusPaused)})
	repeats("paused", wire.Paused)
	patch(wire.PrizePatch{Status: wire.To(wire.StatusEnded)})
	repeats("ended", wire.Ended)
	verified(t, c)
}

// aVoidWithRestockGivesTheTokenBack takes grants of a prize back that has
// sold out: with restock the token can be drawn again at once and the user's
// count is lower, without neither is so.
func aVoidWithRestockGivesTheTokenBack(t *testing.T, c *testcluster.Cluster, db *sql.DB) {
	spec := counter(3)
	spec.PerUserLimit, spec.DailyLimit, spec.Timezone = new(int64(1)), new(int64(3)), noon()
	create(t, c, "back", spec)
	ann := granted(t, c.Client(0), "back", "ann", "r1")
	bob := granted(t, c.Client(1), "back", "bob", "r1")
	granted(t, c.Client(2), "back", "cem", "r1")
	for node := range c.Nodes {
		answered(t, c.Client(node), "back", "dan", "r1", wire.SoldOut)
	}

	if g, err := c.Client(1).Void(within(t), ann.GrantID, true); err != nil || g.State != wire.StateVoided || g.User != "ann" {
		t.Fatalf("void with restock: %+v, %v", g, err)
	}
	if again := granted(t, c.Client(2), "back", "ann", "r1"); !again.Repeat || !again.Voided || again.GrantID != ann.GrantID {
		t.Errorf("the voided grant's request, repeated, is %+v; want the same grant, said to be voided", again)
	}
	second := granted(t, c.Client(2), "back", "ann", "r2") // whose count is 0 again
	if second.Repeat || second.GrantID == ann.GrantID {
		t.Errorf("a new request after the void is %+v", second)
	}
	answered(t, c.Client(0), "back", "ann", "r3", wire.UserLimit)
	for node := range c.Nodes {
		answered(t, c.Client(node), "back", "dan", "r2", wire.SoldOut)
	}

	if g, err := c.Client(0).Void(within(t), bob.GrantID, false); err != nil || g.State != wire.StateVoided {
		t.Fatalf("void without restock: %+v, %v", g, err)
	}
	answered(t, c.Client(1), "back", "bob", "r2", wire.UserLimit)
	for node := range c.Nodes {
		answered(t, c.Client(node), "back", "dan", "r3", wire.SoldOut)
	}
	for _, restock := range []bool{false, true} {
		if _, err := c.Client(2).Void(within(t), bob.GrantID, restock); testcluster.CodeOf(err) != wire.CodeConflict {
			t.Errorf("voided twice: %v; want conflict", err)
		}
	}
	for node := range c.Nodes {
		if g, err := c.Client(node).Grant(within(t), bob.GrantID); err != nil || g.State != wire.StateVoided {
			t.Errorf("node %d shows the voided grant as %+v, %v", node+1, g, err)
		}
	}
	got, err := c.Client(0).UserGrants(within(t), "ann", "back")
	if err != nil || len(got.Grants) != 2 || got.Grants[0].GrantID != second.GrantID || got.Grants[1].State != wire.StateVoided {
		t.Errorf("ann's grants are %+v, %v; want the second, then the voided first", got, err)
	}

	sunk(t, c)
	rows := sendLog(t, db, "back")
	if g, err := c.Client(1).Grant(within(t), bob.GrantID); err != nil || g.State != wire.StateVoided || g.VoidedAt < g.GrantedAt {
		t.Errorf("once the sink has it, the voided grant is %+v, %v; want when it was voided", g, err)
	}
	if len(rows) != 4 || !rows[ann.GrantID].voided || !rows[bob.GrantID].voided || rows[second.GrantID].voided {
		t.Errorf("the send log has %+v", rows)
	}
	if sent, daily := totals(t, db, "back"); sent != 2 || daily != 2 {
		t.Errorf("totals say %d and by day %d; want the 2 grants that stand", sent, daily)
	}
	if p, err := c.Client(0).Prize(within(t), "back"); err != nil || p.Granted != 2 || p.GrantedToday != 2 || p.Voided != 2 {
		t.Errorf("the prize has %d granted, %d today, %d voided, %v; want 2, 2, 2", p.Granted, p.GrantedToday, p.Voided, err)
	}
	verified(t, c)
}
