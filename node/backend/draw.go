package backend

import (
	"context"
	"time"

	"tombola/allocator"
	"tombola/httpapi"
	"tombola/httpapi/wire"
	"tombola/node/draws"
	"tombola/node/route"
)

// retryLater is what clients are told when they are shed.
const retryLater = time.Second

// Draw implements httpapi.Drawer.
func (b *Backend) Draw(d *httpapi.Draw) {
	p := b.running()
	if p == nil {
		d.Problem, d.Detail = wire.CodeNotReady, "the node is starting"
		return
	}
	deadline := draws.Now() + int64(d.Timeout)
	prize, ok := p.Catalog.Find(d.Prize)
	if !ok {
		if prize, ok = b.lookUp(p, d); !ok {
			return
		}
	}
	draw := draws.New(prize.No, d.User, d.RequestID, deadline, nil)
	p.Router.Start(draw, prize.Homed)
	answer := draw.Wait()
	for answer.Failure == draws.NoLeader && p.Router.Retry(draw) {
		answer = draw.Wait()
	}
	draw.Release()
	fill(d, &answer, p.Clock)
}

// lookUp asks the bank for a prize that this server has not heard of: it may
// have been created a moment ago.
func (b *Backend) lookUp(p *Parts, d *httpapi.Draw) (route.Prize, bool) {
	select {
	case b.lookups <- struct{}{}:
		defer func() { <-b.lookups }()
	default:
		d.Problem, d.RetryAfter = wire.CodeOverloaded, retryLater
		d.Detail = "too many draws of prizes that this node has not heard of"
		return route.Prize{}, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.Timeout)
	defer cancel()
	def, err := b.find(ctx, string(d.Prize))
	if err != nil {
		problem := asProblem(err)
		d.Problem, d.Detail = problem.Code, problem.Detail
		return route.Prize{}, false
	}
	p.Catalog.Learn(def)
	return route.Prize{No: def.No, Homed: def.PerUserLimit > 0}, true
}

// fill turns an engine's answer into the client's.
func fill(d *httpapi.Draw, a *draws.Answer, clock func() time.Time) {
	switch a.Failure {
	case draws.NoFailure:
		d.Outcome = wire.Outcome(a.Verdict)
		switch a.Verdict {
		case allocator.Granted:
			d.GrantID = uint64(allocator.NewGrantID(a.Slice, a.Seq))
			d.GrantedAt = int64(a.At)
			d.Repeat, d.Voided = a.Repeat, a.GrantVoided
		case allocator.NotReleased:
			d.RetryAfter = max(time.Millisecond, a.Until.Time().Sub(clock()))
		}
	case draws.NoLeader:
		d.Problem, d.Detail = wire.CodeNoLeader, "the draw's slice has no leader that could be reached; certainly not done"
	case draws.Timeout:
		d.Problem, d.Detail = wire.CodeTimeout, "no token came in time, and nobody could say that none is left; certainly not done"
	case draws.Overloaded:
		d.Problem, d.Detail, d.RetryAfter = wire.CodeOverloaded, "too many draws wait already; certainly not done", retryLater
	case draws.Draining:
		d.Problem, d.Detail = wire.CodeDraining, "the node is stopping; certainly not done"
	case draws.DiskLow:
		d.Problem, d.Detail = wire.CodeDiskLow, "the node's disk is almost full; certainly not done"
	case draws.UnknownOutcome:
		d.Problem, d.Detail = wire.CodeUnknownOutcome, "it may or may not have been done: repeat it with the same request_id"
	}
}
