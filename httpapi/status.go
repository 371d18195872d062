package httpapi

import (
	"github.com/valyala/fasthttp"

	"tombola/httpapi/wire"
)

// statusOf is the table from a problem to the status it is answered with.
func statusOf(c wire.Code) int {
	switch c {
	case wire.CodeBadRequest:
		return fasthttp.StatusBadRequest
	case wire.CodeUnauthorized:
		return fasthttp.StatusUnauthorized
	case wire.CodeForbidden:
		return fasthttp.StatusForbidden
	case wire.CodeUnknownPrize, wire.CodeNotFound:
		return fasthttp.StatusNotFound
	case wire.CodeMethodNotAllowed:
		return fasthttp.StatusMethodNotAllowed
	case wire.CodeRequestTimeout:
		return fasthttp.StatusRequestTimeout
	case wire.CodeConflict, wire.CodeBelowGranted:
		return fasthttp.StatusConflict
	case wire.CodePreconditionFailed:
		return fasthttp.StatusPreconditionFailed
	case wire.CodeTooLarge:
		return fasthttp.StatusRequestEntityTooLarge
	case wire.CodeUnsupportedMediaType:
		return fasthttp.StatusUnsupportedMediaType
	case wire.CodeInvalid:
		return fasthttp.StatusUnprocessableEntity
	case wire.CodeOverloaded:
		return fasthttp.StatusTooManyRequests
	case wire.CodeHeaderTooLarge:
		return fasthttp.StatusRequestHeaderFieldsTooLarge
	case wire.CodeNoLeader, wire.CodeTimeout, wire.CodeDraining, wire.CodeDiskLow, wire.CodeNotReady:
		return fasthttp.StatusServiceUnavailable
	case wire.CodeUnknownOutcome, wire.CodeUnconfirmed:
		return fasthttp.StatusGatewayTimeout
	default:
		return fasthttp.StatusInternalServerError
	}
}
