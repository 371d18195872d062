package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"tombola/httpapi/wire"
	"tombola/internal/testcluster"
)

// Options say what to load.
type Options struct {
	Nodes  []*testcluster.Client
	Prize  string // one without limits
	Slices int
	// Workers is how many connections draw for each slice. They are a slice's
	// own, so that one that is silent holds up none of the others.
	Workers int
	// Wait is how long a draw may wait at the node it is sent to. Default one
	// second, as is the contract's.
	Wait time.Duration
	// Patience is how long a draw is sent again before its failure is final.
	Patience time.Duration
}

// Draw is one draw and what came of it. Its times are since the load began.
type Draw struct {
	Slice           int // its user's home
	User, RequestID string
	Start, End      time.Duration
	Grant           wire.GrantID // 0 unless granted
	Tries           int
	Final           error // why it was given up; nil for what was granted
}

// failure is an answer, or one that failed to come, whose draw was sent again.
type failure struct {
	at   time.Duration
	kind string
}

// Load is a running load. Its methods may be called concurrently.
type Load struct {
	o     Options
	began time.Time
	homes [][]string // users, by slice number less one

	mu     sync.Mutex
	draws  []Draw
	errors []failure
	last   []time.Time // the last grant of each slice, by slice number less one
}

// NewLoad finds out which users are at home in which slice, by drawing once for
// each of some users, and returns a load that does not run yet. These draws
// count as the load's.
func NewLoad(ctx context.Context, o Options) (*Load, error) {
	if o.Wait == 0 {
		o.Wait = time.Second
	}
	if o.Patience == 0 {
		o.Patience = time.Minute
	}
	l := &Load{
		o: o, began: time.Now(), homes: make([][]string, o.Slices),
		last: make([]time.Time, o.Slices),
	}
	const usersEach = 8
	for i := 0; ; i++ {
		if slices.IndexFunc(l.homes, func(users []string) bool { return len(users) < usersEach }) < 0 {
			return l, nil
		}
		d := Draw{User: "user-" + strconv.Itoa(i), RequestID: "first"}
		if l.until(ctx, &d, i); d.Final != nil {
			return nil, fmt.Errorf("chaos: find users' homes: %w", d.Final)
		}
		home := &l.homes[d.Slice-1]
		*home = append(*home, d.User)
	}
}

// Run draws until ctx ends, and then until every draw that is under way has
// its answer.
func (l *Load) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for slice := range l.o.Slices {
		for worker := range l.o.Workers {
			wg.Go(func() {
				users := l.homes[slice]
				for i := 0; ctx.Err() == nil; i++ {
					d := Draw{
						Slice: slice + 1, User: users[(i+worker)%len(users)],
						RequestID: strconv.Itoa(worker) + "-" + strconv.Itoa(i),
					}
					l.until(context.WithoutCancel(ctx), &d, worker+i)
				}
			})
		}
	}
	wg.Wait()
}

// until sends a draw, first to the given node, and then to one after the other
// until its outcome is known.
func (l *Load) until(ctx context.Context, d *Draw, node int) {
	begin := time.Now()
	d.Start = begin.Sub(l.began)
	const pause = 5 * time.Millisecond // of a client that was refused
	for ; ; d.Tries++ {
		client := l.o.Nodes[(node+d.Tries)%len(l.o.Nodes)]
		grant, err := l.once(ctx, client, d)
		if err == nil {
			d.Grant, d.Slice = grant, int(grant>>48)
			break
		}
		kind, again := kindOf(err)
		if !again || time.Since(begin) > l.o.Patience {
			d.Final = fmt.Errorf("%s, after %d tries: %w", kind, d.Tries+1, err)
			break
		}
		l.mu.Lock()
		l.errors = append(l.errors, failure{time.Since(l.began), kind})
		l.mu.Unlock()
		time.Sleep(pause)
	}
	now := time.Now()
	d.End = now.Sub(l.began)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.draws = append(l.draws, *d)
	if d.Final == nil {
		l.last[d.Slice-1] = now
	}
}

