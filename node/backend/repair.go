package backend

import (
	"context"
	"time"

	"tombola/allocator"
	"tombola/httpapi/wire"
	"tombola/node/ask"
	"tombola/node/verify"
	"tombola/persist"
)

const (
	doRepair  = "slice/repair"
	doRecount = "node/recount"
)

// maxRepaired bounds the grants of a slice that a repair names.
const maxRepaired = 1000

func (b *Backend) handleRepair() {
	ask.Handle(b.parts.Ask, doRepair, b.answerRepair)
	ask.Handle(b.parts.Ask, doRecount, b.answerRecount)
}

// repaired is what the repair of one slice's rows came to.
type repaired struct {
	Rows, Voids int64
	Grants      []wire.Repaired
}

// Repair implements httpapi.Operator. It sends again what the sink lost, sets
// totals that nothing explains to what they should be, and verifies.
func (b *Backend) Repair(ctx context.Context, c wire.Change) (out wire.Repair, err error) {
	p, err := b.started()
	if err != nil {
		return out, err
	}
	began := time.Now()
	for i := range p.Cluster.Slices {
		done, err := askSlice[repaired](ctx, p, allocator.SliceNo(i+1), doRepair, struct{}{})
		if err != nil {
			return out, asProblem(err)
		}
		out.Rows += done.Rows
		out.Voids += done.Voids
		out.Grants = append(out.Grants, done.Grants...)
	}
	// Rows that came back can be what a total was missing, so totals come after.
	facts, err := b.facts(ctx, p)
	if err != nil {
		return out, err
	}
	for i := range facts.Books {
		n, err := b.recount(ctx, p, &facts.Books[i], facts.Proofs)
		if err != nil {
			return out, asProblem(err)
		}
		out.Totals += n
	}
	p.Logger.Warn("the sink was repaired", "rows", out.Rows, "voids", out.Voids, "totals", out.Totals,
		"by", c.Actor, "took", time.Since(began))
	out.Report, err = b.Verify(ctx)
	return out, err
}

func (b *Backend) recount(ctx context.Context, p *Parts, books *verify.Books, proofs []verify.Proof) (int64, error) {
	var totals []persist.Recounted
	for _, m := range books.Mismatches {
		extra := verify.Extra(books, proofs, m.Prize, m.Day)
		if m.Counted-m.Mirrored == extra {
			continue
		}
		t := persist.Recounted{Prize: m.Prize, Extra: extra}
		if day, err := time.Parse(time.DateOnly, m.Day); err == nil {
			t.Day = allocator.DayOf(day)
		}
		totals = append(totals, t)
	}
	if len(totals) == 0 {
		return 0, nil
	}
	return int64(len(totals)), p.Ask.Server(ctx, books.Server, doRecount, totals, nil)
}

func (b *Backend) answerRecount(ctx context.Context, _ uint16, totals []persist.Recounted) (struct{}, error) {
	store, err := b.parts.Sink.Store()
	if err != nil {
		return struct{}{}, err
	}
	return struct{}{}, store.Recount(ctx, totals)
}

// answerRepair puts back what the sink lost of a slice, while draws go on.
func (b *Backend) answerRepair(ctx context.Context, group uint16, _ struct{}) (out repaired, err error) {
	slice, err := b.leads(ctx, group)
	if err != nil {
		return out, err
	}
	store, err := b.parts.Sink.Store()
	if err != nil {
		return out, err
	}
	err = store.View(ctx, group, func(v *persist.View) error {
		if v.Last > slice.Outbox.Last() {
			return nil // verify says so; nothing here is right to write
		}
		c := rowCheck{slice: slice, view: v, lost: func(lost verify.Lost) error {
			put, marked, err := store.Restore(ctx, group, lost.Rows, lost.Voids)
			out.add(put, "row")
			out.add(marked, "void")
			return err
		}}
		return c.run(ctx)
	})
	if out.Rows+out.Voids > 0 {
		b.parts.Logger.Warn("rows of the sink were put back", "slice", group, "rows", out.Rows, "voids", out.Voids)
	}
	return out, err
}

func (r *repaired) add(ids []allocator.GrantID, what string) {
	if what == "row" {
		r.Rows += int64(len(ids))
	} else {
		r.Voids += int64(len(ids))
	}
	for _, id := range ids {
		if len(r.Grants) < maxRepaired {
			r.Grants = append(r.Grants, wire.Repaired{GrantID: wire.GrantID(id), What: what})
		}
	}
}
