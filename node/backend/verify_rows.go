package backend

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"

	"tombola/allocator"
	"tombola/node/verify"
	"tombola/persist"
	"tombola/raftstore/outbox"
)

// rangeRows is how many sequences have one checksum, and so the most rows of
// either side that are in memory at once.
const rangeRows = 16384

// rowCheck compares the rows of one slice with those of the sink, up to the
// checkpoint of a view.
type rowCheck struct {
	slice *Slice
	view  *persist.View
	rows  verify.Rows
	// lost takes what can be put back, range by range; nil where nothing is to be.
	lost func(verify.Lost) error

	voids []voided            // up to the checkpoint, by grant
	later map[uint64]struct{} // grants voided after it
	ids   map[allocator.PrizeNo]string
	batch outbox.Batch
	right []verify.Right
	sunk  []persist.LogRow
}

type voided struct {
	grant uint64
	at    allocator.Micros
}

// run compares range by range: first a checksum, and row by row where it
// differs or where the outbox does not go back as far.
func (c *rowCheck) run(ctx context.Context) error {
	if err := c.collect(ctx); err != nil {
		return err
	}
	for from := uint64(0); from <= c.view.Last; from += rangeRows {
		if err := c.compare(ctx, from, min(from+rangeRows-1, c.view.Last)); err != nil {
			return err
		}
	}
	return c.view.Rows(ctx, c.view.Last+1, allocator.MaxSeq, func(row *persist.LogRow) bool {
		c.rows.Unknown(row, "it is beyond the sink's checkpoint")
		return true
	})
}

// collect looks for the voids that are still in the outbox: each changes the
// row of an earlier grant.
func (c *rowCheck) collect(ctx context.Context) error {
	c.later, c.ids = map[uint64]struct{}{}, map[allocator.PrizeNo]string{}
	last := c.slice.Outbox.Last()
	err := c.events(ctx, c.slice.Outbox.First(), last, func(e *allocator.Event) {
		switch {
		case e.Kind != allocator.EventVoid:
		case e.Seq <= c.view.Last:
			c.voids = append(c.voids, voided{e.Grant, e.At})
		default:
			c.later[e.Grant] = struct{}{}
		}
	})
	slices.SortFunc(c.voids, func(a, b voided) int { return cmp.Compare(a.grant, b.grant) })
	return err
}

// events calls f with the events that are kept between two sequences. Those
// that are trimmed on the way are passed over.
func (c *rowCheck) events(ctx context.Context, from, to uint64, f func(*allocator.Event)) error {
	for from <= to {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := c.slice.Outbox.Read(from, int(min(to-from+1, rangeRows)), 0, &c.batch)
		if errors.Is(err, outbox.ErrTrimmed) {
			from = max(from+1, c.slice.Outbox.First())
			continue
		}
		if err != nil {
			return err
		}
		for _, payload := range c.batch.Payloads {
			e, err := allocator.DecodeEvent(payload)
			if err != nil {
				return err
			}
			f(&e)
		}
		from = c.batch.Next()
	}
	return nil
}

func (c *rowCheck) compare(ctx context.Context, from, to uint64) error {
	whole, err := c.expect(ctx, max(from, 1), to)
	if err != nil {
		return err
	}
	if whole {
		var want persist.Sum
		for i := range c.right {
			want.Add(&c.right[i].Row)
		}
		got, err := c.view.Sum(ctx, from, to)
		if err != nil {
			return err
		}
		if got == want {
			c.rows.Compared += got.Rows
			return nil
		}
	}
	c.sunk = c.sunk[:0]
	if err := c.view.Rows(ctx, from, to, func(row *persist.LogRow) bool {
		c.sunk = append(c.sunk, *row)
		return true
	}); err != nil {
		return err
	}
	lost := c.rows.Compare(c.right, c.sunk, c.forgotten)
	if c.lost == nil || len(lost.Rows)+len(lost.Voids) == 0 {
		return nil
	}
	return c.lost(lost)
}

// expect fills right with the rows that the sink should have from and to, and
// reports whether all of them are known in full.
func (c *rowCheck) expect(ctx context.Context, from, to uint64) (whole bool, err error) {
	c.right = c.right[:0]
	next, seen := from, uint64(0)
	err = c.events(ctx, max(from, min(to+1, c.slice.Outbox.First())), to, func(e *allocator.Event) {
		if e.Seq > next {
			c.remembered(next, e.Seq-1)
		}
		next = e.Seq + 1
		seen++
		if e.Kind == allocator.EventGrant {
			row := persist.Row{Event: *e, Prize: c.prize(e.Prize)}
			at, _ := c.voidedAt(e.Seq)
			c.right = append(c.right, verify.Right{Row: persist.NewLogRow(uint16(c.slice.No), &row, at)})
		}
	})
	if next <= to {
		c.remembered(next, to)
	}
	return seen == to+1-from, err
}

// remembered adds what the slice remembers of grants whose events are gone.
func (c *rowCheck) remembered(from, to uint64) {
	const atOnce = 1024 // under one lock
	for ; from <= to; from += atOnce {
		var grants []allocator.Grant
		c.slice.Machine.Read(func(s *allocator.Slice) {
			for seq := from; seq <= min(to, from+atOnce-1); seq++ {
				if g, ok := s.Grant(seq); ok {
					grants = append(grants, g)
				}
			}
		})
		for _, g := range grants {
			seq := g.ID.Seq()
			at, known := c.voidedAt(seq)
			_, later := c.later[seq]
			row := persist.Row{Prize: c.prize(g.Prize), Event: allocator.Event{Seq: seq, At: g.At, Day: g.Day}}
			right := verify.Right{Partial: true, Row: persist.NewLogRow(uint16(c.slice.No), &row, at)}
			if g.Voided && !known && !later {
				right.NoInstant = true
				right.Row.Fields[persist.FieldVoidedAt] = sql.NullString{String: "an instant", Valid: true}
			}
			c.right = append(c.right, right)
		}
	}
}

func (c *rowCheck) voidedAt(grant uint64) (allocator.Micros, bool) {
	i, ok := slices.BinarySearchFunc(c.voids, grant, func(v voided, g uint64) int { return cmp.Compare(v.grant, g) })
	if !ok {
		return 0, false
	}
	return c.voids[i].at, true
}

func (c *rowCheck) prize(no allocator.PrizeNo) string {
	id, ok := c.ids[no]
	if !ok {
		c.slice.Machine.Read(func(s *allocator.Slice) { id, _ = s.PrizeID(no) })
		c.ids[no] = id
	}
	return id
}

// forgotten reports whether a row that the slice does not know may be of a
// grant that it has forgotten, with the prize, since it was archived.
func (c *rowCheck) forgotten(row *persist.LogRow) (old bool) {
	if seq := row.ID.Seq(); seq == 0 || seq >= c.slice.Outbox.First() {
		return false
	}
	c.slice.Machine.Read(func(s *allocator.Slice) {
		for _, no := range s.Prizes() {
			def, _ := s.Definition(no)
			old = old || def.Archived && def.ID == row.Fields[persist.FieldPrize].String
		}
	})
	return old
}
