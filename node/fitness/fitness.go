// Package fitness keeps what speaks against this server's leading: a disk that
// is almost full, a clock that is off. A server that is not fit hands its
// leaderships to those that are, says so in /readyz, and is given none.
package fitness

import "sync"

// Finding is one thing that was looked at.
type Finding struct {
	Name    string // as in /readyz
	Problem error  // nil while all is well
}

// Fitness holds the last finding of each kind. Its methods may be called
// concurrently.
type Fitness struct {
	mu       sync.Mutex
	findings []Finding // in the order in which they were first set
	changed  chan struct{}
}

// New returns a fitness with no findings: fit.
func New() *Fitness { return &Fitness{changed: make(chan struct{})} }

// Set replaces the finding of a name.
func (f *Fitness) Set(name string, problem error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.fit()
	f.put(name, problem)
	if f.fit() != before {
		close(f.changed)
		f.changed = make(chan struct{})
	}
}

func (f *Fitness) put(name string, problem error) {
	for i := range f.findings {
		if f.findings[i].Name == name {
			f.findings[i].Problem = problem
			return
		}
	}
	f.findings = append(f.findings, Finding{name, problem})
}

func (f *Fitness) fit() bool {
	for i := range f.findings {
		if f.findings[i].Problem != nil {
			return false
		}
	}
	return true
}

// Fit reports whether nothing speaks against this server, and returns a channel
// that is closed when that changes.
func (f *Fitness) Fit() (fit bool, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fit(), f.changed
}

// Findings returns a copy of all findings.
func (f *Fitness) Findings() []Finding {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Finding(nil), f.findings...)
}
