package wire

// Code is the stable name of a problem. The zero value means no problem.
type Code uint8

// The problems. The HTTP status that each is answered with is the server's
// table; the names here are part of the contract and never change.
const (
	NoProblem Code = iota
	// CodeBadRequest: the request, or its body, could not be read at all.
	CodeBadRequest
	// CodeUnauthorized: a token is wanted, and none or a wrong one was sent.
	CodeUnauthorized
	// CodeForbidden: the token is known but does not open this.
	CodeForbidden
	// CodeUnknownPrize: there is no such prize.
	CodeUnknownPrize
	// CodeNotFound: there is no such path or thing.
	CodeNotFound
	// CodeMethodNotAllowed: the path exists, the header Allow names its methods.
	CodeMethodNotAllowed
	// CodeRequestTimeout: the request did not arrive in time.
	CodeRequestTimeout
	// CodeConflict: it can't be done in the state that things are in.
	CodeConflict
	// CodeBelowGranted: a total below what is granted already; Granted says how much.
	CodeBelowGranted
	// CodePreconditionFailed: If-Match or If-None-Match does not hold.
	CodePreconditionFailed
	// CodeTooLarge: the body is larger than this call takes.
	CodeTooLarge
	// CodeUnsupportedMediaType: the body is not application/json.
	CodeUnsupportedMediaType
	// CodeInvalid: a value is not acceptable; Field names it.
	CodeInvalid
	// CodeOverloaded: shed, certainly not done; RetryAfter says when to try again.
	CodeOverloaded
	// CodeHeaderTooLarge: the header is larger than the server takes.
	CodeHeaderTooLarge
	// CodeInternal: a fault of the server.
	CodeInternal
	// CodeNoLeader: who would decide can't be reached; certainly not done.
	CodeNoLeader
	// CodeTimeout: not decided in time; certainly not done.
	CodeTimeout
	// CodeDraining: the node is stopping; certainly not done.
	CodeDraining
	// CodeDiskLow: the node's disk is below its floor; certainly not done.
	CodeDiskLow
	// CodeNotReady: the node is starting, or off the clock, or alone.
	CodeNotReady
	// CodeUnknownOutcome: it may or may not have been done; send it again with
	// the same request id.
	CodeUnknownOutcome
	// CodeUnconfirmed: a change is recorded and will complete, but the slices
	// that the problem names have not confirmed it yet.
	CodeUnconfirmed
)

// CodeCount is one more than the largest Code.
const CodeCount = int(CodeUnconfirmed) + 1

// String returns the code as it stands in problem bodies.
func (c Code) String() string {
	switch c {
	case CodeBadRequest:
		return "bad_request"
	case CodeUnauthorized:
		return "unauthorized"
	case CodeForbidden:
		return "forbidden"
	case CodeUnknownPrize:
		return "unknown_prize"
	case CodeNotFound:
		return "not_found"
	case CodeMethodNotAllowed:
		return "method_not_allowed"
	case CodeRequestTimeout:
		return "request_timeout"
	case CodeConflict:
		return "conflict"
	case CodeBelowGranted:
		return "below_granted"
	case CodePreconditionFailed:
		return "precondition_failed"
	case CodeTooLarge:
		return "too_large"
	case CodeUnsupportedMediaType:
		return "unsupported_media_type"
	case CodeInvalid:
		return "invalid"
	case CodeOverloaded:
		return "overloaded"
	default:
		return c.serverFault()
	}
}

// serverFault names the problems that are not the caller's.
func (c Code) serverFault() string {
	switch c {
	case CodeHeaderTooLarge:
		return "header_too_large"
	case CodeInternal:
		return "internal"
	case CodeNoLeader:
		return "no_leader"
	case CodeTimeout:
		return "timeout"
	case CodeDraining:
		return "draining"
	case CodeDiskLow:
		return "disk_low"
	case CodeNotReady:
		return "not_ready"
	case CodeUnknownOutcome:
		return "unknown_outcome"
	case CodeUnconfirmed:
		return "unconfirmed"
	default:
		return "none"
	}
}

// ParseCode returns the code that String writes as name, or NoProblem where
// this version knows none of that name.
func ParseCode(name string) Code {
	for c := CodeBadRequest; int(c) < CodeCount; c++ {
		if c.String() == name {
			return c
		}
	}
	return NoProblem
}
