package persist_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tombola/allocator"
	"tombola/persist"
)

func TestAGrantReadsAsItWasWritten(t *testing.T) {
	onEach(t, func(t *testing.T, db *database) {
		s := db.open(t)
		bare := grant(2)
		bare.Event.RequestID = nil
		must(t, s.Write(t.Context(), 3, 0, []persist.Row{grant(1), bare, void(3, grant(1))}))
		id := allocator.NewGrantID(3, 1)
		want := persist.Sent{
			GrantID: id, Prize: "tv", User: "u1", RequestID: "r1",
			Day: grant(1).Event.Day, GrantedAt: grant(1).Event.At, VoidedAt: void(3, grant(1)).Event.At,
		}
		if got, err := s.Grant(t.Context(), id); err != nil || got != want {
			t.Errorf("got %+v (%v), want %+v", got, err, want)
		}
		if got, err := s.Grant(t.Context(), id+1); err != nil || got.RequestID != "" || got.VoidedAt != 0 {
			t.Errorf("got %+v (%v), want one without request id, not voided", got, err)
		}
		if _, err := s.Grant(t.Context(), id+2); !errors.Is(err, persist.ErrNotFound) {
			t.Errorf("want ErrNotFound, got %v", err)
		}
		if n := db.int(t, "SELECT COUNT(*) FROM send_log WHERE granted_at = '2026-11-22 15:30:00.124456' AND day = '2026-11-22' AND code IS NULL"); n != 1 {
			t.Error("the row does not read like that in SQL")
		}
	})
}

func TestTheLargestIDsFit(t *testing.T) {
	onEach(t, func(t *testing.T, db *database) {
		s := db.open(t)
		_, err := s.Checkpoint(t.Context(), allocator.MaxSlices)
		must(t, err)
		_, err = db.raw.Exec("UPDATE sink_checkpoint SET last_seq = ? WHERE stream = ?", allocator.MaxSeq-1, allocator.MaxSlices)
		must(t, err)
		must(t, s.Write(t.Context(), allocator.MaxSlices, allocator.MaxSeq-1, []persist.Row{grant(allocator.MaxSeq)}))
		id := allocator.NewGrantID(allocator.MaxSlices, allocator.MaxSeq)
		if got, err := s.Grant(t.Context(), id); err != nil || got.GrantID != id {
			t.Errorf("got %+v (%v)", got, err)
		}
		err = s.Write(t.Context(), allocator.MaxSlices, allocator.MaxSeq, []persist.Row{grant(allocator.MaxSeq + 1)})
		if !errors.Is(err, persist.ErrBatch) {
			t.Errorf("a sequence beyond the last one: %v", err)
		}
	})
}

func TestIDsCompareByteByByte(t *testing.T) {
	users := []string{
		"u", "U", "ü", "u\u0308", "u ", "🎉", "🎊", "o'brien", `back\slash`, `"q"`, "?", "%", "-- ", "\u0000",
		strings.Repeat("x", 128), strings.Repeat("🎉", 32), strings.Repeat("x", 127),
	}
	prizes := []string{"TV", "tv", "Tv", strings.Repeat("P", 64), strings.Repeat("p", 64)}
	onEach(t, func(t *testing.T, db *database) {
		s := db.open(t)
		var rows []persist.Row
		for _, prize := range prizes {
			for _, user := range users {
				row := grant(uint64(len(rows)) + 1)
				row.Prize, row.Event.User = prize, []byte(user)
				rows = append(rows, row)
			}
		}
		must(t, s.Write(t.Context(), 1, 0, rows))
		for _, user := range users {
			for _, prize := range prizes {
				got, err := s.UserGrants(t.Context(), user, prize, 10)
				if err != nil || len(got) != 1 || got[0].User != user || got[0].Prize != prize {
					t.Errorf("user %q, prize %q: %+v (%v)", user, prize, got, err)
				}
			}
		}
		totals, err := s.Totals(t.Context())
		must(t, err)
		if len(totals) != len(prizes) {
			t.Errorf("%d prizes have totals, want %d: %v", len(totals), len(prizes), totals)
		}
		expectBalanced(t, s)
	})
}

