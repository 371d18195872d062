package httpapi_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"go.uber.org/goleak"

	"tombola/httpapi"
	"tombola/httpapi/wire"
)

func TestMain(m *testing.M) {
	// fasthttp keeps one goroutine for the header Date for as long as the
	// process runs, and each server's cleaner looks up only every ten seconds
	// to see that its server has stopped.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// listen serves f on a TCP port until the test ends.
func listen(t *testing.T, f *fake, configure func(*httpapi.Config)) (*httpapi.Server, string) {
	t.Helper()
	cfg := httpapi.Config{Backend: f, Metrics: metrics.NewSet(), Logger: slog.New(slog.DiscardHandler),
		Limits: httpapi.Limits{Read: 100 * time.Millisecond}}
	if configure != nil {
		configure(&cfg)
	}
	s, err := httpapi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, httpapi.ErrStopped) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return s, ln.Addr().String()
}

func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

func rawDraw(body string) string {
	return "POST /v1/prizes/tv/draw HTTP/1.1\r\nHost: x\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

// TestTornRequests sends what is not, or not wholly, HTTP. Each gets a problem
// or a closed connection, and the connection is closed in any case.
func TestTornRequests(t *testing.T) {
	f := newFake()
	_, addr := listen(t, f, nil)
	whole := rawDraw(`{"user":"u1"}`)
	for name, c := range map[string]struct {
		send   string
		status int // 0: closed without an answer
		code   wire.Code
	}{
		"nothing":             {"", 0, 0},
		"half a line":         {whole[:10], 400, wire.CodeBadRequest},
		"half a header":       {whole[:45], 400, wire.CodeBadRequest},
		"half a body":         {whole[:len(whole)-3], 400, wire.CodeBadRequest},
		"no HTTP":             {"hello\r\n\r\n", 400, wire.CodeBadRequest},
		"TLS on a plain port": {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, wire.CodeBadRequest},
		"a bad length":        {strings.Replace(whole, "Length: 13", "Length: x", 1), 400, wire.CodeBadRequest},
		"a negative length":   {strings.Replace(whole, "Length: 13", "Length: -1", 1), 400, wire.CodeBadRequest},
		"two lengths":         {strings.Replace(whole, "Host: x", "Content-Length: 5", 1), 400, wire.CodeBadRequest},
		"a huge length":       {strings.Replace(whole, "Length: 13", "Length: 5000", 1), 413, wire.CodeTooLarge},
		"bad chunks":          {strings.Replace(whole, "Content-Length: 13", "Transfer-Encoding: chunked", 1), 400, wire.CodeBadRequest},
		"huge chunks":         {strings.Replace(whole, "Content-Length: 13", "Transfer-Encoding: chunked", 1)[:73] + "5000\r\n" + strings.Repeat("x", 0x5000), 413, wire.CodeTooLarge},
		"a header too large":  {strings.Replace(whole, "Host: x", "Host: x\r\nX: "+strings.Repeat("x", 9000), 1), 431, wire.CodeHeaderTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, addr)
			// The server may have hung up before it was sent everything.
			_, _ = io.WriteString(conn, c.send)
			_ = conn.CloseWrite()
			expectLast(t, conn, c.status, c.code)
		})
	}
	if n := f.drawn(); n != 0 {
		t.Errorf("%d of them reached the backend", n)
	}
}

// expectLast reads the connection's last answer, or its end.
func expectLast(t *testing.T, conn net.Conn, status int, code wire.Code) {
	t.Helper()
	r := bufio.NewReader(conn)
	if status != 0 {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		got := answer{resp.StatusCode, resp.Header, string(body)}
		got.refused(t, status, code, "")
		if resp.Header.Get("Content-Type") != "application/problem+json" || !resp.Close {
			t.Errorf("header %v", resp.Header)
		}
	}
	// A reset is as good an end as a close: the server did not read everything.
	if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
		t.Errorf("then %q, %v", rest, err)
	}
}

func TestSlowRequests(t *testing.T) {
	f := newFake()
	_, addr := listen(t, f, nil)
	whole := rawDraw(`{"user":"u1"}`)
	for name, part := range map[string]string{"header": whole[:30], "body": whole[:len(whole)-3]} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, addr)
			if _, err := io.WriteString(conn, part); err != nil {
				t.Fatal(err)
			}
			expectLast(t, conn, 408, wire.CodeRequestTimeout)
		})
	}
	if n := f.drawn(); n != 0 {
		t.Errorf("%d of them reached the backend", n)
	}
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	f := newFake()
	f.draw = echo
	_, addr := listen(t, f, nil)
	conn := dial(t, addr)
	const n = 50
	var all strings.Builder
	for i := range n {
		all.WriteString(rawDraw(`{"user":"u` + strconv.Itoa(i) + `","request_id":"\u0072` + strconv.Itoa(i) + `"}`))
		all.WriteString("GET /v1/prizes/car HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	if _, err := io.WriteString(conn, all.String()); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	read := func() answer {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		return answer{resp.StatusCode, resp.Header, string(body)}
	}
	for i := range n {
		want := "tv|u" + strconv.Itoa(i) + "|r" + strconv.Itoa(i) + "|1s"
		if got := read().wants(t, 200); !strings.Contains(got.body, want) {
			t.Errorf("%s instead of %s", got.body, want)
		}
		read().refused(t, 404, wire.CodeUnknownPrize, "")
	}
}

