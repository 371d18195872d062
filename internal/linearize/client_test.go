package linearize_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"tombola/httpapi/wire"
	"tombola/internal/linearize"
	"tombola/internal/testcluster"
)

// request is a user's request id; ids are scoped to the user.
type request struct{ user, id int }

// game plays one history. Its methods may be called concurrently.
type game struct {
	prize   string
	spec    linearize.Prize
	clients []*testcluster.Client // of each node
	began   time.Time             // of all games: one clock

	mu       sync.Mutex
	ops      []linearize.Op
	grants   []wire.GrantID       // grant number n is at n-1
	requests map[request]int      // numbers of those that were sent
	undone   map[wire.Code]int    // answers that say "certainly not done"
	strange  []error              // answers that the contract does not know
	winners  map[request]struct{} // that were granted
}

func (g *game) now() int64 { return time.Since(g.began).Nanoseconds() }

// number returns the number of a grant.
func (g *game) number(id wire.GrantID) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, known := range g.grants {
		if known == id {
			return i + 1
		}
	}
	g.grants = append(g.grants, id)
	return len(g.grants)
}

// anyGrant returns one that somebody was told of, 0 where there is none.
func (g *game) anyGrant() (int, wire.GrantID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.grants) == 0 {
		return 0, 0
	}
	i := rand.IntN(len(g.grants))
	return i + 1, g.grants[i]
}

func (g *game) request(user, id int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := request{user, id}
	if g.requests[r] == 0 {
		g.requests[r] = len(g.requests) + 1
	}
	return g.requests[r]
}

// done adds an operation to the history, by what err says came of it.
func (g *game) done(op linearize.Op, err error) {
	op.Return = g.now()
	code := testcluster.CodeOf(err)
	g.mu.Lock()
	defer g.mu.Unlock()
	var dial *net.OpError
	switch {
	case err == nil:
	case errors.As(err, &dial) && dial.Op == "dial":
		return // nobody heard it
	case code == wire.CodeNoLeader, code == wire.CodeTimeout, code == wire.CodeDraining,
		code == wire.CodeOverloaded, code == wire.CodeNotReady:
		g.undone[code]++
		return // certainly not done: the history must be right without it
	case code == wire.CodeUnconfirmed && op.Input.Kind == linearize.Void:
		op.TokenUnknown = true
	case code == wire.CodeUnconfirmed, code == wire.CodeUnknownOutcome:
		op.Output = linearize.Output{Unknown: true}
	case code == wire.CodeConflict && op.Input.Kind == linearize.Void:
		op.Output.Code = code
	case code == wire.CodeBelowGranted && op.Input.Kind == linearize.Resize:
		var p *wire.Problem
		errors.As(err, &p)
		op.Output.Code, op.Output.Granted = code, int(*p.Granted)
	case code == wire.NoProblem:
		op.Output = linearize.Output{Unknown: true} // the connection broke
	default:
		g.strange = append(g.strange, fmt.Errorf("%s: %w", linearize.Describe(op.Input, op.Output), err))
		return
	}
	g.ops = append(g.ops, op)
}

// drawWait is how long a draw may wait; callWait bounds any call.
const (
	drawWait = 3 * time.Second
	callWait = 12 * time.Second
)

// draw draws once at a node. id 0 is none.
func (g *game) draw(ctx context.Context, client, node, user, id int) linearize.Output {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	op := linearize.Op{Client: client, Input: linearize.Input{Kind: linearize.Draw, User: user}}
	text := ""
	if id != 0 {
		op.Input.Request = g.request(user, id)
		text = "r" + strconv.Itoa(id)
	}
	body := wire.AppendDrawRequest(nil, "u"+strconv.Itoa(user), text)
	op.Call = g.now()
	var r wire.DrawResult
	a, err := g.clients[node].Do(ctx, http.MethodPost, "/v1/prizes/"+g.prize+"/draw", body,
		http.Header{"Tombola-Timeout-Ms": {strconv.FormatInt(drawWait.Milliseconds(), 10)}})
	if err == nil {
		r, err = readDraw(a)
	}
	if err == nil {
		op.Output = linearize.Output{Outcome: r.Outcome, Repeat: r.Repeat, Voided: r.Voided}
		if r.Outcome == wire.Granted {
			op.Output.Grant = g.number(r.GrantID)
			g.mu.Lock()
			g.winners[request{user, id}] = struct{}{}
			g.mu.Unlock()
		}
	}
	g.done(op, err)
	if err != nil {
		return linearize.Output{Unknown: true}
	}
	return op.Output
}

func (g *game) void(ctx context.Context, client, node int, restock bool) {
	n, id := g.anyGrant()
	if n == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	op := linearize.Op{Client: client, Call: g.now(), Input: linearize.Input{Kind: linearize.Void, Grant: n, Restock: restock}}
	_, err := g.clients[node].Void(ctx, id, restock)
	g.done(op, err)
}

func (g *game) resize(ctx context.Context, client, node, total int) {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	op := linearize.Op{Client: client, Call: g.now(), Input: linearize.Input{Kind: linearize.Resize, Total: total}}
	d, err := g.clients[node].Patch(ctx, g.prize, wire.PrizePatch{Total: wire.To(int64(total))})
	op.Output.Total = int(d.Total)
	g.done(op, err)
}
