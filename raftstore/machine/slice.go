// Package machine puts the state machines of allocator under Raft: it decodes
// entries, keeps a slice's events in its outbox, and lets readers look at the
// committed state between entries.
package machine

import (
	"fmt"
	"io"
	"sync"

	"tombola/allocator"
	"tombola/raftstore"
	"tombola/raftstore/outbox"
)

// Slice is one slice's state machine on this server. Apply, Snapshot and
// Restore are for its Raft group; Read is for anybody.
type Slice struct {
	cfg   allocator.SliceConfig
	box   *outbox.Outbox
	heard func(*allocator.Slice, []allocator.PrizeNo)
	whole bool // images carry all events that are kept

	mu    sync.RWMutex
	state *allocator.Slice

	scratch  allocator.Result // for entries that nobody here waits for
	encoded  []byte
	payloads [][]byte
	ends     []int
}

// NewSlice returns an empty slice whose events go to box. heard, if not nil, is
// called with the state, inside its lock, and the prizes that the bank said
// something about, nil for all: their definitions may have changed.
func NewSlice(cfg allocator.SliceConfig, box *outbox.Outbox, heard func(*allocator.Slice, []allocator.PrizeNo)) *Slice {
	return &Slice{cfg: cfg, box: box, heard: heard, state: allocator.NewSlice(cfg)}
}

// CarryAll has images carry every event that the outbox keeps, not only those
// that the sink has not confirmed. It is for servers that each have a sink of
// their own: what one sink has confirmed, another's still lacks. It is called
// before the slice's group is opened.
func (m *Slice) CarryAll() { m.whole = true }

// Read calls f with the committed state. f must be quick and keep nothing.
func (m *Slice) Read(f func(*allocator.Slice)) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	f(m.state)
}

// Apply decides one entry. into is nil or the *allocator.Result that the
// proposer reads. Its events are in the outbox before readers see its state.
func (m *Slice) Apply(entry []byte, into any) error {
	res, ok := into.(*allocator.Result)
	if !ok {
		res = &m.scratch
	}
	res.Reset()
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.state.Apply(entry, res); err != nil {
		return fmt.Errorf("machine: slice %d: apply: %w", m.cfg.Slice, err)
	}
	if err := m.keep(res.Events); err != nil {
		return fmt.Errorf("machine: slice %d: outbox: %w", m.cfg.Slice, err)
	}
	if m.heard != nil && len(res.Heard) > 0 {
		m.heard(m.state, res.Heard)
	}
	return nil
}

// keep appends an entry's events to the outbox. After a restart the log is
// applied again from the last snapshot; the outbox knows what it has.
func (m *Slice) keep(events []allocator.Event) error {
	if len(events) == 0 {
		return nil
	}
	m.encoded, m.ends, m.payloads = m.encoded[:0], m.ends[:0], m.payloads[:0]
	for i := range events {
		m.encoded = allocator.AppendEvent(m.encoded, &events[i])
		m.ends = append(m.ends, len(m.encoded))
	}
	start := 0
	for _, end := range m.ends {
		m.payloads = append(m.payloads, m.encoded[start:end])
		start = end
	}
	return m.box.Append(events[0].Seq, m.payloads)
}

// Snapshot captures the state; Apply waits for microseconds.
func (m *Slice) Snapshot() (raftstore.Image, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &sliceImage{state: m.state.Freeze(), box: m.box, whole: m.whole}, nil
}

// Restore replaces the state by an image's, and catches the outbox up with the
// events that come with it.
func (m *Slice) Restore(r io.Reader) error {
	state, err := allocator.DecodeSlice(r, m.cfg)
	if err != nil {
		return fmt.Errorf("machine: slice %d: restore: %w", m.cfg.Slice, err)
	}
	if err := m.box.Load(r); err != nil {
		return fmt.Errorf("machine: slice %d: restore outbox: %w", m.cfg.Slice, err)
	}
	if last := m.box.Last(); last < state.Last() {
		return fmt.Errorf("machine: slice %d: restore: outbox ends at event %d, the state at %d", m.cfg.Slice, last, state.Last())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = state
	if m.heard != nil {
		m.heard(state, nil)
	}
	return nil
}

// sliceImage is a slice's state with the events that the sink may not have: a
// replica that is given it can lead, and drain from there.
type sliceImage struct {
	state *allocator.SliceImage
	box   *outbox.Outbox
	whole bool
}

func (i *sliceImage) Persist(w io.Writer) error {
	// The log is cut behind a snapshot, so the events before it can't be made
	// again: they have to be on the disk first.
	if err := i.box.Sync(); err != nil {
		return fmt.Errorf("machine: sync outbox: %w", err)
	}
	if err := i.state.Encode(w); err != nil {
		return fmt.Errorf("machine: persist slice: %w", err)
	}
	// What was trimmed meanwhile is in the sink, be it all that there was.
	from := i.box.First()
	if !i.whole {
		from = max(from, i.state.Sunk()+1)
	}
	from = min(from, i.state.Last()+1)
	if err := i.box.StreamTo(w, from, i.state.Last()); err != nil {
		return fmt.Errorf("machine: persist events: %w", err)
	}
	return nil
}

func (i *sliceImage) Release() { i.state.Release() }
