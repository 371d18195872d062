package persist_test

import (
	"strings"
	"testing"

	"tombola/allocator"
	"tombola/persist"
)

// odd returns grants whose fields are as odd as they can be.
func odd() []persist.Row {
	rows := events(0, 14) // voids at 7 and 14
	for i, user := range []string{
		"a/-", "3:a/b", `it's "quoted" \ and \' more`, "ключ😀", strings.Repeat("é", 64), "\x01\x7f'--", strings.Repeat("\\", 128), "%_?",
	} {
		if rows[i].Event.Kind == allocator.EventGrant {
			rows[i].Event.User = []byte(user)
		}
		if i%2 == 0 {
			rows[i].Event.RequestID = nil
		}
	}
	rows[1].Event.At -= rows[1].Event.At % 1_000_000 // microseconds 000000
	return rows
}

// logOf returns the rows that a history leaves.
func logOf(stream uint16, rows []persist.Row) []persist.LogRow {
	voids := map[uint64]allocator.Micros{}
	for _, r := range rows {
		if r.Event.Kind == allocator.EventVoid {
			voids[r.Event.Grant] = r.Event.At
		}
	}
	var log []persist.LogRow
	for i := range rows {
		if rows[i].Event.Kind == allocator.EventGrant {
			log = append(log, persist.NewLogRow(stream, &rows[i], voids[rows[i].Event.Seq]))
		}
	}
	return log
}

func TestTheDatabaseAndTheProgramAgreeOnARangesChecksum(t *testing.T) {
	onEach(t, func(t *testing.T, db *database) {
		s := db.open(t)
		must(t, s.Write(t.Context(), 3, 0, odd()))
		log := logOf(3, odd())
		must(t, s.View(t.Context(), 3, func(v *persist.View) error {
			if v.Last != 14 {
				t.Errorf("checkpoint %d", v.Last)
			}
			var whole persist.Sum
			for i := range log {
				var want persist.Sum
				want.Add(&log[i])
				whole.Add(&log[i])
				seq := log[i].ID.Seq()
				if got, err := v.Sum(t.Context(), seq, seq); err != nil || got != want {
					t.Errorf("row %v: %+v, %v, want %+v", log[i], got, err, want)
				}
			}
			if got, err := v.Sum(t.Context(), 1, 14); err != nil || got != whole {
				t.Errorf("%+v, %v, want %+v", got, err, whole)
			}
			if got, err := v.Sum(t.Context(), 15, allocator.MaxSeq); err != nil || got != (persist.Sum{}) {
				t.Errorf("of nothing: %+v, %v", got, err)
			}
			i := 0
			return v.Rows(t.Context(), 1, 14, func(row *persist.LogRow) bool {
				if *row != log[i] {
					t.Errorf("%+v, want %+v", *row, log[i])
				}
				i++
				return true
			})
		}))
	})
}

func TestRestorePutsBackWhatIsMissingAndOverwritesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, db *database) {
		s := db.open(t)
		must(t, s.Write(t.Context(), 3, 0, odd()))
		log := logOf(3, odd())
		exec := func(query string, args ...any) {
			t.Helper()
			if _, err := db.raw.ExecContext(t.Context(), query, args...); err != nil {
				t.Fatal(err)
			}
		}
		id := func(seq uint64) int64 { return int64(allocator.NewGrantID(3, seq)) }
		exec("DELETE FROM send_log WHERE grant_id IN (?, ?)", id(1), id(5))
		exec("UPDATE send_log SET voided_at = NULL WHERE grant_id = ?", id(4))
		exec("UPDATE send_log SET user_id = 'mallory' WHERE grant_id = ?", id(2))
		for round, want := range []int{2, 0} {
			beyond := persist.NewLogRow(3, new(events(14, 1)[0]), 0)
			put, marked, err := s.Restore(t.Context(), 3, append(log[:len(log):len(log)], beyond), []persist.LogRow{log[3]})
			if err != nil || len(put) != want || len(marked) != want/2 {
				t.Fatalf("round %d: put %v, marked %v, %v", round, put, marked, err)
			}
		}
		must(t, s.View(t.Context(), 3, func(v *persist.View) error {
			i := 0
			return v.Rows(t.Context(), 1, allocator.MaxSeq, func(row *persist.LogRow) bool {
				want := log[i]
				if want.ID.Seq() == 2 {
					want.Fields[1].String = "mallory"
				}
				if *row != want {
					t.Errorf("%+v, want %+v", *row, want)
				}
				i++
				return true
			})
		}))
		expectBalanced(t, s)
		exec("UPDATE prize_send_num SET sent = 99 WHERE prize_id = 'prize-1'")
		exec("DELETE FROM daily_send")
		books, err := s.Books(t.Context())
		must(t, err)
		var fix []persist.Recounted
		for _, m := range books.Mismatches() {
			fix = append(fix, persist.Recounted{Prize: m.Prize, Day: m.Day})
		}
		must(t, s.Recount(t.Context(), fix))
		expectBalanced(t, s)
	})
}
