package backend

import (
	"context"
	"errors"
	"slices"
	"sync"

	"tombola/allocator"
	"tombola/httpapi/wire"
	"tombola/persist"
)

// Grant implements httpapi.Grants.
func (b *Backend) Grant(ctx context.Context, id wire.GrantID) (wire.Grant, error) {
	p, err := b.started()
	if err != nil {
		return wire.Grant{}, err
	}
	grant := allocator.GrantID(id)
	if int(grant.Slice()) > p.Cluster.Slices {
		return wire.Grant{}, noGrant(grant)
	}
	return askSlice[wire.Grant](ctx, p, grant.Slice(), askGrant, grantRequest{Seq: grant.Seq()})
}

// UserGrants implements httpapi.Grants: what the slices retain, and what only
// the sink has any more.
func (b *Backend) UserGrants(ctx context.Context, user, prize string, limit int) (wire.UserGrants, error) {
	out := wire.UserGrants{User: user, Grants: []wire.Grant{}}
	p, err := b.started()
	if err != nil {
		return out, err
	}
	found := make([][]wire.Grant, p.Cluster.Slices+1)
	errs := make([]error, p.Cluster.Slices)
	var wg sync.WaitGroup
	for i := range p.Cluster.Slices {
		wg.Go(func() {
			found[i], errs[i] = askSlice[[]wire.Grant](ctx, p, allocator.SliceNo(i+1), askUser,
				userRequest{User: user, Prize: prize, Limit: limit + 1})
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return out, asProblem(err)
	}
	if store, err := p.Sink.Store(); err == nil {
		sent, err := store.UserGrants(ctx, user, prize, limit+1)
		if err != nil {
			p.Logger.Warn("a user's older grants could not be read from the sink", "err", err)
		}
		for i := range sent {
			found[p.Cluster.Slices] = append(found[p.Cluster.Slices], grantOf(&sent[i]))
		}
	}
	out.Grants, out.More = newest(found, limit)
	return out, nil
}

// newest merges grants, those first that were granted last; of a grant that is
// in more than one list, what the sink says of its void counts.
func newest(lists [][]wire.Grant, limit int) ([]wire.Grant, bool) {
	byID := make(map[wire.GrantID]wire.Grant)
	for _, list := range lists {
		for _, g := range list {
			if had, ok := byID[g.GrantID]; !ok || had.VoidedAt == 0 && g.VoidedAt != 0 {
				byID[g.GrantID] = g
			}
		}
	}
	all := make([]wire.Grant, 0, len(byID))
	for _, g := range byID {
		all = append(all, g)
	}
	slices.SortFunc(all, func(x, y wire.Grant) int {
		switch {
		case x.GrantedAt != y.GrantedAt:
			return int(min(1, max(-1, int64(y.GrantedAt-x.GrantedAt))))
		case x.GrantID > y.GrantID:
			return -1
		default:
			return 1
		}
	})
	if len(all) > limit {
		return all[:limit], true
	}
	return all, false
}

// VoidGrant implements httpapi.Grants. With restock it returns once the token
// can be drawn again.
func (b *Backend) VoidGrant(ctx context.Context, id wire.GrantID, restock bool, c wire.Change) (wire.Grant, error) {
	p, err := b.started()
	if err != nil {
		return wire.Grant{}, err
	}
	grant := allocator.GrantID(id)
	if int(grant.Slice()) > p.Cluster.Slices {
		return wire.Grant{}, noGrant(grant)
	}
	before, err := b.Grant(ctx, id)
	if err != nil {
		return wire.Grant{}, err
	}
	var r voidResponse
	err = p.Ask.Leader(ctx, uint16(grant.Slice()), doVoid, false, voidRequest{Seq: grant.Seq(), Restock: restock}, &r)
	switch {
	case err != nil:
		return wire.Grant{}, err
	case r.Outcome.Verdict == allocator.NoSuchGrant:
		return wire.Grant{}, wire.NewProblem(wire.CodeConflict, "grant %s is too old to be voided", grant)
	case r.Outcome.Verdict == allocator.Already:
		return wire.Grant{}, wire.NewProblem(wire.CodeConflict, "grant %s was voided before", grant)
	}
	b.recordVoid(ctx, p, &before, restock, c.Actor)
	if restock {
		received, err := askBank[bool](ctx, p, askReceived, receivedRequest{Prize: r.Prize, Slice: grant.Slice(), Returns: r.Returns})
		if err != nil || !received {
			return wire.Grant{}, wire.NewProblem(wire.CodeUnconfirmed,
				"grant %s is voided; its token is on its way back and can be drawn a little later", grant)
		}
	}
	before.State, before.VoidedAt = wire.StateVoided, wire.Time(r.Outcome.At)
	return before, nil
}

// recordVoid adds a void to the audit trail, which the bank keeps. The void
// stands without it.
func (b *Backend) recordVoid(ctx context.Context, p *Parts, g *wire.Grant, restock bool, actor string) {
	remark := "void " + g.GrantID.String()
	if restock {
		remark += " restock"
	}
	var r changeResponse
	err := p.Ask.Leader(ctx, 0, doChange, true, allocator.Change{Prize: g.Prize, Actor: actor, Remark: remark}, &r)
	if err != nil {
		p.Logger.Error("a void is missing from the audit trail", "grant", g.GrantID, "restock", restock, "by", actor, "err", err)
	}
}

func grantFromSink(ctx context.Context, p *Parts, id allocator.GrantID) (wire.Grant, error) {
	store, err := p.Sink.Store()
	if err != nil {
		return wire.Grant{}, wire.NewProblem(wire.CodeTimeout, "grant %s may be an older one, and the sink can't be asked: %v", id, err)
	}
	sent, err := store.Grant(ctx, id)
	switch {
	case errors.Is(err, persist.ErrNotFound):
		return wire.Grant{}, noGrant(id)
	case err != nil:
		return wire.Grant{}, err
	}
	return grantOf(&sent), nil
}

func noGrant(id allocator.GrantID) *wire.Problem {
	return wire.NewProblem(wire.CodeNotFound, "there is no grant %s", id)
}

func grantOf(s *persist.Sent) wire.Grant {
	g := wire.Grant{
		GrantID: wire.GrantID(s.GrantID), Prize: s.Prize, User: s.User, RequestID: s.RequestID, Code: s.Code,
		State: wire.StateGranted, GrantedAt: wire.Time(s.GrantedAt), VoidedAt: wire.Time(s.VoidedAt),
	}
	if s.VoidedAt != 0 {
		g.State = wire.StateVoided
	}
	return g
}
