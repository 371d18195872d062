package backend

import (
	"context"
	"slices"
	"sync"

	"tombola/allocator"
	"tombola/httpapi/wire"
	"tombola/node/membership"
	"tombola/node/verify"
	"tombola/persist"
	"tombola/raftstore/outbox"
)

// askBooks is what every server answers about its database's totals.
const askBooks = "node/books"

// verifyTries bounds how often prizes whose quota was moving are looked at
// again: those that were compared once are done with.
const verifyTries = 100

// Verify implements httpapi.Operator.
func (b *Backend) Verify(ctx context.Context) (wire.Report, error) {
	p, err := b.started()
	if err != nil {
		return wire.Report{}, err
	}
	facts, err := b.facts(ctx, p)
	if err != nil {
		return wire.Report{}, err
	}
	report, moving := verify.Check(facts)
	for range verifyTries {
		if len(moving) == 0 {
			return report, nil
		}
		if facts, err = b.quotaFacts(ctx, p, moving); err != nil {
			return wire.Report{}, err
		}
		moving = verify.Recheck(&report, facts, moving)
	}
	return report, wire.NewProblem(wire.CodeTimeout, "quota moves too fast between the bank and the slices to compare them")
}

// quotaFacts asks again for what was moving: slices first, the bank after them.
func (b *Backend) quotaFacts(ctx context.Context, p *Parts, moving []verify.Line) (*verify.Facts, error) {
	prizes := map[allocator.SliceNo][]allocator.PrizeNo{}
	for _, l := range moving {
		if !slices.Contains(prizes[l.Slice], l.Prize) {
			prizes[l.Slice] = append(prizes[l.Slice], l.Prize)
		}
	}
	f := &verify.Facts{}
	for slice, numbers := range prizes {
		states, err := askSlice[statesResponse](ctx, p, slice, askStates, statesRequest{Prizes: numbers})
		if err != nil {
			return nil, asProblem(err)
		}
		f.Proofs = append(f.Proofs, verify.Proof{Slice: slice, States: states.States})
	}
	var err error
	if f.Vaults, err = askBank[[]allocator.VaultState](ctx, p, askVaults, struct{}{}); err != nil {
		return nil, asProblem(err)
	}
	return f, nil
}

