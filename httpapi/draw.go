package httpapi

import (
	"bytes"
	"net/url"
	"time"

	"github.com/valyala/fasthttp"

	"tombola/httpapi/wire"
)

// drawCall is everything that one draw needs. It is pooled, so that a draw
// allocates nothing.
type drawCall struct {
	draw    Draw
	request wire.DrawRequest
	answer  wire.DrawAnswer
	problem wire.Problem
	out     []byte
}

// drawPath returns the prize of POST /v1/prizes/{prize}/draw. It aliases the
// request. Paths with percent-encoding are left to the router.
func drawPath(ctx *fasthttp.RequestCtx) ([]byte, bool) {
	const prefix, suffix = "/v1/prizes/", "/draw"
	if !ctx.IsPost() {
		return nil, false
	}
	path := ctx.URI().PathOriginal()
	end := len(path) - len(suffix)
	if end <= len(prefix) || string(path[:len(prefix)]) != prefix || string(path[end:]) != suffix {
		return nil, false
	}
	prize := path[len(prefix):end]
	if bytes.IndexByte(prize, '/') >= 0 || bytes.IndexByte(prize, '%') >= 0 {
		return nil, false
	}
	return prize, true
}

// serveEncodedDraw is the draw for paths with percent-encoding.
func (s *Server) serveEncodedDraw(ctx *fasthttp.RequestCtx) {
	raw, _ := ctx.UserValue("prize").(string)
	prize, _ := url.PathUnescape(raw) // what can't be decoded is no prize id
	s.serveDraw(ctx, []byte(prize))
}

// serveDraw answers one draw. Everything on this path is there once per draw:
// it must not allocate.
func (s *Server) serveDraw(ctx *fasthttp.RequestCtx, prize []byte) {
	c := s.calls.Get().(*drawCall)
	p := s.readDraw(ctx, prize, c)
	if p == nil {
		p = s.decide(c)
	}
	if p == nil {
		a := &c.draw.DrawAnswer
		c.answer = wire.DrawAnswer{
			Outcome: a.Outcome, GrantID: wire.GrantID(a.GrantID), GrantedAt: wire.Time(a.GrantedAt),
			Code: a.Code, Repeat: a.Repeat, Voided: a.Voided,
			Prize: prize, User: c.draw.User, RetryAfter: a.RetryAfter,
		}
		c.out = wire.AppendDrawAnswer(c.out[:0], &c.answer)
		ctx.Response.SetStatusCode(fasthttp.StatusOK)
		ctx.Response.Header.SetContentType(jsonType)
		s.meters.drawn(a.Outcome, wire.NoProblem, time.Since(ctx.Time()))
	} else {
		c.out = writeProblem(ctx, p, c.out[:0])
		s.meters.drawn(0, p.Code, time.Since(ctx.Time()))
	}
	// The copy into the response's own buffer lets c go back right here, while
	// the response is yet to be written.
	ctx.Response.SetBody(c.out)
	c.draw, c.answer, c.problem = Draw{}, wire.DrawAnswer{}, wire.Problem{}
	s.calls.Put(c)
}

// readDraw checks a request and fills c.draw in, or returns what is wrong.
func (s *Server) readDraw(ctx *fasthttp.RequestCtx, prize []byte, c *drawCall) *wire.Problem {
	if len(s.tokens.Load().draw) > 0 {
		if code := s.admit(drawers, s.roleOf(ctx)); code != wire.NoProblem {
			return denied(code)
		}
	}
	h := &ctx.Request.Header
	body := ctx.Request.Body()
	if len(body) > s.limits.DrawBody {
		return wire.NewProblem(wire.CodeTooLarge, "the body is larger than %d bytes", s.limits.DrawBody)
	}
	if !isJSON(h.ContentType()) {
		return notJSON()
	}
	if !wire.ValidPrizeID(prize) {
		return badPrize()
	}
	wait, ok := timeoutOf(ctx, drawWait)
	if !ok {
		return badTimeout()
	}
	if err := wire.ParseDraw(body, &c.request); err != nil {
		return s.asProblem(&route{name: "draw", method: fasthttp.MethodPost}, err)
	}
	id := c.request.RequestID
	if key := h.Peek(keyHeader); key != nil {
		if id, ok = idempotencyKey(key); !ok {
			return wire.InvalidField(keyHeader, "must be 1 to 64 printable ASCII characters, bare or as a quoted string")
		}
		if len(h.PeekAll(keyHeader)) > 1 {
			return wire.InvalidField(keyHeader, "is there twice")
		}
		if c.request.RequestID != nil && !bytes.Equal(id, c.request.RequestID) {
			return wire.InvalidField(keyHeader, "is not the request_id of the body")
		}
	}
	c.draw = Draw{Prize: prize, User: c.request.User, RequestID: id, Timeout: wait}
	return nil
}

// decide lets the backend answer c.draw, unless too many draws are on their way
// already.
func (s *Server) decide(c *drawCall) *wire.Problem {
	defer s.drawing.Add(-1)
	if s.drawing.Add(1) > int64(s.limits.Draws) {
		c.problem = wire.Problem{Code: wire.CodeOverloaded, Detail: "too many draws at once"}
		return &c.problem
	}
	s.cfg.Backend.Draw(&c.draw)
	a := &c.draw.DrawAnswer
	switch {
	case a.Problem != wire.NoProblem && int(a.Problem) < wire.CodeCount:
		c.problem = wire.Problem{Code: a.Problem, Detail: a.Detail, RetryAfter: a.RetryAfter}
		return &c.problem
	case a.Problem != wire.NoProblem, a.Outcome == 0, a.Outcome >= wire.OutcomeCount:
		s.log.Error("httpapi: a draw came back without an outcome", "outcome", int(a.Outcome), "problem", int(a.Problem))
		c.problem = wire.Problem{Code: wire.CodeInternal, Detail: "the draw came back without an outcome"}
		return &c.problem
	}
	return nil
}
