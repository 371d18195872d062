package forward

import (
	"errors"
	"fmt"
)

// Errors of calls. They say what is known about whether the call was done.
var (
	// ErrUnreachable: the call was not written. It is certainly not done.
	ErrUnreachable = errors.New("forward: server can't be reached")
	// ErrLost: the call was written, but no reply came. It may have been done.
	ErrLost = errors.New("forward: connection or time lost before the reply came")
	// ErrTooLarge: a request or response is over the limit of 16 MiB. A
	// request that is was not sent.
	ErrTooLarge = errors.New("forward: body too large")
	// ErrClosed: this side is closed; the call was not sent. It is an
	// ErrUnreachable too.
	ErrClosed = fmt.Errorf("%w: closed on this side", ErrUnreachable)
)

// Codes of errors that the receiving Server makes itself.
const (
	CodeInternal      = "internal"       // the handler's error has no code
	CodeUnknownMethod = "unknown_method" // no such handler; nothing was done
	CodeBusy          = "busy"           // too many calls at once; nothing was done
	CodeBadRequest    = "bad_request"    // the body could not be read; nothing was done
)

// RemoteError is what a handler on the other server returned. Handlers return
// one themselves to choose the code.
type RemoteError struct {
	Code string // short and stable, for programs
	Text string // for people
}

// Error implements error.
func (e *RemoteError) Error() string { return e.Text + " (" + e.Code + ")" }