// facts asks the slices first and the bank after them.
func (b *Backend) facts(ctx context.Context, p *Parts) (*verify.Facts, error) {
	f := &verify.Facts{Proofs: make([]verify.Proof, p.Cluster.Slices)}
	errs := make([]error, p.Cluster.Slices)
	servers := map[string]struct{}{p.Members.ServerID(): {}}
	var wg sync.WaitGroup
	for i := range f.Proofs {
		slice := allocator.SliceNo(i + 1)
		if server, ok := p.Groups.Leader(uint16(slice)); ok && !p.SharedSink {
			servers[server] = struct{}{}
		}
		wg.Go(func() { f.Proofs[i], errs[i] = askSlice[verify.Proof](ctx, p, slice, askProof, struct{}{}) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, asProblem(err)
		}
	}
	var err error
	if f.Vaults, err = askBank[[]allocator.VaultState](ctx, p, askVaults, struct{}{}); err != nil {
		return nil, asProblem(err)
	}
	for server := range servers {
		var books verify.Books
		if err := p.Ask.Server(ctx, server, askBooks, struct{}{}, &books); err != nil {
			books = verify.Books{Node: membership.NodeID(server), Err: err.Error()}
		}
		books.Server, books.Shared = server, len(servers) == 1
		f.Books = append(f.Books, books)
	}
	return f, nil
}

// answerProof counts a slice's grants up to the sink's checkpoint, on both
// sides, while draws go on: what came after it is in the outbox.
func (b *Backend) answerProof(ctx context.Context, group uint16, _ struct{}) (proof verify.Proof, err error) {
	slice, err := b.leads(ctx, group)
	if err != nil {
		return proof, err
	}
	proof = verify.Proof{
		Slice: slice.No, Node: membership.NodeID(b.parts.Members.ServerID()),
		Kept: map[string]verify.Counts{}, Sunk: map[string]verify.Counts{},
	}
	store, err := b.parts.Sink.Store()
	if err == nil {
		slice.Machine.Read(func(s *allocator.Slice) { proof.Confirmed = s.Sunk() })
		err = store.View(ctx, group, func(v *persist.View) error { return b.prove(ctx, slice, v, &proof) })
	}
	if err != nil {
		proof.SinkError = err.Error()
		proof.States = nil
		b.stand(slice, &proof)
	}
	return proof, ctx.Err()
}

// prove compares with one state of the database.
func (b *Backend) prove(ctx context.Context, slice *Slice, v *persist.View, proof *verify.Proof) error {
	proof.Checkpoint = v.Last
	for prize, n := range v.Counts {
		proof.Sunk[prize] = verify.Counts{Grants: n.Rows, Voids: n.Voided}
	}
	b.stand(slice, proof)
	if proof.Checkpoint > proof.Last {
		return nil
	}
	if err := b.discount(ctx, slice, proof); err != nil {
		return err
	}
	c := rowCheck{slice: slice, view: v}
	err := c.run(ctx)
	proof.Rows = c.rows
	return err
}

// stand notes what the slice has granted and holds.
func (b *Backend) stand(slice *Slice, proof *verify.Proof) {
	slice.Machine.Read(func(s *allocator.Slice) {
		proof.Last = s.Last()
		for _, no := range s.Prizes() {
			st, _ := s.State(no)
			proof.States = append(proof.States, st)
			if st.Granted > 0 {
				proof.Kept[st.Def.ID] = verify.Counts{Grants: st.Granted, Voids: st.Voided}
			}
		}
	})
}

// discount takes the events after the sink's checkpoint off a slice's counts.
func (b *Backend) discount(ctx context.Context, slice *Slice, proof *verify.Proof) error {
	var batch outbox.Batch
	for from := proof.Checkpoint + 1; from <= proof.Last; from = batch.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := slice.Outbox.Read(from, int(min(proof.Last-from+1, 10_000)), 0, &batch); err != nil {
			return err
		}
		for _, payload := range batch.Payloads {
			e, err := allocator.DecodeEvent(payload)
			if err != nil {
				return err
			}
			var prize string
			slice.Machine.Read(func(s *allocator.Slice) { prize, _ = s.PrizeID(e.Prize) })
			n := proof.Kept[prize]
			if e.Kind == allocator.EventVoid {
				n.Voids--
			} else {
				n.Grants--
			}
			proof.Kept[prize] = n
		}
	}
	return nil
}

// answerBooks says which totals of this server's database do not add up, or
// why that could not be found out: to verify, that is a finding.
func (b *Backend) answerBooks(ctx context.Context, _ uint16, _ struct{}) (verify.Books, error) {
	books := verify.Books{Node: membership.NodeID(b.parts.Members.ServerID())}
	store, err := b.parts.Sink.Store()
	if err == nil {
		books.Mismatches, err = b.mismatches(ctx, store)
	}
	if err == nil {
		err = store.Outside(ctx, b.parts.Cluster.Slices, func(row *persist.LogRow) bool {
			books.Outside.Unknown(row, "there is no such slice")
			return true
		})
	}
	if err != nil {
		books.Err = err.Error()
	}
	return books, nil
}

func (b *Backend) mismatches(ctx context.Context, store *persist.Store) ([]verify.Mismatch, error) {
	books, err := store.Books(ctx)
	if err != nil {
		return nil, err
	}
	var found []verify.Mismatch
	for _, m := range books.Mismatches() {
		out := verify.Mismatch{Prize: m.Prize, Mirrored: m.Mirrored, Counted: m.Counted}
		if m.Day != 0 {
			out.Day = m.Day.String()
		}
		found = append(found, out)
	}
	return found, nil
}
