package backend

import (
	"context"
	"sync"

	"tombola/allocator"
	"tombola/httpapi/wire"
	"tombola/node/membership"
)

// find returns a prize's definition from the bank.
func (b *Backend) find(ctx context.Context, id string) (allocator.Definition, error) {
	p, err := b.started()
	if err != nil {
		return allocator.Definition{}, err
	}
	return askBank[allocator.Definition](ctx, p, askFind, findRequest{ID: id})
}

// Prize implements httpapi.Prizes.
func (b *Backend) Prize(ctx context.Context, id string) (wire.Definition, error) {
	def, err := b.find(ctx, id)
	if err != nil {
		return wire.Definition{}, err
	}
	return definition(&def), nil
}

// PrizeCounts implements httpapi.Prizes.
func (b *Backend) PrizeCounts(ctx context.Context, id string) (wire.Prize, error) {
	p, err := b.started()
	if err != nil {
		return wire.Prize{}, err
	}
	vault, err := askBank[allocator.VaultState](ctx, p, askVault, findRequest{ID: id})
	if err != nil {
		return wire.Prize{}, err
	}
	return b.counts(ctx, p, &vault), nil
}

// ListPrizes implements httpapi.Prizes.
func (b *Backend) ListPrizes(ctx context.Context, after string, limit int) (wire.PrizePage, error) {
	page := wire.PrizePage{Prizes: []wire.Prize{}}
	p, err := b.started()
	if err != nil {
		return page, err
	}
	list, err := askBank[listResponse](ctx, p, askList, listRequest{After: after, Limit: limit})
	if err != nil {
		return page, err
	}
	ids := make([]string, len(list.Definitions))
	for i := range list.Definitions {
		ids[i] = list.Definitions[i].ID
	}
	vaults, err := askBank[[]allocator.VaultState](ctx, p, askSome, ids)
	if err != nil {
		return page, err
	}
	numbers := make([]allocator.PrizeNo, len(vaults))
	for i := range vaults {
		numbers[i] = vaults[i].Def.No
	}
	positions := b.positions(ctx, p, numbers)
	for i := range vaults {
		page.Prizes = append(page.Prizes, b.joined(p, &vaults[i], positions))
	}
	if list.More {
		page.Cursor = ids[len(ids)-1]
	}
	return page, nil
}

// counts returns a prize with its tokens and counts on every slice.
func (b *Backend) counts(ctx context.Context, p *Parts, vault *allocator.VaultState) wire.Prize {
	return b.joined(p, vault, b.positions(ctx, p, []allocator.PrizeNo{vault.Def.No}))
}

// position is what one slice answered, or why it did not.
type position struct {
	leader string
	state  statesResponse
	err    error
}

// positions asks every slice for the given prizes.
func (b *Backend) positions(ctx context.Context, p *Parts, prizes []allocator.PrizeNo) []position {
	all := make([]position, p.Cluster.Slices)
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() {
			slice := allocator.SliceNo(i + 1)
			server, _ := p.Groups.Leader(uint16(slice))
			all[i].leader = membership.NodeID(server)
			all[i].state, all[i].err = askSlice[statesResponse](ctx, p, slice, askStates, statesRequest{Prizes: prizes})
		})
	}
	wg.Wait()
	return all
}

// joined adds up what the bank and the slices know of a prize.
func (b *Backend) joined(p *Parts, vault *allocator.VaultState, positions []position) wire.Prize {
	today := b.today(p, vault.Def.Zone)
	out := wire.Prize{
		Definition: definition(&vault.Def), Day: today.String(), Slices: []wire.PrizeSlice{},
		Pool: pool(vault, today),
	}
	for i := range positions {
		slice := wire.PrizeSlice{Slice: uint16(i + 1), Leader: positions[i].leader}
		if err := positions[i].err; err != nil {
			slice.Error = asProblem(err).Error()
		} else if st := positions[i].state.of(vault.Def.No); st != nil {
			slice.Version = uint64(st.Def.Version)
			slice.Granted, slice.Voided = st.Granted-st.Voided, st.Voided
			slice.Outbox = positions[i].state.Behind
			slice.Purses.Stock = st.Purses[0].Tokens
			for _, purse := range st.Purses[1:] {
				if purse.Purse.Day == today {
					slice.Purses.Today = new(purse.Tokens)
				}
			}
			if slice.Purses.Today == nil && vault.Def.DailyLimit > 0 {
				slice.Purses.Today = new(int64)
			}
			for _, c := range st.Sent {
				if c.Day == today {
					slice.GrantedToday = c.Grants
				}
			}
		}
		out.Slices = append(out.Slices, slice)
		out.Granted += slice.Granted
		out.GrantedToday += slice.GrantedToday
		out.Voided += slice.Voided
		out.Outbox += slice.Outbox
	}
	return out
}

// pool returns the tokens that the bank holds, those of today included that no
// slice has asked for yet.
func pool(vault *allocator.VaultState, today allocator.Day) wire.Purses {
	var purses wire.Purses
	if vault.Def.DailyLimit > 0 {
		purses.Today = new(vault.Def.DailyLimit)
	}
	for i := range vault.Accounts {
		a := &vault.Accounts[i]
		tokens := a.Pool + a.Held + a.Reserve
		switch {
		case a.Purse.IsStock():
			purses.Stock = tokens
		case a.Purse.Day == today:
			purses.Today = new(tokens)
		}
	}
	return purses
}

func (b *Backend) today(p *Parts, zone string) allocator.Day {
	days, err := p.Dates.Days(allocator.MicrosOf(p.Clock()), []string{zone}, nil)
	if err != nil {
		p.Logger.Error("a prize's time zone is not known here", "err", err)
	}
	return days[0]
}
