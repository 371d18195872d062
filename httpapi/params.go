package httpapi

import (
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"tombola/httpapi/wire"
)

// keyHeader is the header that may carry a draw's request id.
const keyHeader = "Idempotency-Key"

// smallInt reads a decimal number between 1 and most, without signs or leading
// zeros.
func smallInt(text []byte, most int) (int, bool) {
	if len(text) == 0 || len(text) > 9 || text[0] == '0' {
		return 0, false
	}
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, n <= most
}

// timeoutOf returns how long a call may take.
func timeoutOf(ctx *fasthttp.RequestCtx, usual time.Duration) (time.Duration, bool) {
	text := ctx.Request.Header.Peek(timeoutHeader)
	if text == nil {
		return usual, true
	}
	n, ok := smallInt(text, maxWaitMillis)
	return time.Duration(n) * time.Millisecond, ok
}

// badTimeout is the problem of a time limit that can't be one.
func badTimeout() *wire.Problem {
	return &wire.Problem{Code: wire.CodeInvalid, Field: timeoutHeader, Detail: "must be between 1 and 10000"}
}

// idempotencyKey returns the request id in a header's value: a string of RFC
// 8941 in quotes, or bare. Only escapes make it allocate.
func idempotencyKey(v []byte) ([]byte, bool) {
	if len(v) == 0 || v[0] != '"' {
		return v, wire.ValidRequestID(v)
	}
	if len(v) < 2 || v[len(v)-1] != '"' {
		return nil, false
	}
	v = v[1 : len(v)-1]
	var plain []byte // v up to i without its escapes, once there is one
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c == '"':
			return nil, false
		case c == '\\':
			if i+1 == len(v) || v[i+1] != '"' && v[i+1] != '\\' {
				return nil, false
			}
			if plain == nil {
				plain = append(make([]byte, 0, len(v)), v[:i]...)
			}
			i++
			plain = append(plain, v[i])
		case plain != nil:
			plain = append(plain, c)
		}
	}
	if plain != nil {
		v = plain
	}
	return v, wire.ValidRequestID(v)
}

// change returns who makes a change and under which conditions.
func (c *call) change() (wire.Change, error) {
	ch := wire.Change{Actor: "admin@" + c.http.RemoteIP().String()}
	match := string(c.http.Request.Header.Peek(fasthttp.HeaderIfMatch))
	none := string(c.http.Request.Header.Peek(fasthttp.HeaderIfNoneMatch))
	switch {
	case none == "":
	case none != "*":
		return ch, wire.InvalidField(fasthttp.HeaderIfNoneMatch, `must be "*"`)
	default:
		ch.IfAbsent = true
	}
	switch {
	case match == "":
		return ch, nil
	case match == "*":
		ch.IfExists = true
		return ch, nil
	}
	version, ok := versionOf(match)
	if !ok {
		return ch, wire.InvalidField(fasthttp.HeaderIfMatch, `must be one ETag as it was answered, such as "v3" with its quotes, or *`)
	}
	ch.IfVersion = version
	return ch, nil
}

// versionOf reads an ETag that wire.Definition.ETag wrote.
func versionOf(tag string) (uint64, bool) {
	digits, ok1 := strings.CutPrefix(tag, `"v`)
	digits, ok2 := strings.CutSuffix(digits, `"`)
	v, err := strconv.ParseUint(digits, 10, 64)
	return v, ok1 && ok2 && err == nil && v > 0
}
