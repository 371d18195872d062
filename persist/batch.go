package persist

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"tombola/allocator"
)

// The longest ids that the tables hold, in bytes.
const (
	maxPrizeID   = 64
	maxUserID    = 128
	maxRequestID = 64
)

// Row is one event ready for the sink. The event names its prize by number;
// Prize is the id that people know it by. Write keeps nothing of a row.
type Row struct {
	Event allocator.Event
	Prize string
}

// batch is what one transaction writes.
type batch struct {
	stream      uint16
	after, last uint64
	lastAt      allocator.Micros
	grants      []*Row
	voids       []*Row
	days        []DailyTotal // what to add, sorted by prize and day
	totals      []Total      // what to add, sorted by prize
}

// newBatch checks that rows may follow the sequence after and sorts out what
// they change. All of its errors wrap ErrBatch.
func newBatch(stream uint16, after uint64, rows []Row) (*batch, error) {
	switch {
	case len(rows) == 0:
		return nil, fmt.Errorf("%w: no rows", ErrBatch)
	case stream == 0 || stream > allocator.MaxSlices:
		return nil, fmt.Errorf("%w: stream %d is no slice's", ErrBatch, stream)
	case after > allocator.MaxSeq || uint64(len(rows)) > allocator.MaxSeq-after:
		return nil, fmt.Errorf("%w: sequence over %d", ErrBatch, uint64(allocator.MaxSeq))
	}
	b := &batch{
		stream: stream, after: after, last: after + uint64(len(rows)),
		lastAt: rows[len(rows)-1].Event.At,
		grants: make([]*Row, 0, len(rows)),
	}
	voided := map[uint64]bool{}
	for i := range rows {
		row := &rows[i]
		want := after + 1 + uint64(i)
		if row.Event.Seq != want {
			return nil, fmt.Errorf("%w: row %d has sequence %d, want %d", ErrBatch, i, row.Event.Seq, want)
		}
		if err := checkRow(row); err != nil {
			return nil, fmt.Errorf("%w: event %d: %w", ErrBatch, want, err)
		}
		if row.Event.Kind == allocator.EventGrant {
			b.grants = append(b.grants, row)
			continue
		}
		if voided[row.Event.Grant] {
			return nil, fmt.Errorf("%w: event %d: grant %d is voided twice", ErrBatch, want, row.Event.Grant)
		}
		voided[row.Event.Grant] = true
		b.voids = append(b.voids, row)
	}
	b.addUp(rows)
	return b, nil
}

func checkRow(row *Row) error {
	e := &row.Event
	if n := len(row.Prize); n == 0 || n > maxPrizeID {
		return fmt.Errorf("prize id of %d bytes", n)
	}
	if year := e.At.Time().Year(); year < 1970 || year > 9999 {
		return fmt.Errorf("instant %d is out of range", e.At)
	}
	if e.Day < 1 || time.Unix(int64(e.Day)*86400, 0).UTC().Year() > 9999 {
		return fmt.Errorf("day %d is out of range", e.Day)
	}
	switch e.Kind {
	case allocator.EventGrant:
		if n := len(e.User); n == 0 || n > maxUserID {
			return fmt.Errorf("user id of %d bytes", n)
		}
		if n := len(e.RequestID); n > maxRequestID {
			return fmt.Errorf("request id of %d bytes", n)
		}
	case allocator.EventVoid:
		if e.Grant == 0 || e.Grant >= e.Seq {
			return fmt.Errorf("voids grant %d, which is not before it", e.Grant)
		}
	default:
		return fmt.Errorf("unknown kind %d", e.Kind)
	}
	return nil
}

// addUp sums what the rows add to the totals. Sums of zero stay in: so every
// prize and day with grants has its row, and the mirror equals a recount row by
// row. Sorted, because writers of different streams lock these rows and in one
// order they can't deadlock.
func (b *batch) addUp(rows []Row) {
	type key struct {
		prize string
		day   allocator.Day
	}
	sums := map[key]int64{}
	for i := range rows {
		delta := int64(1)
		if rows[i].Event.Kind == allocator.EventVoid {
			delta = -1
		}
		sums[key{rows[i].Prize, rows[i].Event.Day}] += delta
	}
	b.days = make([]DailyTotal, 0, len(sums))
	for k, sent := range sums {
		b.days = append(b.days, DailyTotal{Prize: k.prize, Day: k.day, Sent: sent})
	}
	slices.SortFunc(b.days, func(x, y DailyTotal) int {
		return cmp.Or(cmp.Compare(x.Prize, y.Prize), cmp.Compare(x.Day, y.Day))
	})
	b.totals = sumByPrize(b.days)
}

// sumByPrize adds up the days of each prize. The days are sorted by prize, and
// so is the result.
func sumByPrize(days []DailyTotal) []Total {
	var totals []Total
	for _, d := range days {
		if n := len(totals); n == 0 || totals[n-1].Prize != d.Prize {
			totals = append(totals, Total{Prize: d.Prize})
		}
		totals[len(totals)-1].Sent += d.Sent
	}
	return totals
}
