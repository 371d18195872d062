package allocator

import (
	"strconv"
	"strings"
)

// AuditEntry says who changed what, when.
type AuditEntry struct {
	Seq     uint64 // in the bank's history, from 1
	At      Micros
	Actor   string
	Prize   string
	Version Version
	Action  string // "create total=100 …", "change total 100→200", …
}

// maxAudit bounds the audit trail that the bank keeps in memory.
const maxAudit = 10_000

func (b *Bank) record(actor, action string, v *vault) {
	if len(b.audit) >= maxAudit {
		b.audit = append(b.audit[:0:0], b.audit[maxAudit/10:]...)
	}
	b.audits++
	b.audit = append(b.audit, AuditEntry{Seq: b.audits, At: b.now, Actor: actor, Prize: v.def.ID, Version: v.def.Version, Action: action})
}

// describe says what a change changed.
func describe(old, now *Definition) string {
	if now.Status == StatusDeleted {
		return "delete"
	}
	before, after := fields(old), fields(now)
	var b strings.Builder
	b.WriteString("change")
	for i, f := range before {
		if f.value != after[i].value {
			b.WriteString(" " + f.name + " " + f.value + "→" + after[i].value)
		}
	}
	return b.String()
}

func summary(f *Definition) string {
	var parts []string
	for _, f := range fields(f) {
		if f.value != "none" {
			parts = append(parts, f.name+"="+f.value)
		}
	}
	return strings.Join(parts, " ")
}

type field struct{ name, value string }

func fields(f *Definition) []field {
	status := map[Status]string{StatusActive: "active", StatusPaused: "paused", StatusEnded: "ended", StatusDeleted: "deleted"}
	release := "none"
	if f.Release.On() {
		release = strconv.FormatFloat(float64(f.Release.PerSecondMilli)/1000, 'f', -1, 64) +
			"/s burst " + strconv.FormatInt(f.Release.Burst, 10)
	}
	return []field{
		{"total", strconv.FormatInt(f.Total, 10)},
		{"daily_limit", orNone(f.DailyLimit)},
		{"per_user_limit", orNone(f.PerUserLimit)},
		{"timezone", f.Zone},
		{"starts_at", instant(f.StartsAt)},
		{"ends_at", instant(f.EndsAt)},
		{"release", release},
		{"status", status[f.Status]},
	}
}

func orNone(v int64) string {
	if v == 0 {
		return "none"
	}
	return strconv.FormatInt(v, 10)
}

func instant(m Micros) string {
	if m == 0 {
		return "none"
	}
	return m.Time().Format("2006-01-02T15:04:05.999999Z")
}
