package backend

import (
	"context"
	"errors"

	"tombola/allocator"
	"tombola/httpapi/wire"
	"tombola/node/ask"
	"tombola/node/draws"
	"tombola/raftstore"
	"tombola/raftstore/outbox"
)

// The questions that a slice's leader answers.
const (
	askStates = "slice/states"
	askGrant  = "slice/grant"
	askUser   = "slice/user"
	askProof  = "slice/proof"
	doVoid    = "slice/void"
)

func (b *Backend) handleSlices() {
	a := b.parts.Ask
	ask.Handle(a, askStates, b.answerStates)
	ask.Handle(a, askGrant, b.answerGrant)
	ask.Handle(a, askUser, b.answerUser)
	ask.Handle(a, askProof, b.answerProof)
	ask.Handle(a, doVoid, b.answerVoid)
}

type statesRequest struct{ Prizes []allocator.PrizeNo }

// statesResponse is what a slice knows of some prizes.
type statesResponse struct {
	States []allocator.PrizeState
	Behind int64 // events that the sink has not confirmed
}

func (r *statesResponse) of(no allocator.PrizeNo) *allocator.PrizeState {
	for i := range r.States {
		if r.States[i].Def.No == no {
			return &r.States[i]
		}
	}
	return nil
}

// leads returns a slice that this server leads at that moment.
func (b *Backend) leads(ctx context.Context, group uint16) (*Slice, error) {
	s := b.parts.Slices[allocator.SliceNo(group)]
	if s == nil {
		return nil, ask.NotLeading()
	}
	if _, leading := s.Group.Leading(); !leading {
		return nil, ask.NotLeading()
	}
	if err := s.Group.Verify(ctx); err != nil {
		return nil, ask.NotLeading()
	}
	return s, nil
}

func (b *Backend) answerStates(ctx context.Context, group uint16, r statesRequest) (out statesResponse, err error) {
	slice, err := b.leads(ctx, group)
	if err != nil {
		return out, err
	}
	slice.Machine.Read(func(s *allocator.Slice) {
		for _, no := range r.Prizes {
			if st, ok := s.State(no); ok {
				out.States = append(out.States, st)
			}
		}
		out.Behind = int64(s.Last() - max(s.Sunk(), min(s.Last(), slice.Drain.Status().Seq)))
	})
	return out, nil
}

type grantRequest struct{ Seq uint64 }

func (b *Backend) answerGrant(ctx context.Context, group uint16, r grantRequest) (g wire.Grant, err error) {
	slice, err := b.leads(ctx, group)
	if err != nil {
		return g, err
	}
	var kept allocator.Grant
	found := false
	slice.Machine.Read(func(s *allocator.Slice) { kept, found = s.Grant(r.Seq) })
	if found {
		g, err = grantFromOutbox(slice, &kept)
		if err == nil && g.State != wire.StateVoided {
			return g, nil
		}
	}
	// Older grants, and when a grant was voided, are in the sink. It may not
	// have heard of the void yet: then what the slice knows counts.
	sunk, sinkErr := grantFromSink(ctx, b.parts, allocator.NewGrantID(slice.No, r.Seq))
	switch {
	case sinkErr == nil && kept.Voided && sunk.State != wire.StateVoided:
		sunk.State = wire.StateVoided
		return sunk, nil
	case sinkErr == nil:
		return sunk, nil
	case found && err == nil:
		return g, nil
	default:
		return g, sinkErr
	}
}

// grantFromOutbox completes a grant with the ids that its event holds.
func grantFromOutbox(slice *Slice, kept *allocator.Grant) (wire.Grant, error) {
	payload, err := slice.Outbox.Get(kept.ID.Seq())
	if err != nil {
		return wire.Grant{}, err
	}
	e, err := allocator.DecodeEvent(payload)
	if err != nil {
		return wire.Grant{}, err
	}
	prize := ""
	slice.Machine.Read(func(s *allocator.Slice) { prize, _ = s.PrizeID(kept.Prize) })
	g := wire.Grant{
		GrantID: wire.GrantID(kept.ID), Prize: prize, User: string(e.User), RequestID: string(e.RequestID),
		State: wire.StateGranted, GrantedAt: wire.Time(kept.At),
	}
	if kept.Voided {
		g.State = wire.StateVoided
	}
	return g, nil
}

type userRequest struct {
	User  string
	Prize string
	Limit int
}

// answerUser returns the user's grants in one slice that are retained.
func (b *Backend) answerUser(ctx context.Context, group uint16, r userRequest) ([]wire.Grant, error) {
	slice, err := b.leads(ctx, group)
	if err != nil {
		return nil, err
	}
	var kept []allocator.Grant
	slice.Machine.Read(func(s *allocator.Slice) {
		for _, no := range s.Prizes() {
			if id, _ := s.PrizeID(no); r.Prize == "" || r.Prize == id {
				kept = append(kept, s.UserGrants(no, []byte(r.User), r.Limit)...)
			}
		}
	})
	grants := make([]wire.Grant, 0, len(kept))
	for i := range kept {
		g, err := grantFromOutbox(slice, &kept[i])
		if errors.Is(err, outbox.ErrTrimmed) {
			continue // the sink has it
		}
		if err != nil {
			return nil, err
		}
		grants = append(grants, g)
	}
	return grants, nil
}

type voidRequest struct {
	Seq     uint64
	Restock bool
}

// voidResponse is what a void came to, with the slice's returns after it: the
// restock is done once the bank has them.
type voidResponse struct {
	Outcome allocator.Outcome
	Prize   allocator.PrizeNo
	Returns []returned
}

func (b *Backend) answerVoid(ctx context.Context, group uint16, r voidRequest) (out voidResponse, err error) {
	slice, err := b.leads(ctx, group)
	if err != nil {
		return out, err
	}
	out.Outcome, err = slice.Engine.Order(ctx, func(w *allocator.EntryWriter) { w.Void(r.Seq, r.Restock) })
	switch {
	case errors.Is(err, draws.ErrNotLeading), errors.Is(err, raftstore.ErrNotLeader):
		return out, ask.NotLeading()
	case err != nil:
		return out, wire.NewProblem(wire.CodeUnknownOutcome, "the void may or may not have been made: %v", err)
	}
	slice.Machine.Read(func(s *allocator.Slice) {
		g, _ := s.Grant(r.Seq)
		out.Prize = g.Prize
		st, _ := s.State(g.Prize)
		for _, purse := range st.Purses {
			n := purse.Returns
			if purse.Restock > 0 {
				n++ // waits for the return before it
			}
			out.Returns = append(out.Returns, returned{purse.Purse, n})
		}
	})
	return out, nil
}
