package chaos

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"tombola/httpapi/wire"
)

// Row is a row of the send log.
type Row struct {
	User, RequestID string
}

// Verdict is what the judge found. All but Granted should be 0.
type Verdict struct {
	Granted    int // draws that were acknowledged
	Failed     int // draws whose error was final
	Lost       int // acknowledged, and not a row of the draw's
	Duplicated int // one grant for two draws, or one draw with two rows
	Foreign    int // rows that no draw was acknowledged for
	Examples   []string
}

// Clean reports whether all is as it should be.
func (v *Verdict) Clean() bool {
	return v.Failed == 0 && v.Lost == 0 && v.Duplicated == 0 && v.Foreign == 0
}

func (v *Verdict) count(n *int, format string, args ...any) {
	*n++
	if len(v.Examples) < 10 {
		v.Examples = append(v.Examples, fmt.Sprintf(format, args...))
	}
}

// Judge compares what was acknowledged with the rows of the send log. Every
// draw has been sent until its outcome was known, so both must be the same.
func Judge(draws []Draw, rows map[wire.GrantID]Row) *Verdict {
	v := new(Verdict)
	acknowledged := make(map[wire.GrantID]Row, len(draws))
	for i := range draws {
		d := &draws[i]
		if d.Final != nil {
			v.count(&v.Failed, "%s as %s: %v", d.User, d.RequestID, d.Final)
			continue
		}
		v.Granted++
		row := Row{d.User, d.RequestID}
		if other, taken := acknowledged[d.Grant]; taken {
			v.count(&v.Duplicated, "grant %s is that of %v and of %v", d.Grant, other, row)
		}
		acknowledged[d.Grant] = row
		if got, ok := rows[d.Grant]; !ok {
			v.count(&v.Lost, "grant %s to %v has no row", d.Grant, row)
		} else if got != row {
			v.count(&v.Lost, "grant %s to %v is in the send log as one to %v", d.Grant, row, got)
		}
	}
	draw := make(map[Row]wire.GrantID, len(rows))
	for id, row := range rows {
		if other, ok := draw[row]; ok {
			v.count(&v.Duplicated, "%v has grants %s and %s", row, other, id)
		}
		draw[row] = id
		if _, ok := acknowledged[id]; !ok {
			v.count(&v.Foreign, "grant %s to %v was acknowledged to nobody", id, row)
		}
	}
	return v
}

// SendLog reads a prize's rows. The send log's primary key is the grant, so that
// there is one row of each at most.
func SendLog(ctx context.Context, db *sql.DB, prize string) (map[wire.GrantID]Row, error) {
	found, err := db.QueryContext(ctx, "SELECT grant_id, user_id, COALESCE(request_id, '') FROM send_log WHERE prize_id = ?", prize)
	if err != nil {
		return nil, fmt.Errorf("chaos: read the send log: %w", err)
	}
	defer found.Close()
	rows := make(map[wire.GrantID]Row)
	for found.Next() {
		var id uint64
		var r Row
		if err := found.Scan(&id, &r.User, &r.RequestID); err != nil {
			return nil, fmt.Errorf("chaos: read the send log: %w", err)
		}
		rows[wire.GrantID(id)] = r
	}
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("chaos: read the send log: %w", err)
	}
	return rows, nil
}

// Silence is the longest time in which a slice acknowledged nothing.
type Silence struct {
	From, For time.Duration // From is since the load began
}

// Silences returns the longest silence of each slice, by slice number less one,
// between from and to. A slice's last grant before from counts as its first.
func Silences(draws []Draw, slicesCount int, from, to time.Duration) []Silence {
	longest := make([]Silence, slicesCount)
	for s := range longest {
		last := time.Duration(0)
		heard := []time.Duration{to}
		for i := range draws {
			switch d := &draws[i]; {
			case d.Final != nil || d.Slice != s+1:
			case d.End < from:
				last = max(last, d.End)
			case d.End < to:
				heard = append(heard, d.End)
			}
		}
		slices.Sort(heard)
		for _, at := range heard {
			if gap := at - last; gap > longest[s].For {
				longest[s] = Silence{From: last, For: gap}
			}
			last = at
		}
	}
	return longest
}

// LongestWait returns how long the slowest draw took, all its tries together.
func LongestWait(draws []Draw) time.Duration {
	var longest time.Duration
	for i := range draws {
		longest = max(longest, draws[i].End-draws[i].Start)
	}
	return longest
}
