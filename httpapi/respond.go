package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"tombola/httpapi/wire"
)

// The content types of answers.
const (
	jsonType    = "application/json"
	problemType = "application/problem+json"
)

// json answers with v as JSON.
func (s *Server) json(ctx *fasthttp.RequestCtx, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	ctx.SetStatusCode(status)
	ctx.Response.Header.SetContentType(jsonType)
	ctx.Response.SetBodyRaw(body)
	return nil
}

// problem answers with p and counts it for route.
func (s *Server) problem(ctx *fasthttp.RequestCtx, route string, p *wire.Problem) {
	ctx.Response.SetBodyRaw(writeProblem(ctx, p, make([]byte, 0, 256)))
	s.meters.request(route, ctx.Method(), ctx.Response.StatusCode())
}

// writeProblem sets the status and header for p and appends its body to dst.
// p is only read: a backend may answer everybody with the same one.
func writeProblem(ctx *fasthttp.RequestCtx, p *wire.Problem, dst []byte) []byte {
	out := *p
	out.Status = statusOf(p.Code)
	h := &ctx.Response.Header
	ctx.Response.SetStatusCode(out.Status)
	h.SetContentType(problemType)
	switch {
	case p.Code == wire.CodeUnauthorized:
		h.Set(fasthttp.HeaderWWWAuthenticate, `Bearer realm="tombola"`)
	case p.Code == wire.CodeOverloaded && p.RetryAfter <= 0:
		out.RetryAfter = time.Second
	}
	if out.RetryAfter > 0 {
		seconds := (out.RetryAfter + time.Second - 1) / time.Second
		var buf [20]byte
		h.SetBytesV(fasthttp.HeaderRetryAfter, strconv.AppendInt(buf[:0], int64(seconds), 10))
	}
	return wire.AppendProblem(dst, &out, fasthttp.StatusMessage(out.Status))
}

// asProblem turns any error of a backend into a problem. What is not meant for
// clients is logged and stays here. A change whose time ran out may have been
// made, so it must not be answered with a problem that says it was not.
func (s *Server) asProblem(rt *route, err error) *wire.Problem {
	var p *wire.Problem
	late, stopped := errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled)
	switch {
	case errors.As(err, &p):
		return p
	case (late || stopped) && rt.method != fasthttp.MethodGet:
		return wire.NewProblem(wire.CodeUnknownOutcome, "it may or may not have been done")
	case late:
		return wire.NewProblem(wire.CodeTimeout, "not answered in time")
	case stopped:
		return wire.NewProblem(wire.CodeDraining, "the node is stopping")
	}
	s.log.Error("httpapi: call failed", "route", rt.name, "error", err)
	return wire.NewProblem(wire.CodeInternal, "a fault of the server; it is in its log")
}

// notFound answers for paths that are not in the table.
func (s *Server) notFound(ctx *fasthttp.RequestCtx) {
	s.problem(ctx, "none", &wire.Problem{Code: wire.CodeNotFound, Detail: "there is no such path"})
}

// methodNotAllowed answers for methods that a path does not have; the router
// has set Allow.
func (s *Server) methodNotAllowed(ctx *fasthttp.RequestCtx) {
	s.problem(ctx, "none", &wire.Problem{Code: wire.CodeMethodNotAllowed, Detail: "the header Allow lists the methods of this path"})
}

// options answers OPTIONS; the router has set Allow.
func (s *Server) options(ctx *fasthttp.RequestCtx) {
	ctx.SetStatusCode(fasthttp.StatusNoContent)
	s.meters.request("none", ctx.Method(), fasthttp.StatusNoContent)
}

// unreadable answers requests that fasthttp could not read. The connection is
// closed after it, since nobody knows where the next request begins.
func (s *Server) unreadable(ctx *fasthttp.RequestCtx, err error) {
	var small *fasthttp.ErrSmallBuffer
	var timeout net.Error
	p := &wire.Problem{Code: wire.CodeBadRequest, Detail: "the request is not HTTP, or broke off"}
	switch {
	case errors.As(err, &small):
		p = &wire.Problem{Code: wire.CodeHeaderTooLarge, Detail: "the header is larger than " + strconv.Itoa(s.limits.Header) + " bytes"}
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		p = &wire.Problem{Code: wire.CodeTooLarge, Detail: "the body is larger than this call takes"}
		lingerOn(ctx.Conn())
	case errors.As(err, &timeout) && timeout.Timeout():
		p = &wire.Problem{Code: wire.CodeRequestTimeout, Detail: "the request did not arrive in time"}
	}
	ctx.Response.Reset()
	s.problem(ctx, "unreadable", p)
}
