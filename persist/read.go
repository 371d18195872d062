package persist

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"tombola/allocator"
)

// Sent is a grant as the send log has it.
type Sent struct {
	GrantID   allocator.GrantID
	Prize     string
	User      string
	RequestID string // empty where the draw had none
	Code      string // empty for prizes without codes
	Day       allocator.Day
	GrantedAt allocator.Micros
	VoidedAt  allocator.Micros // 0 where it holds
}

// Counts is how many rows the send log has of a prize in a stream.
type Counts struct {
	Rows   int64 // grants, voided ones too
	Voided int64
}

// querier is a pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func checkpoint(ctx context.Context, q querier, stream uint16) (last uint64, err error) {
	err = q.QueryRowContext(ctx, "SELECT last_seq FROM sink_checkpoint WHERE stream = ?", stream).Scan(&last)
	return last, err
}

const selectSent = "SELECT grant_id, prize_id, user_id, code, request_id, day, granted_at, voided_at FROM "

// Grant returns one grant, or ErrNotFound.
func (s *Store) Grant(ctx context.Context, id allocator.GrantID) (Sent, error) {
	found, err := s.sent(ctx, selectSent+"send_log WHERE grant_id = ?", uint64(id))
	if err != nil {
		return Sent{}, fmt.Errorf("persist: grant %s: %w", id, err)
	}
	if len(found) == 0 {
		return Sent{}, fmt.Errorf("persist: grant %s: %w", id, ErrNotFound)
	}
	return found[0], nil
}

// UserGrants returns a user's newest grants, newest first, voided ones too: of
// one prize, or of all where prize is empty; limit at most, none where limit is
// below 1.
func (s *Store) UserGrants(ctx context.Context, user, prize string, limit int) ([]Sent, error) {
	if limit < 1 {
		return nil, nil
	}
	query, args := selectSent+s.dialect.ofUser, []any{s.dialect.text([]byte(user))}
	if prize != "" {
		query += " AND prize_id = ?"
		args = append(args, s.dialect.text([]byte(prize)))
	}
	found, err := s.sent(ctx, query+" ORDER BY granted_at DESC, grant_id DESC LIMIT ?", append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("persist: grants of a user: %w", err)
	}
	return found, nil
}

func (s *Store) sent(ctx context.Context, query string, args ...any) (found []Sent, err error) {
	err = each(ctx, s.read, func(rows *sql.Rows) error {
		var g Sent
		var code, request sql.NullString
		err := rows.Scan((*uint64)(&g.GrantID), &g.Prize, &g.User, &code, &request,
			dayValue{&g.Day}, instantValue{&g.GrantedAt}, instantValue{&g.VoidedAt})
		g.Code, g.RequestID = code.String, request.String
		found = append(found, g)
		return err
	}, query, args...)
	return found, err
}

// countStream returns how many rows a stream has of each prize.
func countStream(ctx context.Context, tx querier, stream uint16) (map[string]Counts, error) {
	perPrize := map[string]Counts{}
	first := allocator.NewGrantID(allocator.SliceNo(stream), 0)
	err := each(ctx, tx, func(rows *sql.Rows) error {
		var prize string
		var c Counts
		err := rows.Scan(&prize, &c.Rows, &c.Voided)
		perPrize[prize] = c
		return err
	}, "SELECT prize_id, COUNT(*), COUNT(voided_at) FROM send_log WHERE grant_id BETWEEN ? AND ? GROUP BY prize_id",
		uint64(first), uint64(first)+allocator.MaxSeq)
	return perPrize, err
}

// snapshot runs fn on one consistent state of the database.
func (s *Store) snapshot(ctx context.Context, fn func(querier) error) error {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // it only reads
	return fn(tx)
}

// each runs a query and calls scan for each row of the answer.
func each(ctx context.Context, q querier, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			what, _, _ := strings.Cut(query, " WHERE ")
			return fmt.Errorf("scan %q: %w", what, err)
		}
	}
	return rows.Err()
}
