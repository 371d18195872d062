// Package verify holds what the bank, the slices and the sink say against each
// other. It compares: who asks them is somebody else.
package verify

import (
	"fmt"
	"slices"
	"sort"
	"strconv"

	"tombola/allocator"
	"tombola/httpapi/wire"
)

// Proof is what one slice's leader says of its slice, with what it found in the
// sink: all counts are those of the events up to Checkpoint.
type Proof struct {
	Slice      allocator.SliceNo
	Last       uint64 // the slice's last event
	Checkpoint uint64 // the sink's
	SinkError  string // why the sink could not be asked; its counts are then missing
	States     []allocator.PrizeState
	// Kept and Sunk are grants and voids by prize id, as the slice has them and
	// as the sink has.
	Kept, Sunk map[string]Counts
}

// Counts are grants, voided ones included, and voids.
type Counts struct{ Grants, Voids int64 }

// Mismatch is a mirrored total that the send log does not add up to.
type Mismatch struct {
	Prize    string
	Day      string // empty for the lifetime
	Mirrored int64
	Counted  int64
}

// Books is what one database says of its own totals.
type Books struct {
	Node       string
	Err        string
	Mismatches []Mismatch
}

// Facts are everything that is compared. Proofs were taken before Vaults, so
// that the bank is never behind the slices.
type Facts struct {
	Proofs []Proof // by slice
	Vaults []allocator.VaultState
	Books  []Books
}

// Check compares. The second result lists prizes whose slices and bank could
// not be compared, since quota was moving between the two looks: ask again.
func Check(f *Facts) (wire.Report, []allocator.PrizeNo) {
	c := &checker{report: wire.Report{
		Checked: map[string]int64{}, Lag: map[string]int64{}, Discrepancies: []wire.Discrepancy{},
	}}
	for i := range f.Vaults {
		c.vault(&f.Vaults[i], f.Proofs)
	}
	known := func(no allocator.PrizeNo) bool {
		return slices.ContainsFunc(f.Vaults, func(v allocator.VaultState) bool { return v.Def.No == no })
	}
	for i := range f.Proofs {
		c.slice(&f.Proofs[i], known)
	}
	for i := range f.Books {
		c.books(&f.Books[i])
	}
	c.report.OK = len(c.report.Discrepancies) == 0
	return c.report, c.moving
}

type checker struct {
	report wire.Report
	moving []allocator.PrizeNo
}

func (c *checker) found(kind, prize, format string, args ...any) {
	c.report.Discrepancies = append(c.report.Discrepancies, wire.Discrepancy{
		Kind: kind, Prize: prize, Detail: fmt.Sprintf(format, args...),
	})
}

// vault checks conservation at the bank, and each slice's sums against it.
func (c *checker) vault(v *allocator.VaultState, proofs []Proof) {
	c.report.Checked["prizes"]++
	for i := range v.Accounts {
		a := &v.Accounts[i]
		sum := a.Before + a.Pool + a.Held + a.Reserve
		for _, l := range a.Lines {
			sum += l.LotSum - l.RetSum
		}
		if sum != a.Size {
			c.found("bank_sum", v.Def.ID, "%s: %d tokens exist, but pool, lots and returns add up to %d", a.Purse, a.Size, sum)
		}
		c.report.Checked["purses"]++
		for _, l := range a.Lines {
			if purse := purseOf(proofs, l.Slice, v.Def.No, a.Purse); purse != nil {
				c.line(v, a, &l, purse)
			}
		}
	}
}

// purseOf returns a slice's purse, nil where nothing can be said of it. A
// slice that does not know a prize holds none of its stock. A date that the
// slice does not have, it may have closed.
func purseOf(proofs []Proof, s allocator.SliceNo, no allocator.PrizeNo, name allocator.Purse) *allocator.PurseState {
	i := slices.IndexFunc(proofs, func(p Proof) bool { return p.Slice == s })
	if i < 0 {
		return nil
	}
	for j := range proofs[i].States {
		st := &proofs[i].States[j]
		if st.Def.No != no {
			continue
		}
		for k := range st.Purses {
			if st.Purses[k].Purse == name {
				return &st.Purses[k]
			}
		}
	}
	if name.IsStock() {
		return &allocator.PurseState{}
	}
	return nil
}