func TestAUsersNewestGrantsComeFirst(t *testing.T) {
	onEach(t, func(t *testing.T, db *database) {
		s := db.open(t)
		for stream := uint16(1); stream <= 2; stream++ {
			rows := []persist.Row{grant(1), grant(2), grant(3)}
			for i := range rows {
				rows[i].Event.User = []byte("ann")
				rows[i].Event.At += allocator.Micros(stream)
			}
			rows[2].Prize = "radio"
			must(t, s.Write(t.Context(), stream, 0, rows))
		}
		for _, c := range []struct {
			prize string
			limit int
			want  []string
		}{
			{"", 10, []string{"2-3", "1-3", "2-2", "1-2", "2-1", "1-1"}},
			{"", 3, []string{"2-3", "1-3", "2-2"}},
			{"tv", 3, []string{"2-2", "1-2", "2-1"}},
			{"RADIO", 3, nil},
			{"", 0, nil},
		} {
			found, err := s.UserGrants(t.Context(), "ann", c.prize, c.limit)
			must(t, err)
			var ids []string
			for _, g := range found {
				ids = append(ids, g.GrantID.String())
			}
			if !reflect.DeepEqual(ids, c.want) {
				t.Errorf("prize %q, limit %d: %v, want %v", c.prize, c.limit, ids, c.want)
			}
		}
	})
}

func TestTotalsCountWhatHoldsOnTheGrantsDay(t *testing.T) {
	onEach(t, func(t *testing.T, db *database) {
		s := db.open(t)
		day := grant(1).Event.Day
		next := grant(3)
		next.Event.Day++
		must(t, s.Write(t.Context(), 1, 0, []persist.Row{grant(1), grant(2), next}))
		must(t, s.Write(t.Context(), 2, 0, []persist.Row{grant(1), void(2, grant(1))}))
		must(t, s.Write(t.Context(), 1, 3, []persist.Row{void(4, next), void(5, grant(1))})) // with restock and without

		totals, err := s.Totals(t.Context())
		if want := []persist.Total{{Prize: "tv", Sent: 1}}; err != nil || !reflect.DeepEqual(totals, want) {
			t.Errorf("totals %v (%v), want %v", totals, err, want)
		}
		want := []persist.DailyTotal{{Prize: "tv", Day: day, Sent: 1}, {Prize: "tv", Day: day + 1, Sent: 0}}
		for _, prize := range []string{"", "tv"} {
			if days, err := s.DailyTotals(t.Context(), prize); err != nil || !reflect.DeepEqual(days, want) {
				t.Errorf("days of %q: %v (%v), want %v", prize, days, err, want)
			}
		}
		books, err := s.Books(t.Context())
		must(t, err)
		if !reflect.DeepEqual(books.Counted, want) || !reflect.DeepEqual(books.Checkpoints, map[uint16]uint64{1: 5, 2: 2}) {
			t.Errorf("books %+v", books)
		}
	})
}

func TestBooksNameEachTotalThatDoesNotAddUp(t *testing.T) {
	onEach(t, func(t *testing.T, db *database) {
		s := db.open(t)
		must(t, s.Write(t.Context(), 1, 0, []persist.Row{grant(1), grant(2), grant(3)}))
		for _, damage := range []string{
			"DELETE FROM send_log WHERE user_id = 'u2'",
			"INSERT INTO prize_send_num (prize_id, sent) VALUES ('ghost', 4)",
		} {
			_, err := db.raw.Exec(damage)
			must(t, err)
		}
		books, err := s.Books(t.Context())
		must(t, err)
		want := []persist.Mismatch{
			{Prize: "ghost", Mirrored: 4},
			{Prize: "tv", Mirrored: 3, Counted: 2},
			{Prize: "tv", Day: grant(1).Event.Day, Mirrored: 3, Counted: 2},
		}
		if got := books.Mismatches(); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// The index on users is in parts in SQLite; grants of one user may be in all.
func TestAUsersGrantsAreFoundHoweverFarApart(t *testing.T) {
	onEach(t, func(t *testing.T, db *database) {
		s := db.open(t)
		var want []string
		for _, at := range []struct {
			stream uint16
			seq    uint64
		}{{1, 1}, {1, 1<<14 - 2}, {1, 1 << 14}, {1, 5 << 14}, {2, 1}, {allocator.MaxSlices, 3<<14 + 7}} {
			_, err := s.Checkpoint(t.Context(), at.stream)
			must(t, err)
			_, err = db.raw.Exec("UPDATE sink_checkpoint SET last_seq = ? WHERE stream = ?", at.seq-1, at.stream)
			must(t, err)
			row, other := grant(at.seq), grant(at.seq+1)
			row.Event.User = []byte("ann")
			must(t, s.Write(t.Context(), at.stream, at.seq-1, []persist.Row{row, other}))
			want = append(want, allocator.NewGrantID(allocator.SliceNo(at.stream), at.seq).String())
		}
		found, err := s.UserGrants(t.Context(), "ann", "", 100)
		must(t, err)
		var ids []string
		for _, g := range found {
			ids = append(ids, g.GrantID.String())
		}
		slices.Sort(ids)
		slices.Sort(want)
		if !reflect.DeepEqual(ids, want) {
			t.Errorf("found %v, want %v", ids, want)
		}
	})
}
