package httpapi

import (
	"context"
	"time"

	"tombola/httpapi/wire"
)

// Draw is one draw: what the client asked, and room for the answer. Draws are
// pooled; the byte slices alias the request's buffers until Drawer.Draw
// returns, so whoever keeps them longer copies them.
type Draw struct {
	Prize     []byte // a valid prize id
	User      []byte // valid
	RequestID []byte // valid, or empty when there is none
	Timeout   time.Duration
	DrawAnswer
}

// DrawAnswer is what the Drawer sets. With Problem set, Detail and RetryAfter
// are all that is looked at beside it.
type DrawAnswer struct {
	Outcome    wire.Outcome
	GrantID    uint64
	GrantedAt  int64  // microseconds since the Unix epoch
	Code       []byte // read before the Draw goes back to its pool; empty for counters
	Repeat     bool   // given to the same request id before
	Voided     bool   // and taken back since
	RetryAfter time.Duration
	Problem    wire.Code // 0 when there is an Outcome
	Detail     string
}

// Backend decides and knows everything. Its methods may be called concurrently.
// Errors that are a *wire.Problem are answered as they are; any other is logged
// and answered as an internal fault, except that a context's end is answered as
// a timeout. Contexts end with the call's own time limit, or when the server is
// shut down. Strings that are passed in may be kept.
type Backend interface {
	Drawer
	Prizes
	Grants
	Operator
}

// Drawer decides draws.
type Drawer interface {
	// Draw blocks until d has its answer, at most for d.Timeout or very little
	// longer. It must not keep d or its slices.
	Draw(d *Draw)
}

// Prizes is the catalog.
type Prizes interface {
	// Prize returns a prize as it is defined now; CodeUnknownPrize. Deleted
	// prizes are still found.
	Prize(ctx context.Context, id string) (wire.Definition, error)
	// PrizeCounts returns a prize with its tokens and counts, which may ask
	// every slice.
	PrizeCounts(ctx context.Context, id string) (wire.Prize, error)
	// ListPrizes returns at most limit prizes with ids greater than after.
	ListPrizes(ctx context.Context, after string, limit int) (wire.PrizePage, error)
	// PutPrize creates a prize or replaces its definition, keeping its status.
	// spec passed PrizeSpec.Check.
	PutPrize(ctx context.Context, id string, spec wire.PrizeSpec, c wire.Change) (d wire.Definition, created bool, err error)
	// PatchPrize changes a prize and returns once the change holds on every
	// slice. It merges with PrizePatch.ApplyTo, which also checks the result.
	PatchPrize(ctx context.Context, id string, p wire.PrizePatch, c wire.Change) (wire.Definition, error)
	// DeletePrize ends a prize for good.
	DeletePrize(ctx context.Context, id string, c wire.Change) (wire.Definition, error)
}

// Grants reads and voids grants.
type Grants interface {
	// Grant returns a grant; CodeNotFound.
	Grant(ctx context.Context, id wire.GrantID) (wire.Grant, error)
	// UserGrants returns at most limit grants of user, of one prize or of all
	// where prize is empty, the newest first.
	UserGrants(ctx context.Context, user, prize string, limit int) (wire.UserGrants, error)
	// VoidGrant takes a grant back; CodeConflict when it was voided before.
	VoidGrant(ctx context.Context, id wire.GrantID, restock bool, c wire.Change) (wire.Grant, error)
}

// Operator is what operators and their tools look at.
type Operator interface {
	Cluster(ctx context.Context) (wire.Cluster, error)
	Audit(ctx context.Context, q wire.AuditQuery) (wire.AuditPage, error)
	Verify(ctx context.Context) (wire.Report, error)
	// Repair sends again what the sink lost, and verifies.
	Repair(ctx context.Context, c wire.Change) (wire.Repair, error)
	// Ready is asked often and must answer from what is known.
	Ready(ctx context.Context) wire.Readiness
}
