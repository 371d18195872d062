package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"tombola/httpapi"
	"tombola/httpapi/wire"
)

// fake is a backend whose draws are answered by a function and whose catalog is
// a map.
type fake struct {
	draw  func(d *httpapi.Draw)
	ready wire.Readiness
	err   error // answered by every call but draws, when set

	mu     sync.Mutex
	prizes map[string]wire.Definition
	change wire.Change // of the last change
	draws  int
}

func newFake() *fake {
	return &fake{
		ready:  wire.Readiness{Ready: true, Checks: []wire.Check{{Name: "clock", OK: true}, {Name: "sink", Detail: `"away"`}}},
		prizes: map[string]wire.Definition{"tv": definition("tv")},
		draw: func(d *httpapi.Draw) {
			d.Outcome, d.GrantID, d.GrantedAt = wire.Granted, 1<<48|42, 1795341600123456
		},
	}
}

func definition(id string) wire.Definition {
	limit, start := int64(50000), wire.TimeOf(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	return wire.Definition{Prize: id, Version: 1, Status: wire.StatusActive, PrizeSpec: wire.PrizeSpec{
		Kind: wire.KindCounter, Total: 1000000, DailyLimit: &limit, Timezone: "Asia/Shanghai", StartsAt: &start,
		Release: &wire.Release{PerSecond: 100500, Burst: 1000},
	}}
}

func (f *fake) Draw(d *httpapi.Draw) {
	f.mu.Lock()
	f.draws++
	f.mu.Unlock()
	f.draw(d)
}

func (f *fake) drawn() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.draws
}

func (f *fake) Prize(_ context.Context, id string) (wire.Definition, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, ok := f.prizes[id]
	switch {
	case f.err != nil:
		return d, f.err
	case !ok:
		return d, wire.NewProblem(wire.CodeUnknownPrize, "there is no prize %q", id)
	}
	return d, nil
}

func (f *fake) PrizeCounts(ctx context.Context, id string) (wire.Prize, error) {
	d, err := f.Prize(ctx, id)
	today := int64(5)
	return wire.Prize{Definition: d, Day: "2026-11-22", Pool: wire.Purses{Stock: 10, Today: &today}, Granted: 3,
		Slices: []wire.PrizeSlice{{Slice: 1, Leader: "a", Version: 1, Granted: 3}, {Slice: 2, Error: "no leader"}}}, err
}

func (f *fake) ListPrizes(ctx context.Context, after string, limit int) (wire.PrizePage, error) {
	p, err := f.PrizeCounts(ctx, "tv")
	if after != "" {
		return wire.PrizePage{}, err
	}
	return wire.PrizePage{Prizes: []wire.Prize{p}[:min(limit, 1)], Cursor: "tv"}, err
}

func (f *fake) PutPrize(_ context.Context, id string, spec wire.PrizeSpec, c wire.Change) (wire.Definition, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.change = c
	d, found := f.prizes[id]
	switch {
	case f.err != nil:
		return d, false, f.err
	case c.IfAbsent && found, c.IfExists && !found, c.IfVersion != 0 && c.IfVersion != d.Version:
		return d, false, wire.NewProblem(wire.CodePreconditionFailed, "it is at version %d", d.Version)
	case d.Status == wire.StatusDeleted:
		return d, false, wire.NewProblem(wire.CodeConflict, "it was deleted")
	case !found:
		d = wire.Definition{Prize: id, Status: wire.StatusActive}
	}
	d.PrizeSpec = spec
	d.Version++
	f.prizes[id] = d
	return d, !found, nil
}

func (f *fake) PatchPrize(ctx context.Context, id string, p wire.PrizePatch, c wire.Change) (wire.Definition, error) {
	d, err := f.Prize(ctx, id)
	if err != nil {
		return d, err
	}
	next, err := p.ApplyTo(d)
	if err != nil {
		return d, err
	}
	if granted := int64(500); next.Total < granted {
		return d, &wire.Problem{Code: wire.CodeBelowGranted, Detail: "below what is granted", Granted: &granted}
	}
	d, _, err = f.PutPrize(ctx, id, next.PrizeSpec, c)
	d.Status = next.Status
	return d, err
}

