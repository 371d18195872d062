package backend

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"tombola/allocator"
	"tombola/httpapi/wire"
	"tombola/node/ask"
	"tombola/node/quota"
	"tombola/raftstore"
)

// The questions that the bank's leader answers.
const (
	askFind     = "bank/find"
	askVault    = "bank/vault"
	askVaults   = "bank/vaults"
	askSome     = "bank/some"
	askList     = "bank/list"
	askAudit    = "bank/audit"
	askReceived = "bank/received"
	doChange    = "bank/change"
)

type findRequest struct{ ID string }

type listRequest struct {
	After string
	Limit int
}

// listResponse is a page of definitions in the order of their ids.
type listResponse struct {
	Definitions []allocator.Definition
	More        bool
}

type auditRequest struct {
	Prize  string
	Before uint64
	Limit  int
}

type receivedRequest struct {
	Prize   allocator.PrizeNo
	Slice   allocator.SliceNo
	Returns []returned
}

// returned names a return of a slice.
type returned struct {
	Purse allocator.Purse
	N     uint64
}

// changeResponse is what a change came to, once it holds on every slice or the
// time to wait for that was over.
type changeResponse struct {
	Outcome allocator.ChangeOutcome
	Vault   allocator.VaultState
	Settled bool
}

// handle registers what this server answers to its peers.
func (b *Backend) handle() {
	a := b.parts.Ask
	ask.Handle(a, askFind, b.answerFind)
	ask.Handle(a, askVault, b.answerVault)
	ask.Handle(a, askVaults, b.answerVaults)
	ask.Handle(a, askSome, b.answerSome)
	ask.Handle(a, askList, b.answerList)
	ask.Handle(a, askAudit, b.answerAudit)
	ask.Handle(a, askReceived, b.answerReceived)
	ask.Handle(a, doChange, b.answerChange)
	b.handleSlices()
	ask.Handle(a, askNode, b.answerNode)
	ask.Handle(a, askBooks, b.answerBooks)
	b.handleRepair()
}

// readBank calls f with the bank's committed state, if this server leads it at
// that moment.
func (b *Backend) readBank(ctx context.Context, f func(*allocator.Bank)) error {
	bank := b.parts.Bank
	if bank == nil {
		return ask.NotLeading()
	}
	if _, leading := bank.Group.Leading(); !leading {
		return ask.NotLeading()
	}
	if err := bank.Group.Verify(ctx); err != nil {
		return ask.NotLeading()
	}
	bank.Machine.Read(f)
	return nil
}

func (b *Backend) answerFind(ctx context.Context, _ uint16, r findRequest) (allocator.Definition, error) {
	vault, err := b.answerVault(ctx, 0, r)
	return vault.Def, err
}

func (b *Backend) answerVault(ctx context.Context, _ uint16, r findRequest) (v allocator.VaultState, err error) {
	found := false
	err = b.readBank(ctx, func(s *allocator.Bank) {
		if no, ok := s.Lookup(r.ID); ok {
			v, found = s.State(no)
		}
	})
	if err == nil && !found {
		err = wire.NewProblem(wire.CodeUnknownPrize, "there is no prize %q", r.ID)
	}
	return v, err
}

func (b *Backend) answerVaults(ctx context.Context, _ uint16, _ struct{}) (all []allocator.VaultState, err error) {
	err = b.readBank(ctx, func(s *allocator.Bank) {
		for _, def := range s.Definitions(0, maxPrizes) {
			v, _ := s.State(def.No)
			all = append(all, v)
		}
	})
	return all, err
}

// answerSome returns the vaults of the prizes with the given ids.
func (b *Backend) answerSome(ctx context.Context, _ uint16, ids []string) (some []allocator.VaultState, err error) {
	err = b.readBank(ctx, func(s *allocator.Bank) {
		for _, id := range ids {
			if no, ok := s.Lookup(id); ok {
				v, _ := s.State(no)
				some = append(some, v)
			}
		}
	})
	return some, err
}

