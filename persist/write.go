package persist

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"tombola/allocator"
)

const (
	// insertRows is the most rows of one INSERT; more are not faster.
	insertRows = 1000
	// voidRows is the most voids of one UPDATE, which looks each of them up
	// with a CASE.
	voidRows = 100
)

// errNoCheckpoint says that a stream has no checkpoint row yet.
var errNoCheckpoint = errors.New("no checkpoint row")

// Write adds rows to the sink: the events of one stream that follow the
// sequence after, without a gap. All or nothing of it is done, in one
// transaction that moves the stream's checkpoint from after to the last row's
// sequence.
//
// It returns a *FencedError (ErrFenced) where the checkpoint is not at after;
// ErrBatch, ErrDuplicate or ErrVoid where something is wrong that trying again
// does not mend; and any other error, also that of ctx, where the database did
// not answer well. After those it is unknown whether the batch was written:
// write the same batch again, and ErrFenced resolves it. Deadlocks and lock
// time-outs are done again here, a few times.
//
// One goroutine a stream should write; others, of whatever process, are fenced.
func (s *Store) Write(ctx context.Context, stream uint16, after uint64, rows []Row) error {
	b, err := newBatch(stream, after, rows)
	if err != nil {
		return fmt.Errorf("persist: write stream %d after %d: %w", stream, after, err)
	}
	err = s.dialect.redo(ctx, s.log, func() error {
		err := s.writeOnce(ctx, b)
		if errors.Is(err, errNoCheckpoint) {
			if err := s.createCheckpoint(ctx, stream); err != nil {
				return err
			}
			err = s.writeOnce(ctx, b)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("persist: write stream %d after %d: %w", stream, after, s.leave(err))
	}
	return nil
}

func (s *Store) writeOnce(ctx context.Context, b *batch) (err error) {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	// After a commit it does nothing. Its error would say only that the
	// connection is gone, and the transaction with it.
	defer func() { _ = tx.Rollback() }()
	w := writer{ctx: ctx, tx: tx, dialect: &s.dialect, cluster: s.cluster}
	for _, step := range []func(*batch) error{
		w.advance, // first: it fences, and makes a rival wait here
		w.insertGrants,
		w.markVoids,
		w.addDays, // last: all streams share these rows, and hold them until they commit
		w.addTotals,
	} {
		if err := step(b); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// writer is one transaction of Write.
type writer struct {
	ctx     context.Context
	tx      *sql.Tx
	dialect *dialect
	cluster string
}

// advance moves the checkpoint where it is the batch's and the schema still this
// cluster's: the schema behind a name can be replaced while nodes run.
func (w *writer) advance(b *batch) error {
	result, err := w.tx.ExecContext(w.ctx,
		"UPDATE sink_checkpoint SET last_seq = ?, last_at = ? WHERE stream = ? AND last_seq = ?"+
			" AND EXISTS (SELECT 1 FROM tombola_cluster WHERE cluster_id = ?)",
		b.last, instantText(b.lastAt), b.stream, b.after, w.dialect.text([]byte(w.cluster)))
	if err != nil {
		return fmt.Errorf("move checkpoint: %w", err)
	}
	moved, err := result.RowsAffected()
	if err != nil {
		return fmt.Errorf("move checkpoint: %w", err)
	}
	if moved == 1 {
		return nil
	}
	if err := checkOwner(w.ctx, w.tx, w.cluster); err != nil {
		return err
	}
	var found uint64
	err = w.tx.QueryRowContext(w.ctx, "SELECT last_seq FROM sink_checkpoint WHERE stream = ?", b.stream).Scan(&found)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return errNoCheckpoint
	case err != nil:
		return fmt.Errorf("read checkpoint: %w", err)
	}
	return &FencedError{Stream: b.stream, Want: b.after, Found: found}
}

func (w *writer) insertGrants(b *batch) error {
	// Most rows of a batch share prize and day: convert each value once.
	var prize, day any
	var prizeID string
	var dayNo allocator.Day
	err := w.insert(statement{
		head:  "INSERT INTO send_log (grant_id, prize_id, user_id, request_id, day, granted_at) VALUES ",
		tuple: "(?,?,?,?,?,?)",
	}, len(b.grants), func(i int) int {
		e := &b.grants[i].Event
		return len(b.grants[i].Prize) + len(e.User) + len(e.RequestID)
	}, func(args []any, i int) []any {
		row := b.grants[i]
		e := &row.Event
		if row.Prize != prizeID {
			prizeID = row.Prize
			prize = w.dialect.text([]byte(prizeID))
		}
		if e.Day != dayNo {
			dayNo = e.Day
			day = dayNo.String()
		}
		var request any
		if len(e.RequestID) > 0 {
			request = w.dialect.text(e.RequestID)
		}
		id := allocator.NewGrantID(allocator.SliceNo(b.stream), e.Seq)
		return append(args, int64(id), prize, w.dialect.text(e.User), request, day, instantText(e.At))
	})
	if err != nil && w.dialect.duplicate(err) {
		return fmt.Errorf("%w: %w", ErrDuplicate, err)
	}
	if err != nil {
		return fmt.Errorf("insert grants: %w", err)
	}
	return nil
}

// markVoids runs after insertGrants, since a batch may hold a grant and its void.
func (w *writer) markVoids(b *batch) error {
	for voids := b.voids; len(voids) > 0; {
		n := min(len(voids), voidRows)
		if err := w.markSome(b.stream, voids[:n]); err != nil {
			return err
		}
		voids = voids[n:]
	}
	return nil
}

func (w *writer) markSome(stream uint16, voids []*Row) error {
	text := "UPDATE send_log SET voided_at = CASE grant_id" + strings.Repeat(" WHEN ? THEN ?", len(voids)) +
		" END WHERE grant_id IN (?" + strings.Repeat(",?", len(voids)-1) + ") AND voided_at IS NULL"
	args := make([]any, 0, 3*len(voids))
	ids := make([]any, 0, len(voids))
	for _, v := range voids {
		id := any(int64(allocator.NewGrantID(allocator.SliceNo(stream), v.Event.Grant)))
		args = append(args, id, instantText(v.Event.At))
		ids = append(ids, id)
	}
	result, err := w.tx.ExecContext(w.ctx, text, append(args, ids...)...)
	if err != nil {
		return fmt.Errorf("mark voids: %w", err)
	}
	marked, err := result.RowsAffected()
	if err != nil {
		return fmt.Errorf("mark voids: %w", err)
	}
	if marked != int64(len(voids)) {
		return fmt.Errorf("%w: of %d voids from event %d on, %d found their grant",
			ErrVoid, len(voids), voids[0].Event.Seq, marked)
	}
	return nil
}

func (w *writer) addDays(b *batch) error {
	err := w.insert(statement{
		head: "INSERT INTO daily_send (prize_id, day, sent) VALUES ", tuple: "(?,?,?)", tail: w.dialect.addDay,
	}, len(b.days), func(i int) int { return len(b.days[i].Prize) }, func(args []any, i int) []any {
		d := b.days[i]
		return append(args, w.dialect.text([]byte(d.Prize)), d.Day.String(), d.Sent)
	})
	if err != nil {
		return fmt.Errorf("add to daily_send: %w", err)
	}
	return nil
}

func (w *writer) addTotals(b *batch) error {
	err := w.insert(statement{
		head: "INSERT INTO prize_send_num (prize_id, sent) VALUES ", tuple: "(?,?)", tail: w.dialect.addTotal,
	}, len(b.totals), func(i int) int { return len(b.totals[i].Prize) }, func(args []any, i int) []any {
		t := b.totals[i]
		return append(args, w.dialect.text([]byte(t.Prize)), t.Sent)
	})
	if err != nil {
		return fmt.Errorf("add to prize_send_num: %w", err)
	}
	return nil
}

// statement is a multi-row INSERT: head, one tuple a row, tail.
type statement struct{ head, tuple, tail string }

// rowOverhead is at least what a row costs in a statement beside its ids:
// numbers, dates, quotes and commas.
const rowOverhead = 160

// insert runs the statement for n rows, in as many pieces as its limits ask
// for. size gives the bytes of a row's ids (which escaping may double); row
// appends a row's arguments.
func (w *writer) insert(st statement, n int, size func(i int) int, row func(args []any, i int) []any) error {
	var args []any
	for from := 0; from < n; {
		bytes, to := 0, from
		for ; to < n && to-from < insertRows; to++ {
			bytes += rowOverhead + 2*size(to)
			if to > from && bytes > w.dialect.statementBytes {
				break
			}
		}
		args = args[:0]
		for i := from; i < to; i++ {
			args = row(args, i)
		}
		text := st.head + st.tuple + strings.Repeat(","+st.tuple, to-from-1) + st.tail
		if _, err := w.tx.ExecContext(w.ctx, text, args...); err != nil {
			return err
		}
		from = to
	}
	return nil
}
