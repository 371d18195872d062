package verify

import (
	"slices"
	"testing"

	"tombola/allocator"
)

const day = allocator.Day(20000)

// sound returns two slices, the bank and a database that agree: prize tea of
// 100 tokens, 40 a day, of which slice 1 has granted 12, voided 3 and sent 2 of
// those back, and slice 2 nothing.
func sound() *Facts {
	def := allocator.Definition{
		No: 1, ID: "tea", Version: 1, Kind: allocator.KindCounter, Status: allocator.StatusActive, Total: 100,
		DailyLimit: 40, DayEpoch: 1, Zone: "UTC",
	}
	today := allocator.Purse{Day: day, Epoch: 1}
	line := func(s allocator.SliceNo, lots uint64, sum int64, returns uint64, back int64) allocator.LineState {
		return allocator.LineState{Slice: s, Lots: lots, LotSum: sum, Returns: returns, RetSum: back}
	}
	return &Facts{
		Proofs: []Proof{
			{
				Slice: 1, Last: 20, Checkpoint: 15,
				States: []allocator.PrizeState{{
					Slice: 1, Def: def, Granted: 12, Voided: 3, Restocked: 2,
					Purses: []allocator.PurseState{
						{Tokens: 8, Lots: 2, LotSum: 20, Returns: 2, RetSum: 2},
						{Purse: today, Tokens: 3, Lots: 1, LotSum: 15, Returns: 2, RetSum: 2, Counts: 10},
					},
				}},
				Kept: map[string]Counts{"tea": {Grants: 12, Voids: 3}}, Sunk: map[string]Counts{"tea": {Grants: 12, Voids: 3}},
			},
			{Slice: 2, States: []allocator.PrizeState{{Slice: 2, Def: def, Purses: []allocator.PurseState{{}}}}},
		},
		Vaults: []allocator.VaultState{{
			Def: def,
			Accounts: []allocator.AccountState{
				{Size: 100, Pool: 80, Held: 2, Lines: []allocator.LineState{line(1, 2, 20, 2, 2), line(2, 0, 0, 0, 0)}},
				{Purse: today, Size: 40, Pool: 27, Lines: []allocator.LineState{line(1, 1, 15, 2, 2), line(2, 0, 0, 0, 0)}},
			},
		}},
		Books: []Books{{Node: "n1"}},
	}
}

func stock(f *Facts) *allocator.PurseState       { return &f.Proofs[0].States[0].Purses[0] }
func today(f *Facts) *allocator.PurseState       { return &f.Proofs[0].States[0].Purses[1] }
func account(f *Facts) *allocator.AccountState   { return &f.Vaults[0].Accounts[0] }
func bankLine(f *Facts) *allocator.LineState     { return &account(f).Lines[0] }
func sunk(grants, voids int64) map[string]Counts { return map[string]Counts{"tea": {grants, voids}} }

func TestWhatAgreesIsNoDiscrepancy(t *testing.T) {
	report, moving := Check(sound())
	if !report.OK || len(report.Discrepancies) != 0 || len(moving) != 0 {
		t.Fatalf("%+v, moving %v", report, moving)
	}
	for what, want := range map[string]int64{"prizes": 1, "purses": 2, "slices": 2, "grants": 12, "rows": 12} {
		if report.Checked[what] != want {
			t.Errorf("%d %s were checked, want %d", report.Checked[what], what, want)
		}
	}
	if report.Lag["1"] != 5 || report.Lag["2"] != 0 {
		t.Errorf("lag %v", report.Lag)
	}
}

