package backend

import (
	"context"

	"tombola/allocator"
	"tombola/httpapi/wire"
)

// PutPrize implements httpapi.Prizes.
func (b *Backend) PutPrize(ctx context.Context, id string, spec wire.PrizeSpec, c wire.Change) (wire.Definition, bool, error) {
	p, err := b.started()
	if err != nil {
		return wire.Definition{}, false, err
	}
	change := allocator.Change{
		Prize: id, Actor: c.Actor, Create: !c.IfExists, Set: allocator.FieldsAll,
		To: fromSpec(&spec), If: condition(&c),
	}
	old, err := askBank[allocator.VaultState](ctx, p, askVault, findRequest{ID: id})
	switch problem := asProblem(err); {
	case err == nil && c.IfAbsent:
		return wire.Definition{}, false, isThere(id)
	case err == nil:
		if err := b.foresee(ctx, p, &old, &change); err != nil {
			return wire.Definition{}, false, err
		}
	case problem.Code != wire.CodeUnknownPrize:
		return wire.Definition{}, false, err
	case c.IfVersion != 0 || c.IfExists:
		return wire.Definition{}, false, wire.NewProblem(wire.CodePreconditionFailed, "there is no prize %q", id)
	}
	return b.commit(ctx, p, &change)
}

// PatchPrize implements httpapi.Prizes.
func (b *Backend) PatchPrize(ctx context.Context, id string, patch wire.PrizePatch, c wire.Change) (wire.Definition, error) {
	p, err := b.started()
	if err != nil {
		return wire.Definition{}, err
	}
	old, err := askBank[allocator.VaultState](ctx, p, askVault, findRequest{ID: id})
	if err != nil {
		return wire.Definition{}, err
	}
	to, err := patch.ApplyTo(definition(&old.Def))
	if err != nil {
		return wire.Definition{}, err
	}
	change := allocator.Change{
		Prize: id, Actor: c.Actor, Set: fieldsOf(&patch), To: fromSpec(&to.PrizeSpec), If: condition(&c),
	}
	change.To.Status = statusOf(to.Status)
	if err := b.foresee(ctx, p, &old, &change); err != nil {
		return wire.Definition{}, err
	}
	def, _, err := b.commit(ctx, p, &change)
	return def, err
}

// DeletePrize implements httpapi.Prizes.
func (b *Backend) DeletePrize(ctx context.Context, id string, c wire.Change) (wire.Definition, error) {
	p, err := b.started()
	if err != nil {
		return wire.Definition{}, err
	}
	change := allocator.Change{
		Prize: id, Actor: c.Actor, Set: allocator.FieldStatus, If: condition(&c),
		To: allocator.Definition{Status: allocator.StatusDeleted},
	}
	def, _, err := b.commit(ctx, p, &change)
	return def, err
}

// foresee refuses what the slices would, before anything is recalled or counted
// for it: a total below what is granted, a user limit after grants that were
// not routed by user. The bank decides, should things change meanwhile.
func (b *Backend) foresee(ctx context.Context, p *Parts, old *allocator.VaultState, c *allocator.Change) error {
	smaller := c.Set&allocator.FieldTotal != 0 && c.To.Total < old.Def.Total
	limited := c.Set&allocator.FieldPerUserLimit != 0 && c.To.PerUserLimit > 0 && old.Def.PerUserLimit == 0
	if !smaller && !limited {
		return nil
	}
	var granted, strays int64
	for _, position := range b.positions(ctx, p, []allocator.PrizeNo{old.Def.No}) {
		if position.err != nil {
			return position.err
		}
		if st := position.state.of(old.Def.No); st != nil {
			granted += st.Granted - st.Restocked
			strays += st.Strays
		}
	}
	if smaller && c.To.Total < granted {
		return belowGranted(granted)
	}
	if limited && strays > 0 {
		return straysProblem()
	}
	return nil
}

// condition returns the version that c wants the prize to have. One that no
// prize can have is wrong like any other that it has not.
func condition(c *wire.Change) allocator.Version {
	if c.IfAbsent {
		return allocator.Absent
	}
	return min(allocator.Version(c.IfVersion), allocator.Absent-1)
}

// isThere is the problem of If-None-Match for a prize that exists.
func isThere(id string) *wire.Problem {
	return wire.NewProblem(wire.CodePreconditionFailed, "prize %q is there already", id)
}

func belowGranted(granted int64) *wire.Problem {
	p := wire.NewProblem(wire.CodeBelowGranted, "%d are granted already; the total stays as it was", granted)
	p.Granted = &granted
	return p
}

func straysProblem() *wire.Problem {
	return wire.NewProblem(wire.CodeConflict, "grants were made that were not routed by user, so a user limit could not be kept")
}

// commit has the bank make a change, and says what came of it.
func (b *Backend) commit(ctx context.Context, p *Parts, c *allocator.Change) (wire.Definition, bool, error) {
	var r changeResponse
	if err := p.Ask.Leader(ctx, 0, doChange, false, c, &r); err != nil {
		return wire.Definition{}, false, err
	}
	if r.Moved && !r.Settled {
		// It is committed, and whoever leads now sees to it.
		var settled changeResponse
		if err := p.Ask.Leader(ctx, 0, askSettled, true, r.Outcome, &settled); err == nil {
			r = settled
		}
	}
	if err := refusal(c, &r); err != nil {
		return wire.Definition{}, false, err
	}
	p.Catalog.Learn(r.Vault.Def)
	return definition(&r.Vault.Def), r.Outcome.Verdict == allocator.ChangeCreated, nil
}

// refusal returns the problem that a change met, nil where it holds.
func refusal(c *allocator.Change, r *changeResponse) error {
	switch r.Outcome.Verdict {
	case allocator.ChangeUnknown:
		return wire.NewProblem(wire.CodeUnknownPrize, "there is no prize %q", c.Prize)
	case allocator.ChangeDeleted:
		return wire.NewProblem(wire.CodeConflict, "prize %q was deleted: it has ended for good, and its id is never used again", c.Prize)
	case allocator.ChangeKind:
		return wire.NewProblem(wire.CodeConflict, "a prize's kind can't change")
	case allocator.ChangeZone:
		return wire.NewProblem(wire.CodeConflict, "the time zone can't change once a prize is being granted")
	case allocator.ChangeArchived:
		return wire.NewProblem(wire.CodeConflict, "prize %q is over and its request ids are forgotten; it can't be changed any more", c.Prize)
	case allocator.ChangeWrongIf:
		if c.If == allocator.Absent {
			return isThere(c.Prize)
		}
		return wire.NewProblem(wire.CodePreconditionFailed, "prize %q is at version %d", c.Prize, r.Vault.Def.Version)
	case allocator.ChangeFull:
		return wire.NewProblem(wire.CodeConflict, "the catalog is full: deleted prizes keep their numbers")
	case allocator.ChangeBadValues:
		return wire.NewProblem(wire.CodeInvalid, "these values make no prize")
	}
	if !r.Settled {
		p := wire.NewProblem(wire.CodeUnconfirmed, "the change is recorded and completes later: not every slice has confirmed it yet")
		for _, s := range r.Vault.Behind {
			p.Slices = append(p.Slices, uint16(s))
		}
		return p
	}
	if op := r.Vault.Operation; op.Number == r.Outcome.Operation {
		switch op.State {
		case allocator.OperationBelowGranted:
			return belowGranted(op.Granted)
		case allocator.OperationStrays:
			return straysProblem()
		}
	}
	return nil
}
