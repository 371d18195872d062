package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"tombola/httpapi/wire"
)

// errDiscrepancy is wrapped where verify found what does not agree.
var errDiscrepancy = errors.New("discrepancies")

// printJSON writes a server's document, indented, and complete: also what this
// version does not know.
func (a *App) printJSON(doc []byte) error {
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(doc), "", "  "); err != nil {
		return fmt.Errorf("cli: print: %w", err)
	}
	b.WriteByte('\n')
	_, err := a.Stdout.Write(b.Bytes())
	return err
}

// printValue writes v as printJSON does.
func (a *App) printValue(v any) error {
	doc, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cli: print: %w", err)
	}
	return a.printJSON(doc)
}

// printLine writes a document on one line, for streams of them.
func (a *App) printLine(doc []byte) error {
	var b bytes.Buffer
	if err := json.Compact(&b, doc); err != nil {
		return fmt.Errorf("cli: print: %w", err)
	}
	b.WriteByte('\n')
	_, err := a.Stdout.Write(b.Bytes())
	return err
}

// table writes aligned columns.
type table struct{ w *tabwriter.Writer }

// table lets fill write rows and prints them.
func (a *App) table(fill func(*table)) error {
	t := &table{tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)}
	fill(t)
	return t.w.Flush()
}

// row writes one row.
func (t *table) row(cells ...any) {
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(t.w, "\t")
		}
		fmt.Fprint(t.w, c)
	}
	fmt.Fprintln(t.w)
}

// gap ends a block of rows that are aligned with each other.
func (t *table) gap() {
	t.w.Flush()
	fmt.Fprintln(t.w)
}

func (t *table) definition(d *wire.Definition) {
	t.row("prize", d.Prize)
	t.row("status", d.Status)
	t.row("version", d.Version)
	t.row("kind", d.Kind)
	t.row("total", d.Total)
	t.row("daily limit", limit(d.DailyLimit))
	t.row("user limit", limit(d.PerUserLimit))
	t.row("time zone", d.Timezone)
	t.row("starts at", when(d.StartsAt))
	t.row("ends at", when(d.EndsAt))
	if d.Release != nil {
		t.row("release", fmt.Sprintf("%s a second, at most %d at once", d.Release.PerSecond, d.Release.Burst))
	}
}

func (t *table) prize(p *wire.Prize) {
	t.definition(&p.Definition)
	t.row("granted", p.Granted)
	t.row("granted today", fmt.Sprintf("%d (%s)", p.GrantedToday, p.Day))
	t.row("voided", p.Voided)
	t.row("pool", p.Pool.Stock)
	if p.Pool.Today != nil {
		t.row("pool today", *p.Pool.Today)
	}
	t.row("unsent events", p.Outbox)
	t.gap()
	t.row("SLICE", "LEADER", "VERSION", "STOCK", "TODAY", "GRANTED", "GRANTED TODAY", "VOIDED", "UNSENT")
	for _, s := range p.Slices {
		if s.Error != "" {
			t.row(s.Slice, dash(s.Leader), oneLine(s.Error))
			continue
		}
		t.row(s.Slice, dash(s.Leader), s.Version, s.Purses.Stock, number(s.Purses.Today), s.Granted, s.GrantedToday, s.Voided, s.Outbox)
	}
}

func (t *table) prizes(list []wire.Prize) {
	t.row("PRIZE", "STATUS", "TOTAL", "GRANTED", "DAILY LIMIT", "GRANTED TODAY", "USER LIMIT", "VOIDED", "VERSION")
	for _, p := range list {
		t.row(p.Prize, p.Status, p.Total, p.Granted, number(p.DailyLimit), p.GrantedToday, number(p.PerUserLimit), p.Voided, p.Version)
	}
}

func (t *table) draws(list []wire.DrawResult) {
	t.row("OUTCOME", "GRANT", "PRIZE", "USER", "GRANTED AT", "NOTE")
	for _, r := range list {
		if r.Outcome != wire.Granted {
			note := "-"
			if r.Outcome == wire.NotReleased {
				note = fmt.Sprintf("try again in %v", time.Duration(r.RetryAfterMS)*time.Millisecond)
			}
			t.row(r.Outcome, "-", r.Prize, r.User, "-", note)
			continue
		}
		var notes []string
		if r.Code != "" {
			notes = append(notes, "code "+r.Code)
		}
		if r.Repeat {
			notes = append(notes, "given before")
		}
		if r.Voided {
			notes = append(notes, "voided since")
		}
		t.row(r.Outcome, r.GrantID, r.Prize, r.User, r.GrantedAt, dash(strings.Join(notes, ", ")))
	}
}

func (t *table) grants(list []wire.Grant) {
	t.row("GRANT", "PRIZE", "USER", "STATE", "GRANTED AT", "VOIDED AT", "REQUEST", "CODE")
	for _, g := range list {
		voided := "-"
		if g.VoidedAt != 0 {
			voided = g.VoidedAt.String()
		}
		t.row(g.GrantID, g.Prize, g.User, g.State, g.GrantedAt, voided, dash(g.RequestID), dash(g.Code))
	}
}

