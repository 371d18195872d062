package wire

// Cluster is the state of a whole cluster as one node sees it.
type Cluster struct {
	ClusterID string `json:"cluster_id"`
	// Node is the id of the node that answers.
	Node string `json:"node"`
	// Format is the version of the formats that all members write.
	Format int     `json:"format"`
	Nodes  []Node  `json:"nodes"`
	Groups []Group `json:"groups"` // the bank first, then the slices
}

// Node is one server.
type Node struct {
	ID      string `json:"id"`
	Server  string `json:"server"`  // its name in Raft, with the incarnation
	State   string `json:"state"`   // alive, suspect, dead or left
	Version string `json:"version"` // of the program
	HTTP    string `json:"http"`
	Cluster string `json:"cluster"`
	Leads   []int  `json:"leads"` // the groups that it leads
	// ClockOffsetMS is its clock against the median of its peers', in
	// milliseconds; null while it is not known.
	ClockOffsetMS *float64 `json:"clock_offset_ms"`
	DiskFreeBytes *int64   `json:"disk_free_bytes"`
	Ready         bool     `json:"ready"`
	Error         string   `json:"error,omitzero"` // why it could not be asked
}

// Group is one Raft group: the bank (0) or a slice.
type Group struct {
	Group     int       `json:"group"`
	Name      string    `json:"name"`   // "bank" or "slice 1"
	Leader    string    `json:"leader"` // node id; empty when nobody leads
	Term      uint64    `json:"term"`
	Committed uint64    `json:"committed"`
	Applied   uint64    `json:"applied"`
	Replicas  []Replica `json:"replicas"`
	Outbox    Outbox    `json:"outbox"`
	Error     string    `json:"error,omitzero"`
}

// Replica is one server's copy of a group.
type Replica struct {
	Node          string `json:"node"`
	Voter         bool   `json:"voter"`
	Applied       uint64 `json:"applied"`
	Committed     uint64 `json:"committed"`
	LastContactMS *int64 `json:"last_contact_ms"` // since it heard from its leader; null for the leader itself
}

// Outbox is a group's way to the sink.
type Outbox struct {
	LastSeq   uint64 `json:"last_seq"`   // of the group's events
	SinkSeq   uint64 `json:"sink_seq"`   // that the sink has confirmed
	Lag       uint64 `json:"lag"`        // events in between
	LagMS     int64  `json:"lag_ms"`     // age of the oldest event in between
	Bytes     int64  `json:"bytes"`      // on this disk
	SinkError string `json:"sink_error"` // empty while all is well
}

// Check is one thing that readiness looks at.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitzero"`
}

// append appends c as JSON.
func (c *Check) append(dst []byte) []byte {
	dst = append(dst, `{"name":`...)
	dst = AppendString(dst, c.Name)
	dst = append(dst, `,"ok":`...)
	if c.OK {
		dst = append(dst, `true`...)
	} else {
		dst = append(dst, `false`...)
	}
	if c.Detail != "" {
		dst = append(dst, `,"detail":`...)
		dst = AppendString(dst, c.Detail)
	}
	return append(dst, '}')
}

// Readiness is whether a node should be sent draws.
type Readiness struct {
	Ready bool `json:"ready"`
	// Code says why not, as the problem that draws would meet: CodeDraining,
	// CodeDiskLow, CodeNoLeader, or CodeNotReady for everything else.
	Code Code `json:"-"`
	// Checks are everything that was looked at, also what only hints at trouble
	// and does not make a node unready, such as a missing sink.
	Checks []Check `json:"checks,omitzero"`
}
