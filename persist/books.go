package persist

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"tombola/allocator"
)

// Total is how many grants of a prize hold (are not voided).
type Total struct {
	Prize string
	Sent  int64
}

// DailyTotal is how many grants of a prize made on one day hold.
type DailyTotal struct {
	Prize string
	Day   allocator.Day
	Sent  int64
}

// Books is what the sink holds, as of one instant: what the mirrored totals say
// and what the send log itself adds up to. All lists are sorted by prize and day.
type Books struct {
	Checkpoints map[uint16]uint64 // by stream
	Totals      []Total           // prize_send_num
	Days        []DailyTotal      // daily_send
	Counted     []DailyTotal      // the send log, counted
}

// Mismatch is a total that the send log does not add up to.
type Mismatch struct {
	Prize    string
	Day      allocator.Day // 0: the prize's lifetime
	Mirrored int64
	Counted  int64
}

// Totals returns the mirrored totals of all prizes, sorted by prize.
func (s *Store) Totals(ctx context.Context) ([]Total, error) {
	totals, err := readTotals(ctx, s.read)
	if err != nil {
		return nil, fmt.Errorf("persist: totals: %w", err)
	}
	return totals, nil
}

// DailyTotals returns the mirrored totals by day, sorted by prize and day: of
// one prize, or of all where prize is empty.
func (s *Store) DailyTotals(ctx context.Context, prize string) ([]DailyTotal, error) {
	query, args := "SELECT prize_id, day, sent FROM daily_send", []any(nil)
	if prize != "" {
		query += " WHERE prize_id = ?"
		args = append(args, s.dialect.text([]byte(prize)))
	}
	days, err := readDays(ctx, s.read, query+" ORDER BY prize_id, day", args...)
	if err != nil {
		return nil, fmt.Errorf("persist: daily totals: %w", err)
	}
	return days, nil
}

// Books reads the checkpoints and totals and counts the whole send log, all in
// one consistent read. It takes about a second for a few million rows, and
// writers go on meanwhile.
func (s *Store) Books(ctx context.Context) (*Books, error) {
	b := &Books{Checkpoints: map[uint16]uint64{}}
	err := s.snapshot(ctx, func(tx querier) (err error) {
		err = each(ctx, tx, func(rows *sql.Rows) error {
			var stream uint16
			var last uint64
			err := rows.Scan(&stream, &last)
			b.Checkpoints[stream] = last
			return err
		}, "SELECT stream, last_seq FROM sink_checkpoint")
		if err != nil {
			return err
		}
		if b.Totals, err = readTotals(ctx, tx); err != nil {
			return err
		}
		if b.Days, err = readDays(ctx, tx, "SELECT prize_id, day, sent FROM daily_send ORDER BY prize_id, day"); err != nil {
			return err
		}
		b.Counted, err = readDays(ctx, tx, countLog)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("persist: books: %w", err)
	}
	return b, nil
}

// Mismatches returns every total that differs from what the send log adds up
// to, sorted by prize and day. A missing row counts as 0.
func (b *Books) Mismatches() []Mismatch {
	type key struct {
		prize string
		day   allocator.Day
	}
	found := map[key]Mismatch{}
	note := func(prize string, day allocator.Day, mirrored, counted int64) {
		m := found[key{prize, day}]
		m.Prize, m.Day = prize, day
		m.Mirrored += mirrored
		m.Counted += counted
		found[key{prize, day}] = m
	}
	for _, t := range b.Totals {
		note(t.Prize, 0, t.Sent, 0)
	}
	for _, t := range sumByPrize(b.Counted) {
		note(t.Prize, 0, 0, t.Sent)
	}
	for _, d := range b.Days {
		note(d.Prize, d.Day, d.Sent, 0)
	}
	for _, d := range b.Counted {
		note(d.Prize, d.Day, 0, d.Sent)
	}
	var list []Mismatch
	for _, m := range found {
		if m.Mirrored != m.Counted {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(x, y Mismatch) int {
		return cmp.Or(cmp.Compare(x.Prize, y.Prize), cmp.Compare(x.Day, y.Day))
	})
	return list
}

// countLog adds the send log up by prize and day.
const countLog = "SELECT prize_id, day, COUNT(*) - COUNT(voided_at) FROM send_log" +
	" GROUP BY prize_id, day ORDER BY prize_id, day"

func readTotals(ctx context.Context, q querier) (totals []Total, err error) {
	err = each(ctx, q, func(rows *sql.Rows) error {
		var t Total
		err := rows.Scan(&t.Prize, &t.Sent)
		totals = append(totals, t)
		return err
	}, "SELECT prize_id, sent FROM prize_send_num ORDER BY prize_id")
	return totals, err
}

func readDays(ctx context.Context, q querier, query string, args ...any) (days []DailyTotal, err error) {
	err = each(ctx, q, func(rows *sql.Rows) error {
		var d DailyTotal
		err := rows.Scan(&d.Prize, dayValue{&d.Day}, &d.Sent)
		days = append(days, d)
		return err
	}, query, args...)
	return days, err
}
