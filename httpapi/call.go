package httpapi

import (
	"bytes"
	"context"
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"

	"tombola/httpapi/wire"
)

// call is one request other than a draw.
type call struct {
	http *fasthttp.RequestCtx
	ctx  context.Context // ends with the call's time limit
	role role
}

// handler answers a call with a status and a body for JSON. A nil body means
// that it has written the answer itself.
type handler func(c *call) (status int, body any, err error)

// wrap puts around a route's handler what all of them need: who may call it,
// its limits, its answer or problem, and the count of it.
func (s *Server) wrap(rt route) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		status, err := s.run(rt, ctx)
		if err != nil {
			s.problem(ctx, rt.name, s.asProblem(&rt, err))
			return
		}
		s.meters.request(rt.name, ctx.Method(), status)
	}
}

// run checks a request against its route and calls the handler.
func (s *Server) run(rt route, ctx *fasthttp.RequestCtx) (int, error) {
	who := s.roleOf(ctx)
	if code := s.admit(rt.access, who); code != wire.NoProblem {
		return 0, denied(code)
	}
	body := ctx.Request.Body()
	if len(body) > rt.body {
		return 0, wire.NewProblem(wire.CodeTooLarge, "the body is larger than %d bytes", rt.body)
	}
	if len(body) > 0 && !isJSON(ctx.Request.Header.ContentType()) {
		return 0, notJSON()
	}
	wait, ok := timeoutOf(ctx, rt.wait)
	if !ok {
		return 0, badTimeout()
	}
	limited, cancel := context.WithTimeout(s.base, wait)
	defer cancel()
	status, out, err := rt.handle(&call{http: ctx, ctx: limited, role: who})
	if err != nil {
		return 0, err
	}
	if out == nil {
		return status, nil
	}
	return status, s.json(ctx, status, out)
}

// denied is the problem of a request whose token does not open its route.
func denied(code wire.Code) *wire.Problem {
	if code == wire.CodeForbidden {
		return &wire.Problem{Code: code, Detail: "this takes the admin token"}
	}
	return &wire.Problem{Code: code, Detail: "this takes a bearer token"}
}

// notJSON is the problem of a body of another type.
func notJSON() *wire.Problem {
	return &wire.Problem{Code: wire.CodeUnsupportedMediaType, Detail: "the body must be application/json"}
}

// isJSON reports whether a Content-Type is JSON. One that is missing is taken
// for it.
func isJSON(contentType []byte) bool {
	if len(contentType) == 0 {
		return true
	}
	media, _, _ := bytes.Cut(contentType, []byte{';'})
	return bytes.EqualFold(bytes.TrimSpace(media), []byte(jsonType))
}

// param returns a parameter of the path, decoded. The router's own string
// aliases the request's buffer.
func (c *call) param(name string) string {
	raw, _ := c.http.UserValue(name).(string)
	v, err := url.PathUnescape(strings.Clone(raw))
	if err != nil {
		return "" // no id is empty, so this is refused as any other
	}
	return v
}

// prize returns the prize id of the path.
func (c *call) prize() (string, error) {
	id := c.param("prize")
	if !wire.ValidPrizeID(id) {
		return "", badPrize()
	}
	return id, nil
}

// badPrize is the problem of a prize id that can't be one.
func badPrize() *wire.Problem {
	return &wire.Problem{Code: wire.CodeInvalid, Field: "prize",
		Detail: "must be 1 to 64 letters, digits, dots, underscores and dashes, the first a letter or digit"}
}

// grant returns the grant id of the path.
func (c *call) grant() (wire.GrantID, error) {
	id, err := wire.ParseGrantID(c.param("grant_id"))
	if err != nil {
		return 0, wire.InvalidField("grant_id", `must look like "1-42"`)
	}
	return id, nil
}

// query returns a parameter of the query, empty when it is not there.
func (c *call) query(name string) string {
	return string(c.http.QueryArgs().Peek(name))
}

// limit returns the parameter limit: how many entries a list may have.
func (c *call) limit() (int, error) {
	const most, usual = 1000, 100
	text := c.query("limit")
	if text == "" {
		return usual, nil
	}
	n, ok := smallInt([]byte(text), most)
	if !ok {
		return 0, wire.InvalidField("limit", "must be between 1 and %d", most)
	}
	return n, nil
}
