// Package route finds each draw the slice that decides it, and the server that
// leads that slice.
package route

import (
	"sync"

	"tombola/allocator"
)

// Prize is what routing needs to know of a prize.
type Prize struct {
	No    allocator.PrizeNo
	Homed bool // it has a user limit: every draw goes to its user's home slice
}

// Catalog knows the prizes by their ids, as far as this server has heard of
// them. It may be used concurrently.
type Catalog struct {
	mu       sync.RWMutex
	byID     map[string]Prize
	versions map[allocator.PrizeNo]allocator.Version
	homed    map[allocator.PrizeNo]bool
}

// NewCatalog returns a catalog without prizes.
func NewCatalog() *Catalog {
	return &Catalog{
		byID:     make(map[string]Prize),
		versions: make(map[allocator.PrizeNo]allocator.Version),
		homed:    make(map[allocator.PrizeNo]bool),
	}
}

// Find returns the prize with the given id.
func (c *Catalog) Find(id []byte) (Prize, bool) {
	c.mu.RLock()
	p, ok := c.byID[string(id)]
	c.mu.RUnlock()
	return p, ok
}

// Homed reports whether every draw of a prize goes to its user's home.
func (c *Catalog) Homed(no allocator.PrizeNo) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.homed[no]
}

// Learn takes in a definition, unless a newer one is known.
func (c *Catalog) Learn(def allocator.Definition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if def.Version <= c.versions[def.No] {
		return
	}
	homed := def.PerUserLimit > 0
	c.versions[def.No] = def.Version
	c.homed[def.No] = homed
	c.byID[def.ID] = Prize{No: def.No, Homed: homed}
}

// Version returns the version of the definition that is known, 0 for none.
func (c *Catalog) Version(no allocator.PrizeNo) allocator.Version {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.versions[no]
}
