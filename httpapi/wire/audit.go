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
}

// Discrepancy is one thing that does not agree.
type Discrepancy struct {
	Kind    string  `json:"kind"` // missing_in_sink, unknown_in_sink, …
	Prize   string  `json:"prize,omitzero"`
	GrantID GrantID `json:"grant_id,omitzero"`
	Detail  string  `json:"detail"`
}