// maxPrizes is more than there can be prizes.
const maxPrizes = 1 << 31

func (b *Backend) answerList(ctx context.Context, _ uint16, r listRequest) (page listResponse, err error) {
	err = b.readBank(ctx, func(s *allocator.Bank) {
		for _, def := range s.Definitions(0, maxPrizes) {
			if def.ID > r.After {
				page.Definitions = append(page.Definitions, def)
			}
		}
	})
	slices.SortFunc(page.Definitions, func(x, y allocator.Definition) int { return strings.Compare(x.ID, y.ID) })
	if len(page.Definitions) > r.Limit {
		page.Definitions, page.More = page.Definitions[:r.Limit], true
	}
	return page, err
}

func (b *Backend) answerAudit(ctx context.Context, _ uint16, r auditRequest) (page wire.AuditPage, err error) {
	page.Entries = []wire.AuditEntry{}
	err = b.readBank(ctx, func(s *allocator.Bank) {
		s.Audit(r.Before, func(e *allocator.AuditEntry) bool {
			if r.Prize != "" && e.Prize != r.Prize {
				return true
			}
			if len(page.Entries) == r.Limit {
				page.Cursor = page.Entries[r.Limit-1].Seq
				return false
			}
			action, detail, _ := strings.Cut(e.Action, " ")
			page.Entries = append(page.Entries, wire.AuditEntry{
				Seq: e.Seq, At: wire.Time(e.At), Actor: e.Actor, Action: action,
				Prize: e.Prize, Version: uint64(e.Version), Detail: detail,
			})
			return true
		})
	})
	return page, err
}

// answerReceived waits until the bank has accepted a slice's returns and gives
// their tokens out again.
func (b *Backend) answerReceived(ctx context.Context, _ uint16, r receivedRequest) (bool, error) {
	bank := b.parts.Bank
	if bank == nil {
		return false, ask.NotLeading()
	}
	err := bank.Loop.Await(ctx, func(s *allocator.Bank) bool {
		for _, back := range r.Returns {
			if !s.Received(r.Prize, back.Purse, r.Slice, back.N) {
				return false
			}
		}
		return true
	})
	if errors.Is(err, quota.ErrNotLeading) {
		return false, ask.NotLeading()
	}
	return err == nil, nil
}

// replyMargin is how much earlier than the caller gives up a wait ends, so that
// its reply arrives.
const replyMargin = 250 * time.Millisecond

// answerChange commits a change and waits until it holds on every slice.
func (b *Backend) answerChange(ctx context.Context, _ uint16, c allocator.Change) (r changeResponse, err error) {
	bank := b.parts.Bank
	if bank == nil {
		return r, ask.NotLeading()
	}
	r.Outcome, err = bank.Loop.Change(ctx, c)
	switch {
	case errors.Is(err, quota.ErrNotLeading), errors.Is(err, raftstore.ErrNotLeader):
		return r, ask.NotLeading()
	case err != nil:
		return r, wire.NewProblem(wire.CodeUnknownOutcome, "the change may or may not have been made: %v", err)
	case r.Outcome.Verdict != allocator.ChangeCreated && r.Outcome.Verdict != allocator.ChangeDone:
		bank.Machine.Read(func(s *allocator.Bank) { r.Vault, _ = s.State(r.Outcome.Prize) })
		return r, nil
	}
	wait := ctx
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		wait, cancel = context.WithDeadline(ctx, deadline.Add(-replyMargin))
		defer cancel()
	}
	err = bank.Loop.Await(wait, func(s *allocator.Bank) bool {
		r.Vault, _ = s.State(r.Outcome.Prize)
		r.Settled = r.Vault.Settled(&r.Outcome)
		return r.Settled
	})
	if err != nil {
		bank.Machine.Read(func(s *allocator.Bank) { r.Vault, _ = s.State(r.Outcome.Prize) })
	}
	return r, nil
}
