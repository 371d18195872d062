package httpapi_test

import (
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"

	"tombola/httpapi"
	"tombola/httpapi/wire"
)

// benchServer answers every draw with a grant, or with what f does.
func benchServer(tb testing.TB, tokens httpapi.Tokens, f func(*httpapi.Draw)) *httpapi.Server {
	tb.Helper()
	s, err := httpapi.New(httpapi.Config{Backend: &fixed{draw: f}, Logger: slog.New(slog.DiscardHandler),
		Metrics: metrics.NewSet(), Tokens: tokens})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// fixed is a backend that does nothing but answer draws.
type fixed struct {
	httpapi.Backend
	draw func(*httpapi.Draw)
}

func (f *fixed) Draw(d *httpapi.Draw) { f.draw(d) }

func granted(d *httpapi.Draw) {
	d.Outcome, d.GrantID, d.GrantedAt = wire.Granted, 1<<48|1234567, 1795341600123456
}

func shed(d *httpapi.Draw) { d.Problem, d.Detail = wire.CodeOverloaded, "too many draws wait" }

const benchDraw = "POST /v1/prizes/tv/draw HTTP/1.1\r\nHost: 127.0.0.1:7070\r\nContent-Type: application/json\r\n" +
	"Content-Length: 54\r\n\r\n" + `{"user":"user-0001234567","request_id":"r-0001234567"}`

// script is a connection on which a client sends the same request n times, each
// when the one before has been answered.
type script struct {
	net.Conn
	request []byte
	left    int
	at      int
	status  [12]byte // of the last answer's first line
}

func (c *script) Read(p []byte) (int, error) {
	if c.at == 0 {
		if c.left == 0 {
			return 0, io.EOF
		}
		c.left--
	}
	n := copy(p, c.request[c.at:])
	c.at = (c.at + n) % len(c.request)
	return n, nil
}

func (c *script) Write(p []byte) (int, error)      { copy(c.status[:], p); return len(p), nil }
func (c *script) Close() error                     { return nil }
func (c *script) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (c *script) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (c *script) SetDeadline(time.Time) error      { return nil }
func (c *script) SetReadDeadline(time.Time) error  { return nil }
func (c *script) SetWriteDeadline(time.Time) error { return nil }

// BenchmarkDraw is a whole draw without the network: reading the request,
// handling it and writing the answer. The no-op handler is what fasthttp itself
// costs.
func BenchmarkDraw(b *testing.B) {
	const bearer = "Authorization: Bearer sesame\r\n\r\n"
	withToken := benchDraw[:len(benchDraw)-58] + "\r\n" + bearer + benchDraw[len(benchDraw)-54:]
	for _, c := range []struct {
		name, request, status string
		tokens                httpapi.Tokens
		draw                  func(*httpapi.Draw)
	}{
		{"granted", benchDraw, "200", httpapi.Tokens{}, granted},
		{"shed", benchDraw, "429", httpapi.Tokens{}, shed},
		{"token", withToken, "200", httpapi.Tokens{Draw: []string{"sesame"}}, granted},
	} {
		b.Run(c.name, func(b *testing.B) {
			serveScript(b, benchServer(b, c.tokens, c.draw).Fasthttp(), c.request, c.status)
		})
	}
	b.Run("no-op", func(b *testing.B) {
		serveScript(b, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString(`{"outcome":"granted"}`) },
			ReadTimeout: time.Second, WriteTimeout: time.Second, IdleTimeout: time.Second}, benchDraw, "200")
	})
}

func serveScript(b *testing.B, s *fasthttp.Server, request, status string) {
	b.Helper()
	conn := &script{request: []byte(request), left: b.N}
	b.ReportAllocs()
	b.ResetTimer()
	if err := s.ServeConn(conn); err != nil {
		b.Fatal(err)
	}
	if got := string(conn.status[:]); got != "HTTP/1.1 "+status {
		b.Fatalf("answered %s", got)
	}
}

// BenchmarkDrawHandler is the handler alone.
func BenchmarkDrawHandler(b *testing.B) {
	s := benchServer(b, httpapi.Tokens{}, granted).Fasthttp()
	var ctx fasthttp.RequestCtx
	prepare(&ctx)
	b.ReportAllocs()
	for b.Loop() {
		s.Handler(&ctx)
	}
	if ctx.Response.StatusCode() != 200 {
		b.Fatal(ctx.Response.String())
	}
}

func prepare(ctx *fasthttp.RequestCtx) {
	ctx.Request.Header.SetMethod("POST")
	ctx.Request.SetRequestURI("/v1/prizes/tv/draw")
	ctx.Request.Header.SetContentType("application/json")
	ctx.Request.SetBodyString(`{"user":"user-0001234567","request_id":"r-0001234567"}`)
}

func TestADrawAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	for name, draw := range map[string]func(*httpapi.Draw){"granted": granted, "shed": shed} {
		s := benchServer(t, httpapi.Tokens{}, draw).Fasthttp()
		var ctx fasthttp.RequestCtx
		prepare(&ctx)
		s.Handler(&ctx)
		if got := testing.AllocsPerRun(1000, func() { s.Handler(&ctx) }); got != 0 {
			t.Errorf("%s: %v allocations a draw", name, got)
		}
	}
}
