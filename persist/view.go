package persist

import (
	"context"
	"crypto/md5"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"tombola/allocator"
)

// fields is how many columns a row of the send log has beside its grant id.
const fields = 7

// FieldNames returns the columns of LogRow.Fields, in order.
func FieldNames() [fields]string {
	return [...]string{"prize_id", "user_id", "code", "request_id", "day", "granted_at", "voided_at"}
}

// The places of LogRow.Fields that are asked for by name.
const (
	FieldPrize    = 0
	FieldDay      = 4
	FieldVoidedAt = 6
)

// LogRow is a row of the send log as text, whatever somebody wrote into it.
type LogRow struct {
	ID     allocator.GrantID
	Fields [fields]sql.NullString
}

// NewLogRow returns the row that Write makes of a grant. voided is when it was
// voided, 0 where it holds.
func NewLogRow(stream uint16, grant *Row, voided allocator.Micros) LogRow {
	e := &grant.Event
	row := LogRow{ID: allocator.NewGrantID(allocator.SliceNo(stream), e.Seq)}
	for i, value := range [...]string{
		grant.Prize, string(e.User), "", string(e.RequestID), e.Day.String(), instantText(e.At), "",
	} {
		row.Fields[i] = sql.NullString{String: value, Valid: value != ""}
	}
	if voided != 0 {
		row.Fields[FieldVoidedAt] = sql.NullString{String: instantText(voided), Valid: true}
	}
	return row
}

// Sum is a checksum of rows, in whatever order.
type Sum struct {
	Rows int64
	XOR  uint64 // of a hash of each row
}

// Add adds a row, by the hash that sumColumns has the server compute.
func (s *Sum) Add(row *LogRow) {
	b := strconv.AppendUint(nil, uint64(row.ID), 10)
	for _, f := range row.Fields {
		b = append(b, '/')
		if !f.Valid {
			b = append(b, '-')
			continue
		}
		b = append(strconv.AppendInt(b, int64(len(f.String)), 10), ':')
		b = append(b, f.String...)
	}
	hash := md5.Sum(b) // it finds accidents, not attacks: both servers have it
	s.Rows++
	s.XOR ^= binary.BigEndian.Uint64(hash[:8])
}

// mysqlSum is Sum in MySQL. Lengths keep the fields apart.
func mysqlSum() string {
	text := "CONCAT(grant_id"
	for i, name := range FieldNames() {
		if i >= FieldDay {
			name = "CAST(" + name + " AS CHAR)"
		}
		text += ", '/', IFNULL(CONCAT(LENGTH(" + name + "), ':', " + name + "), '-')"
	}
	return "COUNT(*), BIT_XOR(CAST(CONV(LEFT(MD5(" + text + ")), 16), 16, 10) AS UNSIGNED))"
}

const selectLog = "SELECT grant_id, prize_id, user_id, code, request_id," +
	" CAST(day AS CHAR), CAST(granted_at AS CHAR), CAST(voided_at AS CHAR) FROM send_log WHERE "

// View is one stream as of one instant. It is valid inside Store.View.
type View struct {
	Last   uint64            // the checkpoint
	Counts map[string]Counts // by prize
	store  *Store
	stream uint16
	tx     querier
}

// View calls fn with a consistent state of a stream. It holds nobody up: the
// stream may be written to meanwhile.
func (s *Store) View(ctx context.Context, stream uint16, fn func(*View) error) error {
	err := s.snapshot(ctx, func(tx querier) (err error) {
		v := &View{store: s, stream: stream, tx: tx}
		if v.Last, err = checkpoint(ctx, tx, stream); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if v.Counts, err = countStream(ctx, tx, stream); err != nil {
			return err
		}
		return fn(v)
	})
	if err != nil {
		return fmt.Errorf("persist: view of stream %d: %w", stream, err)
	}
	return nil
}

// Sum returns the checksum of the rows with sequences from and to, both
// included.
func (v *View) Sum(ctx context.Context, from, to uint64) (sum Sum, err error) {
	if v.store.dialect.sum == "" {
		err = v.Rows(ctx, from, to, func(row *LogRow) bool {
			sum.Add(row)
			return true
		})
		return sum, err
	}
	first, last := v.ids(from, to)
	err = v.tx.QueryRowContext(ctx, "SELECT "+v.store.dialect.sum+
		" FROM send_log WHERE grant_id BETWEEN ? AND ?", first, last).Scan(&sum.Rows, &sum.XOR)
	return sum, err
}

// Rows calls yield with the rows from and to, both included, in order, until it
// returns false.
func (v *View) Rows(ctx context.Context, from, to uint64, yield func(*LogRow) bool) error {
	first, last := v.ids(from, to)
	return logRows(ctx, v.tx, yield, selectLog+"grant_id BETWEEN ? AND ? ORDER BY grant_id", first, last)
}

func (v *View) ids(from, to uint64) (first, last int64) {
	no := allocator.SliceNo(v.stream)
	return int64(allocator.NewGrantID(no, from)), int64(allocator.NewGrantID(no, to))
}

// Outside calls yield with the rows that are of no stream from 1 to streams.
func (s *Store) Outside(ctx context.Context, streams int, yield func(*LogRow) bool) error {
	last := int64(allocator.NewGrantID(allocator.SliceNo(streams), allocator.MaxSeq))
	err := logRows(ctx, s.read, yield, selectLog+"grant_id <= ? OR grant_id > ? ORDER BY grant_id", int64(1)<<48-1, last)
	if err != nil {
		return fmt.Errorf("persist: rows of no stream: %w", err)
	}
	return nil
}

// errEnough ends a query whose reader has seen enough.
var errEnough = errors.New("enough")

func logRows(ctx context.Context, q querier, yield func(*LogRow) bool, query string, args ...any) error {
	err := each(ctx, q, func(rows *sql.Rows) error {
		var row LogRow
		f := &row.Fields
		if err := rows.Scan((*idValue)(&row.ID), &f[0], &f[1], &f[2], &f[3], &f[4], &f[5], &f[6]); err != nil {
			return err
		}
		if !yield(&row) {
			return errEnough
		}
		return nil
	}, query, args...)
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// idValue scans an id of 64 bits, which SQLite has as a signed number.
type idValue allocator.GrantID

// Scan implements sql.Scanner.
func (v *idValue) Scan(value any) error {
	switch n := value.(type) {
	case int64:
		*v = idValue(n)
	case uint64:
		*v = idValue(n)
	case []byte:
		u, err := strconv.ParseUint(string(n), 10, 64)
		*v = idValue(u)
		return err
	default:
		return fmt.Errorf("%T is no id", value)
	}
	return nil
}
