package e2e_test

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tombola/httpapi/wire"
	"tombola/internal/testcluster"
)

// draw is one draw to make, at node number node.
type draw struct {
	node                   int
	prize, user, requestID string
}

// drawn is what came of a draw. Its times are since the load began.
type drawn struct {
	draw
	start, end time.Duration
	result     wire.DrawResult
	err        error
	repeats    int // how often it was sent again
}

// load makes draws on many connections at once and keeps all answers.
type load struct {
	t       testing.TB
	clients []*testcluster.Client
	began   time.Time

	mu  sync.Mutex
	all []drawn
}

func newLoad(t testing.TB, c *testcluster.Cluster) *load {
	return &load{t: t, clients: c.Clients(), began: time.Now()}
}

// one makes one draw. As clients should, it sends it again while it is
// certainly not done, and where that is not known if it has a request id: on a
// busy machine a leadership may be lost.
func (l *load) one(ctx context.Context, d draw) drawn {
	r := drawn{draw: d, start: time.Since(l.began)}
	unknown := false
	for {
		r.result, r.err = l.clients[d.node].Draw(ctx, d.prize, d.user, d.requestID)
		code := testcluster.CodeOf(r.err)
		if code == wire.CodeUnknownOutcome && d.requestID != "" {
			unknown = true
		} else if code != wire.CodeNoLeader && code != wire.CodeTimeout && code != wire.CodeOverloaded {
			break
		}
		if r.repeats++; time.Since(l.began)-r.start > patience {
			break
		}
	}
	r.end = time.Since(l.began)
	if unknown {
		r.result.Repeat = false // the answer that was not one was lost
	}
	l.mu.Lock()
	l.all = append(l.all, r)
	l.mu.Unlock()
	return r
}

// run has workers call work at once, each with its number, and waits for them.
func run(workers int, work func(worker int)) {
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { work(w) })
	}
	wg.Wait()
}

// each makes all draws, on so many connections.
func (l *load) each(conns int, draws []draw) {
	var next atomic.Int64
	run(conns, func(int) {
		for i := next.Add(1) - 1; i < int64(len(draws)); i = next.Add(1) - 1 {
			l.one(l.t.Context(), draws[i])
		}
	})
}

// answers returns all answers so far.
func (l *load) answers() []drawn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
}

// mustBeAnswered fails the test for draws that were not decided.
func mustBeAnswered(t testing.TB, all []drawn) {
	t.Helper()
	if n := repeated(all); n > 0 {
		t.Logf("%d of %d draws had to be sent again", n, len(all))
	}
	failed := 0
	for i := range all {
		if d := &all[i]; d.err != nil {
			if failed++; failed <= 5 {
				t.Errorf("draw %+v, sent at %s, answered at %s: %v", d.draw, d.start, d.end, d.err)
			}
		}
	}
	if failed > 0 {
		t.Fatalf("%d of %d draws were not decided", failed, len(all))
	}
}

// repeated returns how many draws were sent more than once.
func repeated(all []drawn) int {
	n := 0
	for i := range all {
		if all[i].repeats > 0 {
			n++
		}
	}
	return n
}

// outcomes counts the answers by outcome.
func outcomes(all []drawn) map[wire.Outcome]int {
	n := make(map[wire.Outcome]int)
	for i := range all {
		if all[i].err == nil {
			n[all[i].result.Outcome]++
		}
	}
	return n
}

// grantsOf returns the users of all grants by id. Where an id was answered for
// more than one draw that is no repeat, it fails the test.
func grantsOf(t testing.TB, all []drawn) map[wire.GrantID]string {
	t.Helper()
	users := make(map[wire.GrantID]string)
	for i := range all {
		d := &all[i]
		if d.err != nil || d.result.Outcome != wire.Granted || d.result.Repeat {
			continue
		}
		if other, taken := users[d.result.GrantID]; taken {
			t.Errorf("grant %s was answered to %q and to %q", d.result.GrantID, other, d.user)
		}
		users[d.result.GrantID] = d.user
	}
	return users
}

// neverRefusedWithTokensLeft fails the test when a draw was granted that was
// sent after another one had been refused for want of tokens: that other one
// should have got the token.
func neverRefusedWithTokensLeft(t testing.TB, all []drawn) {
	t.Helper()
	var refused *drawn
	for i := range all {
		d := &all[i]
		if d.err == nil && (d.result.Outcome == wire.SoldOut || d.result.Outcome == wire.DailyLimit) && (refused == nil || d.end < refused.end) {
			refused = d
		}
	}
	if refused == nil {
		return
	}
	for i := range all {
		if d := &all[i]; d.err == nil && d.result.Outcome == wire.Granted && !d.result.Repeat && d.start > refused.end {
			t.Fatalf("%q got a grant at node %d with a draw sent at %s, though %q had been answered %s at node %d at %s",
				d.user, d.node+1, d.start, refused.user, refused.result.Outcome, refused.node+1, refused.end)
		}
	}
}

// waits returns how long draws took that were granted, sorted.
func waits(all []drawn) []time.Duration {
	var took []time.Duration
	for i := range all {
		if all[i].err == nil && all[i].result.Outcome == wire.Granted {
			took = append(took, all[i].end-all[i].start)
		}
	}
	slices.Sort(took)
	return took
}

// at returns the value below which the given share of the sorted values lies.
func at(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

func user(i int) string { return "u" + strconv.Itoa(i) }
