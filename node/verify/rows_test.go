package verify

import (
	"strings"
	"testing"

	"tombola/allocator"
	"tombola/persist"
)

// logged returns the row of a grant by slice 1, and rights the same as right
// rows.
func logged(seq uint64) persist.LogRow {
	return persist.NewLogRow(1, &persist.Row{Prize: "tea", Event: allocator.Event{
		Seq: seq, Kind: allocator.EventGrant, At: 1_700_000_000_000_000, Day: day, User: []byte("ann"), RequestID: []byte("r"),
	}}, 0)
}

func rights(seqs ...uint64) (list []Right) {
	for _, seq := range seqs {
		list = append(list, Right{Row: logged(seq)})
	}
	return list
}

func never(*persist.LogRow) bool { return false }

func TestRowsThatDifferAreNamedEachByItsGrant(t *testing.T) {
	changed, unmarked := logged(2), logged(4)
	changed.Fields[1].String = "eve"
	right := rights(1, 2, 3, 4)
	right[3].Row.Fields[persist.FieldVoidedAt] = right[3].Row.Fields[persist.FieldDay+1]
	var r Rows
	lost := r.Compare(right, []persist.LogRow{changed, logged(3), unmarked, logged(9)}, never)
	want := map[uint64]string{1: KindMissing, 2: KindChanged, 4: KindChanged, 9: KindUnknown}
	for _, f := range r.Found {
		if want[f.Grant.Seq()] != f.Kind || f.Detail == "" || f.Prize != "tea" {
			t.Errorf("%+v", f)
		}
	}
	if len(r.Found) != len(want) || r.Compared != 3 {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(r.Found[1].Detail, `user_id is "eve", not "ann"`) {
		t.Errorf("%q does not say what was changed", r.Found[1].Detail)
	}
	if len(lost.Rows) != 1 || lost.Rows[0].ID.Seq() != 1 || len(lost.Voids) != 1 || lost.Voids[0].ID.Seq() != 4 {
		t.Errorf("to be put back: %+v", lost)
	}
	// One too few, one too many, and a mark of a void that is missing.
	if off := r.offOf("tea", day.String()); off != (Counts{Grants: 0, Voids: -1}) {
		t.Errorf("off by %+v", off)
	}
}

func TestAnOldRowIsComparedAsFarAsTheSliceRemembers(t *testing.T) {
	old := rights(1, 2, 3)
	for i := range old {
		old[i].Partial = true
		old[i].Row.Fields[1].String = ""
	}
	old[1].NoInstant = true
	old[1].Row.Fields[persist.FieldVoidedAt].Valid = true
	voided := logged(2)
	voided.Fields[persist.FieldVoidedAt] = voided.Fields[persist.FieldDay+1]
	var r Rows
	lost := r.Compare(old, []persist.LogRow{logged(1), voided, logged(4)}, func(*persist.LogRow) bool { return true })
	if r.Compared != 2 || r.Counted != 1 || len(r.Found) != 1 || r.Found[0].Kind != KindMissing {
		t.Errorf("%+v", r)
	}
	if len(lost.Rows) > 0 {
		t.Errorf("%+v is to be put back, of which the user is not known", lost.Rows)
	}
}

func TestOfManyRowsThatDifferSomeAreNamedAndTheRestCounted(t *testing.T) {
	var right []Right
	for seq := range uint64(maxNamed + 5) {
		right = append(right, rights(seq+1)...)
	}
	var r Rows
	lost := r.Compare(right, nil, never)
	if len(r.Found) != maxNamed || r.More[KindMissing] != 5 || len(lost.Rows) != maxNamed+5 {
		t.Errorf("%d named, %v more, %d to be put back", len(r.Found), r.More, len(lost.Rows))
	}
}

func TestTotalsThatTheNamedRowsExplainAreNoDiscrepancy(t *testing.T) {
	f := sound()
	f.Books[0].Shared = true
	f.Books[0].Mismatches = []Mismatch{{Prize: "tea", Mirrored: 9, Counted: 8}}
	f.Proofs[0].Sunk = sunk(11, 3)
	row := logged(1)
	f.Proofs[0].Rows.Compare([]Right{{Row: row}}, nil, never)
	report, _ := Check(f)
	if len(report.Discrepancies) != 1 || report.Discrepancies[0].GrantID == 0 {
		t.Errorf("%+v, want the one row", report.Discrepancies)
	}
	f.Books[0].Mismatches[0].Counted = 7
	if report, _ = Check(f); len(report.Discrepancies) != 2 || report.Discrepancies[1].Kind != KindTotals {
		t.Errorf("%+v, want the row and the total", report.Discrepancies)
	}
}