func (f *fake) DeletePrize(ctx context.Context, id string, c wire.Change) (wire.Definition, error) {
	d, err := f.Prize(ctx, id)
	if err == nil {
		d, _, err = f.PutPrize(ctx, id, d.PrizeSpec, c)
	}
	d.Status = wire.StatusDeleted
	return d, err
}

func grant(id wire.GrantID) wire.Grant {
	return wire.Grant{GrantID: id, Prize: "tv", User: `u"<1>é`, State: wire.StateGranted, RequestID: "r1",
		Code: "SECRET", GrantedAt: 1795341600123456}
}

func (f *fake) Grant(_ context.Context, id wire.GrantID) (wire.Grant, error) {
	if id != 1<<48|42 {
		return wire.Grant{}, wire.NewProblem(wire.CodeNotFound, "there is no grant %s", id)
	}
	return grant(id), f.err
}

func (f *fake) UserGrants(_ context.Context, user, _ string, limit int) (wire.UserGrants, error) {
	g := grant(1<<48 | 42)
	g.User = user
	return wire.UserGrants{User: user, Grants: []wire.Grant{g}[:min(limit, 1)]}, f.err
}

func (f *fake) VoidGrant(ctx context.Context, id wire.GrantID, restock bool, c wire.Change) (wire.Grant, error) {
	g, err := f.Grant(ctx, id)
	if restock {
		return g, wire.NewProblem(wire.CodeConflict, "it was voided before")
	}
	f.change = c
	g.State, g.VoidedAt = wire.StateVoided, g.GrantedAt+1
	return g, err
}

func (f *fake) Cluster(context.Context) (wire.Cluster, error) {
	offset := 0.25
	return wire.Cluster{ClusterID: "c", Node: "a", Format: 1,
		Nodes:  []wire.Node{{ID: "a", State: "alive", ClockOffsetMS: &offset, Ready: true}, {ID: "b", State: "dead"}},
		Groups: []wire.Group{{Name: "bank", Leader: "a", Replicas: []wire.Replica{{Node: "a", Voter: true}}}, {Group: 1}},
	}, f.err
}

func (f *fake) Audit(_ context.Context, q wire.AuditQuery) (wire.AuditPage, error) {
	e := wire.AuditEntry{Seq: 9, At: 1795341600123456, Actor: "admin@127.0.0.1", Action: "create", Prize: "tv", Version: 1}
	if q.Before != 0 {
		return wire.AuditPage{}, f.err
	}
	return wire.AuditPage{Entries: []wire.AuditEntry{e}, Cursor: 9}, f.err
}

func (f *fake) Verify(context.Context) (wire.Report, error) {
	return wire.Report{Checked: map[string]int64{"grants": 3}, Lag: map[string]int64{"slice 1": 2},
		Discrepancies: []wire.Discrepancy{{Kind: "missing_in_sink", Prize: "tv", GrantID: 1<<48 | 42, Detail: "no row"}}}, f.err
}

func (f *fake) Repair(context.Context, wire.Change) (wire.Repair, error) {
	return wire.Repair{Rows: 1, Grants: []wire.Repaired{{GrantID: 1<<48 | 42, What: "row"}}}, f.err
}

func (f *fake) Ready(context.Context) wire.Readiness {
	return wire.Readiness{Ready: f.ready.Ready, Code: f.ready.Code, Checks: bytesafe(f.ready.Checks)}
}

func bytesafe(c []wire.Check) []wire.Check { return append([]wire.Check(nil), c...) }

// echo answers every draw with a code made of what it was asked, to show that
// nothing got lost on the way.
func echo(d *httpapi.Draw) {
	d.Outcome, d.GrantID, d.GrantedAt = wire.Granted, 1<<48|42, 1795341600123456
	d.Code = bytes.Join([][]byte{d.Prize, d.User, d.RequestID, []byte(d.Timeout.String())}, []byte("|"))
}

var errBroken = errors.New("the disk fell off")
