package wire

// AuditEntry is one change that an operator made.
type AuditEntry struct {
	Seq     uint64 `json:"seq"` // in the bank's history, from 1
	At      Time   `json:"at"`
	Actor   string `json:"actor"`
	Action  string `json:"action"` // create, replace, change, delete, void, …
	Prize   string `json:"prize,omitzero"`
	Version uint64 `json:"version,omitzero"` // of the prize, after the change
	Detail  string `json:"detail,omitzero"`
}

// AuditPage is one page of the audit trail, the newest first.
type AuditPage struct {
	Entries []AuditEntry `json:"entries"`
	// Cursor asks for the next page; 0 on the last.
	Cursor uint64 `json:"cursor,omitzero"`
}

// AuditQuery selects audit entries.
type AuditQuery struct {
	Prize  string // empty for all
	Before uint64 // entries with a smaller Seq; 0 for the newest
	Limit  int
}

// Report is what a verification found.
type Report struct {
	OK bool `json:"ok"`
	// Checked counts what was compared: prizes, slices, grants, rows, …
	Checked map[string]int64 `json:"checked"`
	// Lag is, per stream of events, how many the sink has yet to confirm. Lag
	// is no discrepancy.
	Lag           map[string]int64 `json:"lag"`
	Discrepancies []Discrepancy    `json:"discrepancies"`
	// Warnings are what is worth a look and mends itself.
	Warnings []string `json:"warnings,omitzero"`
}

// Repair is what a repair of the sink put back, and what is left wrong.
type Repair struct {
	Rows   int64 `json:"rows"`   // that were missing
	Voids  int64 `json:"voids"`  // marks that were missing
	Totals int64 `json:"totals"` // mirrored totals set to what they should be
	// Grants names what was put back, of each slice the first thousand.
	Grants []Repaired `json:"grants"`
	Report Report     `json:"report"`
}

// Repaired is one grant of which the row or the mark of its void was put back.
type Repaired struct {
	GrantID GrantID `json:"grant_id"`
	What    string  `json:"what"` // row, void
}

// Discrepancy is one thing that does not agree.
type Discrepancy struct {
	Kind    string  `json:"kind"` // missing_in_sink, unknown_in_sink, …
	Prize   string  `json:"prize,omitzero"`
	GrantID GrantID `json:"grant_id,omitzero"`
	Detail  string  `json:"detail"`
}