// line compares the bank's and a slice's sums of lots and returns. The bank
// was looked at later: it may have issued one lot more, which is then open,
// and accepted the slice's last return or not. Anything else means that more
// has moved between the two looks.
func (c *checker) line(v *allocator.VaultState, a *allocator.AccountState, l *allocator.LineState, p *allocator.PurseState) {
	lots, returns := l.LotSum, l.RetSum
	switch {
	case l.Lots == p.Lots:
	case l.Lots == p.Lots+1 && l.Open > 0:
		lots -= l.Open
	case l.Lots > p.Lots:
		c.moving = append(c.moving, v.Def.No)
		return
	}
	switch {
	case l.Returns == p.Returns:
	case l.Returns+1 == p.Returns && p.Open > 0:
		returns += p.Open
	case l.Returns > p.Returns:
		c.moving = append(c.moving, v.Def.No)
		return
	}
	if lots != p.LotSum || l.Lots < p.Lots {
		c.found("lots", v.Def.ID, "%s, slice %d: the bank issued lots 1 to %d of %d tokens, the slice accepted 1 to %d of %d",
			a.Purse, l.Slice, l.Lots, lots, p.Lots, p.LotSum)
	}
	if returns != p.RetSum || l.Returns < p.Returns && (p.Open == 0 || l.Returns+1 < p.Returns) {
		c.found("returns", v.Def.ID, "%s, slice %d: the slice sent returns 1 to %d of %d tokens, the bank accepted 1 to %d of %d",
			a.Purse, l.Slice, p.Returns, p.RetSum, l.Returns, returns)
	}
}

// slice checks conservation in a slice, and the sink against it.
func (c *checker) slice(p *Proof, known func(allocator.PrizeNo) bool) {
	c.report.Checked["slices"]++
	name := strconv.Itoa(int(p.Slice))
	for i := range p.States {
		st := &p.States[i]
		if !known(st.Def.No) {
			c.found("unknown_prize", st.Def.ID, "slice %s has prize %d, which the bank does not know", name, st.Def.No)
		}
		stock := &st.Purses[0]
		if in, out := stock.LotSum-stock.RetSum, stock.Tokens+stock.Restock+st.Granted-st.Restocked; in != out {
			c.found("slice_sum", st.Def.ID, "slice %s: lots less returns are %d, tokens, restocks and grants %d", name, in, out)
		}
		for _, d := range st.Purses[1:] {
			if in, out := d.LotSum-d.RetSum, d.Tokens+d.Restock+d.Counts-d.Before; in != out {
				c.found("slice_sum", st.Def.ID, "slice %s, %s: lots less returns are %d, tokens, restocks and grants %d", name, d.Purse, in, out)
			}
		}
		c.report.Checked["grants"] += st.Granted
	}
	if p.SinkError != "" {
		c.found("sink_unreachable", "", "slice %s: %s", name, p.SinkError)
		return
	}
	if p.Checkpoint > p.Last {
		c.found("sink_ahead", "", "slice %s ends at event %d, the sink's checkpoint is %d", name, p.Last, p.Checkpoint)
		return
	}
	c.report.Lag[name] = int64(p.Last - p.Checkpoint)
	for _, prize := range prizesOf(p) {
		kept, sunk := p.Kept[prize], p.Sunk[prize]
		c.report.Checked["rows"] += sunk.Grants
		switch {
		case sunk.Grants < kept.Grants:
			c.found("missing_in_sink", prize, "slice %s granted %d up to event %d, the sink has %d rows", name, kept.Grants, p.Checkpoint, sunk.Grants)
		case sunk.Grants > kept.Grants:
			c.found("unknown_in_sink", prize, "slice %s granted %d up to event %d, the sink has %d rows", name, kept.Grants, p.Checkpoint, sunk.Grants)
		}
		if sunk.Voids != kept.Voids {
			c.found("voids_in_sink", prize, "slice %s voided %d up to event %d, the sink has %d voided rows", name, kept.Voids, p.Checkpoint, sunk.Voids)
		}
	}
}

func prizesOf(p *Proof) []string {
	var ids []string
	for id := range p.Kept {
		ids = append(ids, id)
	}
	for id := range p.Sunk {
		if _, ok := p.Kept[id]; !ok {
			ids = append(ids, id)
		}
	}
	sort.Strings(ids)
	return ids
}

func (c *checker) books(b *Books) {
	if b.Err != "" {
		c.found("sink_unreachable", "", "totals of %s: %s", b.Node, b.Err)
	}
	for _, m := range b.Mismatches {
		what := "prize_send_num"
		if m.Day != "" {
			what = "daily_send of " + m.Day
		}
		c.found("sink_totals", m.Prize, "%s says %d, the send log adds up to %d", what, m.Mirrored, m.Counted)
	}
}