func (t *table) cluster(c *wire.Cluster) {
	alive, ready, led, errs := 0, 0, 0, 0
	var lag uint64
	for _, n := range c.Nodes {
		if n.State == "alive" {
			alive++
		}
		if n.Ready {
			ready++
		}
	}
	for _, g := range c.Groups {
		if g.Leader != "" {
			led++
		}
		if g.Outbox.SinkError != "" {
			errs++
		}
		lag += g.Outbox.Lag
	}
	t.row("cluster", fmt.Sprintf("%s (format %d)", c.ClusterID, c.Format))
	t.row("seen from", c.Node)
	t.row("nodes", fmt.Sprintf("%d, of which %d alive and %d ready", len(c.Nodes), alive, ready))
	t.row("bank and slices", fmt.Sprintf("%d, of which %d have a leader", len(c.Groups), led))
	sink := fmt.Sprintf("%d events to be sent", lag)
	if errs > 0 {
		sink += fmt.Sprintf(", %d of %d streams can't send", errs, len(c.Groups))
	}
	t.row("sink", sink)
}

func (t *table) nodes(c *wire.Cluster) {
	t.row("NODE", "STATE", "READY", "HTTP", "CLUSTER", "LEADS", "CLOCK", "DISK FREE", "VERSION", "NOTE")
	for _, n := range c.Nodes {
		clock, disk := "-", "-"
		if n.ClockOffsetMS != nil {
			clock = strconv.FormatFloat(*n.ClockOffsetMS, 'f', 1, 64) + "ms"
		}
		if n.DiskFreeBytes != nil {
			disk = size(*n.DiskFreeBytes)
		}
		leads := make([]string, len(n.Leads))
		for i, g := range n.Leads {
			leads[i] = strconv.Itoa(g)
		}
		t.row(n.ID, n.State, yes(n.Ready), n.HTTP, n.Cluster, dash(strings.Join(leads, ",")), clock, disk, dash(n.Version), dash(oneLine(n.Error)))
	}
}

func (t *table) groups(c *wire.Cluster) {
	t.row("GROUP", "LEADER", "TERM", "COMMITTED", "APPLIED", "REPLICAS", "EVENTS", "UNSENT", "LAG", "NOTE")
	for _, g := range c.Groups {
		note := g.Error
		if note == "" {
			note = g.Outbox.SinkError
		}
		lag := time.Duration(g.Outbox.LagMS) * time.Millisecond
		t.row(g.Name, dash(g.Leader), g.Term, g.Committed, g.Applied, len(g.Replicas), g.Outbox.LastSeq, g.Outbox.Lag, lag, dash(oneLine(note)))
	}
}

func (t *table) repair(r *wire.Repair) {
	t.row("PUT BACK", "COUNT")
	t.row("rows", r.Rows)
	t.row("voids", r.Voids)
	t.row("totals", r.Totals)
	t.gap()
	if len(r.Grants) > 0 {
		t.row("GRANT", "PUT BACK")
		for _, g := range r.Grants {
			t.row(g.GrantID.String(), g.What)
		}
		t.gap()
	}
	t.report(&r.Report)
}

func (t *table) report(r *wire.Report) {
	t.row("CHECKED", "COUNT")
	for _, name := range slices.Sorted(maps.Keys(r.Checked)) {
		t.row(name, r.Checked[name])
	}
	t.gap()
	t.row("STREAM", "LAG")
	for _, name := range slices.Sorted(maps.Keys(r.Lag)) {
		t.row(name, r.Lag[name])
	}
	t.gap()
	if len(r.Warnings) > 0 {
		t.row("WARNING")
		for _, w := range r.Warnings {
			t.row(oneLine(w))
		}
		t.gap()
	}
	if r.OK && len(r.Discrepancies) == 0 {
		t.row("everything agrees")
		return
	}
	t.row("DISCREPANCY", "PRIZE", "GRANT", "DETAIL")
	for _, d := range r.Discrepancies {
		grant := "-"
		if d.GrantID != 0 {
			grant = d.GrantID.String()
		}
		t.row(d.Kind, dash(d.Prize), grant, oneLine(d.Detail))
	}
}

func limit(n *int64) string {
	if n == nil {
		return "none"
	}
	return strconv.FormatInt(*n, 10)
}

func number(n *int64) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatInt(*n, 10)
}

func when(t *wire.Time) string {
	if t == nil {
		return "-"
	}
	return t.String()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// size formats a number of bytes for people.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return strconv.FormatInt(n, 10) + "B"
	}
	value, prefix := float64(n)/unit, 0
	for value >= unit && prefix < 4 {
		value /= unit
		prefix++
	}
	return strconv.FormatFloat(value, 'f', 1, 64) + "KMGTP"[prefix:prefix+1] + "iB"
}