// errOutcome is an answer that a prize without limits has no reason for.
var errOutcome = errors.New("not granted")

// once sends a draw once.
func (l *Load) once(ctx context.Context, c *testcluster.Client, d *Draw) (wire.GrantID, error) {
	// A node that hangs is left alone after a while; the draw is then unknown.
	ctx, cancel := context.WithTimeout(ctx, l.o.Wait+2*time.Second)
	defer cancel()
	a, err := c.Do(ctx, http.MethodPost, "/v1/prizes/"+l.o.Prize+"/draw", wire.AppendDrawRequest(nil, d.User, d.RequestID),
		http.Header{"Tombola-Timeout-Ms": {strconv.FormatInt(l.o.Wait.Milliseconds(), 10)}})
	if err != nil {
		return 0, err
	}
	if a.Status != http.StatusOK {
		p, err := a.Problem()
		if err != nil {
			return 0, err
		}
		return 0, p
	}
	var r wire.DrawResult
	if err := json.Unmarshal(a.Body, &r); err != nil {
		return 0, fmt.Errorf("%w: %s", errOutcome, a.Body)
	}
	if r.Outcome != wire.Granted || r.User != d.User || r.Prize != l.o.Prize {
		return 0, fmt.Errorf("%w: %s", errOutcome, a.Body)
	}
	return r.GrantID, nil
}

// kindOf names an error, and says whether a client should send the draw again.
func kindOf(err error) (kind string, again bool) {
	var p *wire.Problem
	switch {
	case errors.As(err, &p):
		again = p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests ||
			p.Status == http.StatusGatewayTimeout
		return strconv.Itoa(p.Status) + " " + p.Code.String(), again
	case errors.Is(err, errOutcome):
		return "not granted", false
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer", true
	default:
		return "connection", true
	}
}

// WaitGrants waits until every slice in wanted has granted a draw after since;
// nil stands for all slices.
func (l *Load) WaitGrants(ctx context.Context, since time.Time, wanted []int) error {
	if wanted == nil {
		for s := range l.o.Slices {
			wanted = append(wanted, s+1)
		}
	}
	err := testcluster.Until(ctx, func(context.Context) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, s := range wanted {
			if !l.last[s-1].After(since) {
				return fmt.Errorf("slice %d has granted nothing for %v", s, time.Since(l.last[s-1]))
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("chaos: %w", err)
	}
	return nil
}

// Began is when the times of draws count from.
func (l *Load) Began() time.Time { return l.began }

// Draws returns all draws that have ended.
func (l *Load) Draws() []Draw {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.draws)
}

// Errors returns how many answers, or answers that failed to come, had their
// draw sent again since then, by kind.
func (l *Load) Errors(since time.Time) map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[string]int)
	for _, f := range l.errors {
		if f.at >= since.Sub(l.began) {
			all[f.kind]++
		}
	}
	return all
}

// Again sends every stride-th of the draws that were granted once more, which
// must come to the same grants, and returns an error for the first few that did not.
func (l *Load) Again(ctx context.Context, draws []Draw, stride int) error {
	var errs []error
	for i := 0; i < len(draws); i += stride {
		d := draws[i]
		if d.Final != nil {
			continue
		}
		again := Draw{User: d.User, RequestID: d.RequestID}
		l.repeat(ctx, &again, i)
		if again.Grant != d.Grant {
			errs = append(errs, fmt.Errorf("chaos: %s as %s got %s, and then %s (%w)", d.User, d.RequestID, d.Grant, again.Grant, again.Final))
		}
		if len(errs) > 5 {
			break
		}
	}
	return errors.Join(errs...)
}

// repeat is until without a trace in the load.
func (l *Load) repeat(ctx context.Context, d *Draw, node int) {
	shadow := &Load{o: l.o, began: l.began, last: make([]time.Time, l.o.Slices)}
	shadow.until(ctx, d, node)
}
