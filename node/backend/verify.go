package backend

import (
	"context"
	"sync"

	"tombola/allocator"
	"tombola/httpapi/wire"
	"tombola/node/membership"
	"tombola/node/verify"
	"tombola/raftstore/outbox"
)

// askBooks is what every server answers about its database's totals.
const askBooks = "node/books"

// verifyTries bounds how often prizes whose quota was moving are looked at
// again.
const verifyTries = 20

// Verify implements httpapi.Operator.
func (b *Backend) Verify(ctx context.Context) (wire.Report, error) {
	p, err := b.started()
	if err != nil {
		return wire.Report{}, err
	}
	var report wire.Report
	for range verifyTries {
		facts, err := b.facts(ctx, p)
		if err != nil {
			return wire.Report{}, err
		}
		var moving []allocator.PrizeNo
		report, moving = verify.Check(facts)
		if len(moving) == 0 || !report.OK {
			return report, nil
		}
	}
	return report, wire.NewProblem(wire.CodeTimeout, "quota moves too fast between the bank and the slices to compare them")
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
	proof = verify.Proof{Slice: slice.No, Kept: map[string]verify.Counts{}, Sunk: map[string]verify.Counts{}}
	store, err := b.parts.Sink.Store()
	if err == nil {
		checkpoint, counts, failed := store.CountsAt(ctx, group)
		for prize, n := range counts {
			proof.Sunk[prize] = verify.Counts{Grants: n.Rows, Voids: n.Voided}
		}
		proof.Checkpoint, err = checkpoint, failed
	}
	if err != nil {
		proof.SinkError = err.Error()
	}
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
	if proof.SinkError != "" || proof.Checkpoint > proof.Last {
		return proof, nil
	}
	return proof, b.discount(ctx, slice, &proof)
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
	var err error
	if books.Mismatches, err = b.mismatches(ctx); err != nil {
		books.Err = err.Error()
	}
	return books, nil
}

func (b *Backend) mismatches(ctx context.Context) ([]verify.Mismatch, error) {
	store, err := b.parts.Sink.Store()
	if err != nil {
		return nil, err
	}
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
