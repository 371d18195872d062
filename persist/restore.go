package persist

import (
	"context"
	"fmt"
	"strings"

	"tombola/allocator"
)

// restoreRows is how many rows one transaction of Restore brings back.
const restoreRows = 1000

// Restore puts back what the database lost of a stream: rows, and the marks of
// voids. It overwrites nothing: a row that is there stays as it is, and a mark
// is set only where there is none. It returns what it changed. Writers of the
// stream wait for it, and it is done only up to the checkpoint.
//
// The mirrored totals are left as they are: see Recount.
func (s *Store) Restore(ctx context.Context, stream uint16, rows, voids []LogRow) (put, marked []allocator.GrantID, err error) {
	for len(rows)+len(voids) > 0 {
		r, v := rows[:min(len(rows), restoreRows)], voids[:min(len(voids), restoreRows)]
		rows, voids = rows[len(r):], voids[len(v):]
		var did, set []allocator.GrantID
		err := s.dialect.redo(ctx, s.log, func() (err error) {
			did, set, err = s.restoreOnce(ctx, stream, r, v)
			return err
		})
		if err != nil {
			return put, marked, fmt.Errorf("persist: restore stream %d: %w", stream, err)
		}
		put, marked = append(put, did...), append(marked, set...)
	}
	return put, marked, nil
}

func (s *Store) restoreOnce(ctx context.Context, stream uint16, rows, voids []LogRow) (put, marked []allocator.GrantID, err error) {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	// It changes nothing and locks the row, so that this stream stands still.
	if _, err := tx.ExecContext(ctx, "UPDATE sink_checkpoint SET last_seq = last_seq WHERE stream = ?", stream); err != nil {
		return nil, nil, fmt.Errorf("lock checkpoint: %w", err)
	}
	last, err := checkpoint(ctx, tx, stream)
	if err != nil {
		return nil, nil, fmt.Errorf("read checkpoint: %w", err)
	}
	there := map[allocator.GrantID]bool{}
	if len(rows) > 0 {
		args := make([]any, len(rows))
		for i := range rows {
			args[i] = int64(rows[i].ID)
		}
		if err := logRows(ctx, tx, func(row *LogRow) bool { there[row.ID] = true; return true },
			selectLog+"grant_id IN (?"+strings.Repeat(",?", len(args)-1)+")", args...); err != nil {
			return nil, nil, fmt.Errorf("look for rows: %w", err)
		}
	}
	var lost []LogRow
	for _, row := range rows {
		if !there[row.ID] && row.ID.Seq() <= last && row.ID.Slice() == allocator.SliceNo(stream) {
			lost = append(lost, row)
			put = append(put, row.ID)
		}
	}
	w := writer{ctx: ctx, tx: tx, dialect: &s.dialect}
	if err := w.insertLog(lost); err != nil {
		return nil, nil, fmt.Errorf("insert rows: %w", err)
	}
	for _, row := range voids {
		if row.ID.Seq() > last || row.ID.Slice() != allocator.SliceNo(stream) {
			continue
		}
		result, err := tx.ExecContext(ctx, "UPDATE send_log SET voided_at = ? WHERE grant_id = ? AND voided_at IS NULL",
			row.Fields[FieldVoidedAt], int64(row.ID))
		if err != nil {
			return nil, nil, fmt.Errorf("mark void: %w", err)
		}
		if n, err := result.RowsAffected(); err != nil {
			return nil, nil, fmt.Errorf("mark void: %w", err)
		} else if n == 1 {
			marked = append(marked, row.ID)
		}
	}
	if err := tx.Commit(); err != nil {
		return nil, nil, fmt.Errorf("commit: %w", err)
	}
	return put, marked, nil
}

func (w *writer) insertLog(rows []LogRow) error {
	names := FieldNames()
	return w.insert(statement{
		head:  "INSERT INTO send_log (grant_id, " + strings.Join(names[:], ", ") + ") VALUES ",
		tuple: "(?" + strings.Repeat(",?", fields) + ")",
	}, len(rows), func(i int) (n int) {
		for _, f := range rows[i].Fields {
			n += len(f.String)
		}
		return n
	}, func(args []any, i int) []any {
		args = append(args, int64(rows[i].ID))
		for j, f := range rows[i].Fields {
			switch {
			case !f.Valid:
				args = append(args, nil)
			case j < FieldDay:
				args = append(args, w.dialect.text([]byte(f.String)))
			default:
				args = append(args, f.String)
			}
		}
		return args
	})
}

// Recounted is a mirrored total to be set to what the send log adds up to, less
// rows in it that should not be there and plus those that should.
type Recounted struct {
	Prize string
	Day   allocator.Day // 0: the prize's lifetime
	Extra int64
}

// Recount sets mirrored totals. All writers of all streams wait meanwhile.
func (s *Store) Recount(ctx context.Context, totals []Recounted) error {
	if len(totals) == 0 {
		return nil
	}
	err := s.dialect.redo(ctx, s.log, func() error { return s.recountOnce(ctx, totals) })
	if err != nil {
		return fmt.Errorf("persist: recount: %w", err)
	}
	return nil
}

func (s *Store) recountOnce(ctx context.Context, totals []Recounted) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if _, err := tx.ExecContext(ctx, "UPDATE sink_checkpoint SET last_seq = last_seq"); err != nil {
		return fmt.Errorf("lock checkpoints: %w", err)
	}
	days, err := readDays(ctx, tx, countLog)
	if err != nil {
		return err
	}
	for _, t := range totals {
		sent := -t.Extra
		for _, d := range days {
			if d.Prize == t.Prize && (t.Day == 0 || t.Day == d.Day) {
				sent += d.Sent
			}
		}
		prize := s.dialect.text([]byte(t.Prize))
		table, where, columns, args := "prize_send_num", "prize_id = ?", "(prize_id, sent) VALUES (?, ?)", []any{prize}
		if t.Day != 0 {
			table, where, columns = "daily_send", "prize_id = ? AND day = ?", "(prize_id, day, sent) VALUES (?, ?, ?)"
			args = append(args, t.Day.String())
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE "+where, args...); err != nil {
			return fmt.Errorf("drop total of %s: %w", t.Prize, err)
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO "+table+" "+columns, append(args, sent)...); err != nil {
			return fmt.Errorf("set total of %s: %w", t.Prize, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}