func TestEachDiscrepancyIsNamed(t *testing.T) {
	for _, c := range []struct {
		kind  string
		name  string
		wrong func(*Facts)
	}{
		{"bank_sum", "a token appeared in the pool", func(f *Facts) { account(f).Pool++ }},
		{"bank_sum", "a token got lost in the pool", func(f *Facts) { account(f).Pool-- }},
		{"bank_sum", "the total was changed, the tokens were not", func(f *Facts) { account(f).Size++ }},
		{"slice_sum", "a token appeared in a slice", func(f *Facts) { stock(f).Tokens++ }},
		{"slice_sum", "a grant took no token", func(f *Facts) { f.Proofs[0].States[0].Granted++ }},
		{"slice_sum", "a day token got lost", func(f *Facts) { today(f).Tokens-- }},
		{"lots", "a lot changed its size on the way", func(f *Facts) { stock(f).LotSum++; stock(f).Tokens++ }},
		{"lots", "the slice accepted a lot that was never issued", func(f *Facts) { stock(f).Lots++ }},
		{"lots", "the slice lost sight of the bank's numbers", func(f *Facts) { stock(f).Lots += 5 }},
		{"returns", "a return changed its size on the way", func(f *Facts) { stock(f).RetSum++; stock(f).Tokens-- }},
		{"returns", "a return that is closed was not accepted", func(f *Facts) { stock(f).Returns++ }},
		{"returns", "two returns are open", func(f *Facts) { stock(f).Returns += 2; stock(f).Open = 1 }},
		{"unknown_prize", "the bank forgot a prize", func(f *Facts) { f.Vaults = nil }},
		{"missing_in_sink", "a row was lost", func(f *Facts) { f.Proofs[0].Sunk = sunk(11, 3) }},
		{"missing_in_sink", "all rows were lost", func(f *Facts) { f.Proofs[0].Sunk = nil }},
		{"unknown_in_sink", "a row too many", func(f *Facts) { f.Proofs[0].Sunk = sunk(13, 3) }},
		{"unknown_in_sink", "rows of a prize that was never granted", func(f *Facts) { f.Proofs[1].Sunk = sunk(1, 0) }},
		{"voids_in_sink", "a void was lost", func(f *Facts) { f.Proofs[0].Sunk = sunk(12, 2) }},
		{"sink_ahead", "the sink is of another time", func(f *Facts) { f.Proofs[0].Checkpoint = 21 }},
		{"sink_unreachable", "a slice can't read the sink", func(f *Facts) { f.Proofs[0].SinkError = "away" }},
		{"sink_unreachable", "a node can't read its totals", func(f *Facts) { f.Books[0].Err = "away" }},
		{"sink_totals", "a mirrored total is wrong", func(f *Facts) {
			f.Books[0].Mismatches = []Mismatch{{Prize: "tea", Mirrored: 9, Counted: 10}}
		}},
		{"sink_totals", "a mirrored day is wrong", func(f *Facts) {
			f.Books[0].Mismatches = []Mismatch{{Prize: "tea", Day: "2024-10-04", Mirrored: 9, Counted: 10}}
		}},
	} {
		t.Run(c.kind+"/"+c.name, func(t *testing.T) {
			f := sound()
			c.wrong(f)
			report, moving := Check(f)
			if report.OK || len(moving) != 0 {
				t.Fatalf("%+v, moving %v", report, moving)
			}
			found := false
			for _, d := range report.Discrepancies {
				found = found || d.Kind == c.kind && d.Detail != ""
			}
			if !found {
				t.Fatalf("%+v, want %s", report.Discrepancies, c.kind)
			}
		})
	}
}

func TestALotOrReturnUnderWayIsNoDiscrepancy(t *testing.T) {
	for name, change := range map[string]func(*Facts){
		"a lot that the slice has not accepted": func(f *Facts) {
			account(f).Pool -= 7
			l := bankLine(f)
			l.Lots, l.LotSum, l.Open = l.Lots+1, l.LotSum+7, 7
		},
		"a lot whose acceptance the bank has not heard of": func(f *Facts) { bankLine(f).Open = 5 },
		"a return that the bank has not accepted": func(f *Facts) {
			p := stock(f)
			p.Returns, p.RetSum, p.Open, p.Tokens = p.Returns+1, p.RetSum+4, 4, p.Tokens-4
		},
		"a return whose receipt the slice has not heard of": func(f *Facts) { stock(f).Open = 1 },
		"both at once": func(f *Facts) {
			account(f).Pool -= 7
			l := bankLine(f)
			l.Lots, l.LotSum, l.Open = l.Lots+1, l.LotSum+7, 7
			p := stock(f)
			p.Returns, p.RetSum, p.Open, p.Tokens = p.Returns+1, p.RetSum+4, 4, p.Tokens-4
		},
		"a void whose token waits for a return": func(f *Facts) {
			st := &f.Proofs[0].States[0]
			st.Voided, st.Restocked, st.Purses[0].Restock = st.Voided+1, st.Restocked+1, 1
			f.Proofs[0].Kept, f.Proofs[0].Sunk = sunk(12, 4), sunk(12, 4)
		},
		"the first lot of a slice that does not know the prize yet": func(f *Facts) {
			f.Proofs[1].States = nil
			account(f).Pool -= 7
			l := &account(f).Lines[1]
			l.Lots, l.LotSum, l.Open = 1, 7, 7
		},
		"a date that only the bank has": func(f *Facts) {
			f.Vaults[0].Accounts[1].Pool--
			l := &f.Vaults[0].Accounts[1].Lines[1]
			l.Lots, l.LotSum, l.Open = 1, 1, 1
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := sound()
			change(f)
			if report, moving := Check(f); !report.OK || len(moving) != 0 {
				t.Fatalf("%+v, moving %v", report.Discrepancies, moving)
			}
		})
	}
}

func TestWhatMovedBetweenTheLooksIsLookedAtAgain(t *testing.T) {
	for name, change := range map[string]func(*Facts){
		"a lot was issued and accepted": func(f *Facts) {
			account(f).Pool -= 7
			bankLine(f).Lots++
			bankLine(f).LotSum += 7
		},
		"two lots were issued": func(f *Facts) {
			account(f).Pool -= 7
			l := bankLine(f)
			l.Lots, l.LotSum, l.Open = l.Lots+2, l.LotSum+7, 3
		},
		"a return was made and accepted": func(f *Facts) {
			account(f).Pool += 4
			bankLine(f).Returns++
			bankLine(f).RetSum += 4
		},
		"a slice lost a prize that it had tokens of": func(f *Facts) {
			f.Proofs[0].States = nil
			f.Proofs[0].Kept, f.Proofs[0].Sunk = nil, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := sound()
			change(f)
			report, moving := Check(f)
			if !report.OK || !slices.ContainsFunc(moving, func(l Line) bool { return l.Prize == 1 }) {
				t.Fatalf("%+v, moving %v", report.Discrepancies, moving)
			}
		})
	}
}
