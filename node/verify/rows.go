package verify

import (
	"fmt"
	"strings"

	"tombola/allocator"
	"tombola/persist"
)

// The kinds of discrepancies that a repair looks at.
const (
	KindMissing = "missing_in_sink"
	KindChanged = "changed_in_sink"
	KindUnknown = "unknown_in_sink"
	KindTotals  = "sink_totals"
)

// maxNamed bounds the rows of each kind that one comparison names.
const maxNamed = 1000

// Rows is what a comparison of rows came to.
type Rows struct {
	Compared int64 // in full, or as far as the slice remembers
	Counted  int64 // forgotten by the slice, so only counted
	Found    []Found
	More     map[string]int64 // by kind, those that are not named
	Off      []Off

	named map[string]int // by kind, those found
}

// Found is one row that differs.
type Found struct {
	Kind   string
	Prize  string
	Grant  allocator.GrantID
	Detail string
}

// Off is how many rows too many the send log has of a prize and a day.
type Off struct {
	Prize, Day string
	Counts
}

func (r *Rows) offOf(prize, day string) (sum Counts) {
	for _, o := range r.Off {
		if o.Prize == prize && (day == "" || day == o.Day) {
			sum.Grants += o.Grants
			sum.Voids += o.Voids
		}
	}
	return sum
}

func (r *Rows) off(row *persist.LogRow, n int64) {
	o := Off{Prize: row.Fields[persist.FieldPrize].String, Day: row.Fields[persist.FieldDay].String}
	o.Grants = n
	if row.Fields[persist.FieldVoidedAt].Valid {
		o.Voids = n
	}
	for i := range r.Off {
		if r.Off[i].Prize == o.Prize && r.Off[i].Day == o.Day {
			r.Off[i].Grants += o.Grants
			r.Off[i].Voids += o.Voids
			return
		}
	}
	r.Off = append(r.Off, o)
}

func (r *Rows) name(kind string, row *persist.LogRow, format string, args ...any) {
	if r.named == nil {
		r.named, r.More = map[string]int{}, map[string]int64{}
	}
	if r.named[kind]++; r.named[kind] > maxNamed {
		r.More[kind]++
		return
	}
	r.Found = append(r.Found, Found{
		Kind: kind, Prize: row.Fields[persist.FieldPrize].String, Grant: row.ID, Detail: fmt.Sprintf(format, args...),
	})
}

// Unknown notes a row that should not be there.
func (r *Rows) Unknown(row *persist.LogRow, why string) {
	r.name(KindUnknown, row, "%s", why)
	r.off(row, 1)
}

// Right is a row that the sink should have. Of an old one the slice may know no
// more than prize, day, instant and whether it is voided.
type Right struct {
	Row     persist.LogRow
	Partial bool
	// NoInstant says that it was voided at an instant that is not known.
	NoInstant bool
}

// Lost are rows, and marks of voids, that can be put back.
type Lost struct{ Rows, Voids []persist.LogRow }

// Compare holds the rows of a range against those that should be there, both in
// order of their ids. forgotten reports whether the slice may have forgotten
// the grant of a row that is not among the right ones.
func (r *Rows) Compare(right []Right, sunk []persist.LogRow, forgotten func(*persist.LogRow) bool) (lost Lost) {
	for len(right) > 0 || len(sunk) > 0 {
		switch {
		case len(sunk) == 0 || len(right) > 0 && right[0].Row.ID < sunk[0].ID:
			row := &right[0].Row
			r.name(KindMissing, row, "granted at %s, not in the sink", row.Fields[persist.FieldDay+1].String)
			r.off(row, -1)
			if !right[0].Partial {
				lost.Rows = append(lost.Rows, *row)
			}
			right = right[1:]
		case len(right) == 0 || sunk[0].ID < right[0].Row.ID:
			if forgotten(&sunk[0]) {
				r.Counted++
			} else {
				r.Unknown(&sunk[0], "the slice has no such grant")
			}
			sunk = sunk[1:]
		default:
			r.same(&right[0], &sunk[0], &lost)
			right, sunk = right[1:], sunk[1:]
		}
	}
	return lost
}

// same compares a row with what it should be.
func (r *Rows) same(right *Right, sunk *persist.LogRow, lost *Lost) {
	r.Compared++
	var wrong []string
	mark := false
	for i, name := range persist.FieldNames() {
		want, got := right.Row.Fields[i], sunk.Fields[i]
		known := !right.Partial || i == persist.FieldPrize || i >= persist.FieldDay
		if !known || got == want || i == persist.FieldVoidedAt && right.NoInstant && got.Valid {
			continue
		}
		wrong = append(wrong, fmt.Sprintf("%s is %s, not %s", name, text(got.String, got.Valid), text(want.String, want.Valid)))
		mark = i == persist.FieldVoidedAt && !got.Valid && !right.NoInstant
	}
	if len(wrong) == 0 {
		return
	}
	r.name(KindChanged, &right.Row, "%s", strings.Join(wrong, "; "))
	r.off(&right.Row, -1)
	r.off(sunk, 1)
	if mark && len(wrong) == 1 {
		lost.Voids = append(lost.Voids, right.Row)
	}
}

func text(s string, valid bool) string {
	if !valid {
		return "NULL"
	}
	return fmt.Sprintf("%q", s)
}
