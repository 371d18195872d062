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
	Node       string // whose sink it is, where each has its own
	Confirmed  uint64 // the event up to which the sink has said to hold all
	Last       uint64 // the slice's last event
	Checkpoint uint64 // the sink's
	SinkError  string // why the sink could not be asked; its counts are then missing
	States     []allocator.PrizeState
	// Kept and Sunk are grants and voids by prize id, as the slice has them and
	// as the sink has.
	Kept, Sunk map[string]Counts
	Rows       Rows
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
	Server     string // the node's full name, for a repair to reach it
	Err        string
	Mismatches []Mismatch
	Outside    Rows // those of no slice
	Shared     bool // there is no other database
}

// Facts are everything that is compared. Proofs were taken before Vaults, so
// that the bank is never behind the slices.
type Facts struct {
	Proofs []Proof // by slice
	Vaults []allocator.VaultState
	Books  []Books
}

// Check compares. The second result lists the lines between slices and bank
// that could not be compared, since quota was moving between the two looks: ask
// again.
func Check(f *Facts) (wire.Report, []Line) {
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
		c.books(&f.Books[i], f.Proofs)
	}
	c.report.OK = len(c.report.Discrepancies) == 0
	return c.report, c.moving
}

// Line is one purse of one slice, as the bank counts it.
type Line struct {
	Prize allocator.PrizeNo
	Purse allocator.Purse
	Slice allocator.SliceNo
}

// Recheck compares the given lines alone, in a later look, and returns those
// that could still not be compared. A line that was compared once is done with:
// its sums are cumulative, so each look proves all of its past.
func Recheck(report *wire.Report, f *Facts, lines []Line) []Line {
	c := &checker{report: *report}
	for _, l := range lines {
		c.again(f, l)
	}
	c.report.OK = len(c.report.Discrepancies) == 0
	*report = c.report
	return c.moving
}

func (c *checker) again(f *Facts, l Line) {
	for i := range f.Vaults {
		v := &f.Vaults[i]
		if v.Def.No != l.Prize {
			continue
		}
		for j := range v.Accounts {
			a := &v.Accounts[j]
			if a.Purse != l.Purse || int(l.Slice) > len(a.Lines) {
				continue
			}
			if purse := purseOf(f.Proofs, l.Slice, l.Prize, l.Purse); purse != nil {
				c.line(v, a, &a.Lines[l.Slice-1], purse)
			}
			return
		}
	}
	// The date, or its epoch, is over: there is nothing left to compare.
}

type checker struct {
	report wire.Report
	moving []Line
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
		c.moving = append(c.moving, Line{v.Def.No, a.Purse, l.Slice})
		return
	}
	switch {
	case l.Returns == p.Returns:
	case l.Returns+1 == p.Returns && p.Open > 0:
		returns += p.Open
	case l.Returns > p.Returns:
		c.moving = append(c.moving, Line{v.Def.No, a.Purse, l.Slice})
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
	if p.Checkpoint < p.Confirmed {
		c.report.Warnings = append(c.report.Warnings, fmt.Sprintf(
			"slice %s: the sink is at event %d and was at %d before: it is an older state, and is sent the rest again",
			name, p.Checkpoint, p.Confirmed))
	}
	c.rows("slice "+name, &p.Rows)
	c.counts(p, name)
}

// counts compares what the rows' comparison leaves unexplained: rows of which
// the slice remembers only how many they are.
func (c *checker) counts(p *Proof, name string) {
	for _, prize := range prizesOf(p) {
		off := p.Rows.offOf(prize, "")
		kept, sunk := p.Kept[prize], p.Sunk[prize]
		c.report.Checked["rows"] += sunk.Grants
		switch {
		case sunk.Grants < kept.Grants+off.Grants:
			c.found("missing_in_sink", prize, "slice %s granted %d up to event %d, the sink has %d rows", name, kept.Grants, p.Checkpoint, sunk.Grants)
		case sunk.Grants > kept.Grants+off.Grants:
			c.found("unknown_in_sink", prize, "slice %s granted %d up to event %d, the sink has %d rows", name, kept.Grants, p.Checkpoint, sunk.Grants)
		}
		if sunk.Voids != kept.Voids+off.Voids {
			c.found("voids_in_sink", prize, "slice %s voided %d up to event %d, the sink has %d voided rows", name, kept.Voids, p.Checkpoint, sunk.Voids)
		}
	}
}

// rows names the rows that differ.
func (c *checker) rows(where string, r *Rows) {
	c.report.Checked["rows_compared"] += r.Compared
	c.report.Checked["rows_counted"] += r.Counted
	for _, d := range r.Found {
		out := wire.Discrepancy{Kind: d.Kind, Prize: d.Prize, GrantID: wire.GrantID(d.Grant), Detail: d.Detail}
		if _, err := allocator.ParseGrantID(d.Grant.String()); err != nil {
			// Nobody can have been given it, so it has no text.
			out.GrantID, out.Detail = 0, fmt.Sprintf("row %d: %s", uint64(d.Grant), d.Detail)
		}
		c.report.Discrepancies = append(c.report.Discrepancies, out)
	}
	for _, kind := range []string{KindMissing, KindChanged, KindUnknown} {
		if more := r.More[kind]; more > 0 {
			c.found(kind, "", "%s: %d more", where, more)
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

// books names totals that the send log does not add up to, unless the rows
// that were named explain it.
func (c *checker) books(b *Books, proofs []Proof) {
	if b.Err != "" {
		c.found("sink_unreachable", "", "totals of %s: %s", b.Node, b.Err)
	}
	c.rows("no slice", &b.Outside)
	for _, m := range b.Mismatches {
		if m.Counted-m.Mirrored == Extra(b, proofs, m.Prize, m.Day) {
			continue
		}
		what := "prize_send_num"
		if m.Day != "" {
			what = "daily_send of " + m.Day
		}
		c.found(KindTotals, m.Prize, "%s says %d, the send log adds up to %d", what, m.Mirrored, m.Counted)
	}
}

// Extra returns by how much the send log of a database adds up to more than
// the grants that hold, because of rows that are missing, changed or unknown.
// An empty day means all.
func Extra(b *Books, proofs []Proof, prize, day string) int64 {
	off := b.Outside.offOf(prize, day)
	sum := off.Grants - off.Voids
	for i := range proofs {
		if p := &proofs[i]; b.Shared || p.Node == b.Node {
			off := p.Rows.offOf(prize, day)
			sum += off.Grants - off.Voids
		}
	}
	return sum
}