// TestBodiesNobodyAskedForAreNoRequests sends a request in the body of another:
// it must not be answered as one of its own.
func TestBodiesNobodyAskedForAreNoRequests(t *testing.T) {
	f := newFake()
	_, addr := listen(t, f, nil)
	inner := rawDraw(`{"user":"u1"}`)
	for _, line := range []string{"GET /livez", "HEAD /livez", "DELETE /admin/v1/prizes/tv", "OPTIONS /livez", "GET /nowhere"} {
		conn := dial(t, addr)
		if _, err := io.WriteString(conn, line+" HTTP/1.1\r\nHost: x\r\nContent-Length: "+strconv.Itoa(len(inner))+
			"\r\n\r\n"+inner+"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(conn); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Fatal(err)
		}
	}
	if n := f.drawn(); n != 0 {
		t.Errorf("%d of them reached the backend", n)
	}
}

// TestExpectContinue asks before sending the body, as some clients do.
func TestExpectContinue(t *testing.T) {
	_, addr := listen(t, newFake(), nil)
	const body = `{"user":"u1"}`
	for length, want := range map[string]string{"13": "HTTP/1.1 200 OK", "5000": "HTTP/1.1 413 "} {
		conn := dial(t, addr)
		if _, err := io.WriteString(conn, "POST /v1/prizes/tv/draw HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+
			"Expect: 100-continue\r\nContent-Length: "+length+"\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(conn)
		if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
			t.Fatalf("%q, %v", line, err)
		}
		_, _ = io.WriteString(conn, body)
		rest, _ := io.ReadAll(r)
		if got := strings.TrimSpace(string(rest)); !strings.HasPrefix(got, want) {
			t.Errorf("%s bytes: %s", length, got)
		}
	}
}

func TestConnectionsBeyondTheLimitAreRefusedAtOnce(t *testing.T) {
	_, addr := listen(t, newFake(), func(c *httpapi.Config) {
		c.Limits.Connections = 2
		c.Limits.Read = 10 * time.Second
	})
	var held []net.Conn
	for range 2 {
		conn := dial(t, addr)
		held = append(held, conn)
		answered(t, conn, 200)
	}
	conn := dial(t, addr)
	expectLast(t, conn, 429, wire.CodeOverloaded)
	_ = held[0].Close()
	// The server notices the free place in its own time.
	for deadline := time.Now().Add(5 * time.Second); ; {
		conn := dial(t, addr)
		if status := ask(conn); status == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a place that was given up is never given away")
		}
	}
}

// ask sends one draw and returns the status, 0 when there was none.
func ask(conn net.Conn) int {
	_, _ = io.WriteString(conn, rawDraw(`{"user":"u1"}`))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

func answered(t *testing.T, conn net.Conn, status int) {
	t.Helper()
	if got := ask(conn); got != status {
		t.Errorf("answered %d, want %d", got, status)
	}
}

func TestShutdownLetsDrawsFinish(t *testing.T) {
	f := newFake()
	arrived, release := make(chan struct{}), make(chan struct{})
	f.draw = func(d *httpapi.Draw) {
		close(arrived)
		<-release
		echo(d)
	}
	s, addr := listen(t, f, nil)
	conn := dial(t, addr)
	status := make(chan int)
	go func() { status <- ask(conn) }()
	<-arrived
	down := make(chan error)
	go func() { down <- s.Shutdown(context.Background()) }()
	for { // until it takes no more connections
		c, err := net.Dial("tcp", addr)
		if err != nil {
			break
		}
		_ = c.Close()
	}
	select {
	case err := <-down:
		t.Fatalf("shut down with a draw under way: %v", err)
	default:
	}
	close(release)
	if got := <-status; got != 200 {
		t.Errorf("the draw was answered %d", got)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(ln); !errors.Is(err, httpapi.ErrStopped) {
		t.Errorf("Serve after Shutdown returned %v", err)
	}
}

func TestShutdownGivesUpWithItsContext(t *testing.T) {
	f := newFake()
	arrived, release := make(chan struct{}), make(chan struct{})
	f.draw = func(d *httpapi.Draw) {
		close(arrived)
		<-release
		echo(d)
	}
	s, addr := listen(t, f, nil)
	conn := dial(t, addr)
	done := make(chan int)
	go func() { done <- ask(conn) }()
	<-arrived
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown returned %v", err)
	}
	close(release)
	<-done
}

func TestAnIncompleteConfigurationIsRefused(t *testing.T) {
	if _, err := httpapi.New(httpapi.Config{}); !errors.Is(err, httpapi.ErrConfig) {
		t.Errorf("New returned %v", err)
	}
	s, _ := listen(t, newFake(), nil)
	if err := s.ServeAdmin(nil); !errors.Is(err, httpapi.ErrConfig) {
		t.Errorf("ServeAdmin returned %v", err)
	}
}
