// Package backend answers what clients and operators ask over HTTP: it is the
// node behind httpapi.Backend, and the handlers that its peers call.
package backend

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"tombola/allocator"
	"tombola/httpapi/wire"
	"tombola/node/ask"
	"tombola/node/clockguard"
	"tombola/node/diskroom"
	"tombola/node/drain"
	"tombola/node/draws"
	"tombola/node/fitness"
	"tombola/node/membership"
	"tombola/node/quota"
	"tombola/node/route"
	"tombola/raftstore"
	"tombola/raftstore/machine"
	"tombola/raftstore/outbox"
)

// Slice is what this server keeps of one slice.
type Slice struct {
	No      allocator.SliceNo
	Group   *raftstore.Group
	Machine *machine.Slice
	Outbox  *outbox.Outbox
	Engine  *draws.Engine
	Stamp   *clockguard.Stamp
	Drain   *drain.Drain
}

// Bank is what this server keeps of the bank.
type Bank struct {
	Group   *raftstore.Group
	Machine *machine.Bank
	Loop    *quota.Bank
	Stamp   *clockguard.Stamp
}

// Parts is what a Backend is made of: a running node.
type Parts struct {
	Members *membership.Membership
	Cluster membership.Cluster
	Slices  map[allocator.SliceNo]*Slice // those kept here
	Bank    *Bank                        // nil where it is kept elsewhere
	Router  *route.Router
	Catalog *route.Catalog
	Ask     *ask.Asker
	Groups  ask.Groups
	Sink    *drain.Opener
	// SharedSink says that all nodes write to one database, so that any of
	// them can read all of it.
	SharedSink bool
	Fitness    *fitness.Fitness
	Disk       *diskroom.Watch
	Dates      draws.Dates
	Clock      func() time.Time
	Version    string // of the program
	Logger     *slog.Logger
}

// Backend implements httpapi.Backend. Until Open it answers that the node is
// starting.
type Backend struct {
	opened  chan struct{}
	parts   *Parts // set before opened is closed
	lookups chan struct{}

	mu       sync.Mutex
	draining bool
}

// maxLookups bounds the questions to the bank's leader about prizes that this
// server has not heard of.
const maxLookups = 64

// New returns a backend that is not open yet.
func New() *Backend {
	return &Backend{opened: make(chan struct{}), lookups: make(chan struct{}, maxLookups)}
}

// Open lets the backend answer. It is called once.
func (b *Backend) Open(p *Parts) {
	b.parts = p
	b.handle()
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.opened)
	if b.draining {
		p.Router.Drain()
	}
}

// Drain has draws refused from now on, and readiness say so.
func (b *Backend) Drain() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.draining = true
	if p := b.running(); p != nil {
		p.Router.Drain()
	}
}

// running returns the node's parts, nil while it starts.
func (b *Backend) running() *Parts {
	select {
	case <-b.opened:
		return b.parts
	default:
		return nil
	}
}

// started returns the node's parts, or the problem that there are none yet.
func (b *Backend) started() (*Parts, error) {
	if p := b.running(); p != nil {
		return p, nil
	}
	return nil, wire.NewProblem(wire.CodeNotReady, "the node is starting")
}

// askBank puts a question to the bank's leader.
func askBank[Response any](ctx context.Context, p *Parts, method string, request any) (Response, error) {
	var response Response
	err := p.Ask.Leader(ctx, 0, method, true, request, &response)
	return response, err
}

// askSlice puts a question to a slice's leader.
func askSlice[Response any](ctx context.Context, p *Parts, s allocator.SliceNo, method string, request any) (Response, error) {
	var response Response
	err := p.Ask.Leader(ctx, uint16(s), method, true, request, &response)
	return response, err
}
