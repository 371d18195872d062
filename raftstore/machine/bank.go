package machine

import (
	"fmt"
	"io"
	"sync"

	"tombola/allocator"
	"tombola/raftstore"
)

// Bank is the bank's state machine on this server. Apply, Snapshot and Restore
// are for its Raft group; Read is for anybody.
type Bank struct {
	cfg allocator.BankConfig
	// changed is called after each entry with the prizes that it touched, nil
	// for all.
	changed func(b *allocator.Bank, touched []allocator.PrizeNo)

	mu      sync.RWMutex
	state   *allocator.Bank
	scratch allocator.BankResult
}

// NewBank returns an empty bank. changed, if not nil, is called with the state,
// inside its lock, and the prizes that may have changed, nil for all of them.
func NewBank(cfg allocator.BankConfig, changed func(*allocator.Bank, []allocator.PrizeNo)) *Bank {
	return &Bank{cfg: cfg, changed: changed, state: allocator.NewBank(cfg)}
}

// Read calls f with the committed state. f must be quick and keep nothing.
func (m *Bank) Read(f func(*allocator.Bank)) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	f(m.state)
}

// Apply decides one entry. into is nil or the *allocator.BankResult that the
// proposer reads.
func (m *Bank) Apply(entry []byte, into any) error {
	res, ok := into.(*allocator.BankResult)
	if !ok {
		res = &m.scratch
	}
	res.Reset()
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.state.Apply(entry, res); err != nil {
		return fmt.Errorf("machine: bank: apply: %w", err)
	}
	if m.changed != nil && len(res.Touched) > 0 {
		m.changed(m.state, res.Touched)
	}
	return nil
}

// Snapshot captures the state.
func (m *Bank) Snapshot() (raftstore.Image, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return bankImage{m.state.Freeze()}, nil
}

// Restore replaces the state by an image's.
func (m *Bank) Restore(r io.Reader) error {
	state, err := allocator.DecodeBank(r, m.cfg)
	if err != nil {
		return fmt.Errorf("machine: bank: restore: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = state
	if m.changed != nil {
		m.changed(state, nil)
	}
	return nil
}

type bankImage struct{ *allocator.BankImage }

func (i bankImage) Persist(w io.Writer) error { return i.Encode(w) }
