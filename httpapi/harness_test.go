package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/valyala/fasthttp/fasthttputil"

	"tombola/httpapi"
	"tombola/httpapi/wire"
)

// api is a server in memory and a client that holds every answer against the
// OpenAPI document.
type api struct {
	t      *testing.T
	fake   *fake
	server *httpapi.Server
	doc    *openapi3.T
	http   *http.Client
	admin  *http.Client // the operators' listener, where it is another
	log    *lockedBuffer
}

// start serves f until the test ends.
func start(t *testing.T, f *fake, configure func(*httpapi.Config)) *api {
	t.Helper()
	a := &api{t: t, fake: f, log: new(lockedBuffer)}
	cfg := httpapi.Config{Backend: f, Metrics: metrics.NewSet(),
		Logger: slog.New(slog.NewTextHandler(a.log, nil)),
		Tokens: httpapi.Tokens{Admin: []string{"admin"}}}
	if configure != nil {
		configure(&cfg)
	}
	s, err := httpapi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a.server = s
	a.http = serve(t, s.Serve)
	a.admin = a.http
	if cfg.SeparateAdmin {
		a.admin = serve(t, s.ServeAdmin)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		a.http.CloseIdleConnections()
		a.admin.CloseIdleConnections()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	resp, err := a.http.Get("http://x/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if a.doc, err = openapi3.NewLoader().LoadFromData(text); err != nil {
		t.Fatal(err)
	}
	return a
}

// serve runs a listener in memory and returns a client for it.
func serve(t *testing.T, run func(net.Listener) error) *http.Client {
	ln := fasthttputil.NewInmemoryListener()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = run(ln)
	}()
	t.Cleanup(func() { <-done })
	return &http.Client{Transport: &http.Transport{
		DisableCompression: true,
		DialContext:        func(context.Context, string, string) (net.Conn, error) { return ln.Dial() },
	}}
}

// answer is an answer that was found to be as documented.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request such as "PUT /admin/v1/prizes/tv" and checks its answer
// against the document. header holds pairs; a body without Content-Type is sent
// as JSON.
func (a *api) do(line, body string, header ...string) answer {
	a.t.Helper()
	method, target, _ := strings.Cut(line, " ")
	client := a.http
	if !strings.HasPrefix(target, "/v1") {
		client = a.admin
	}
	req, err := http.NewRequest(method, "http://x"+target, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i+1] == "" {
			req.Header.Del(header[i])
			continue
		}
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	got := answer{resp.StatusCode, resp.Header, string(text)}
	a.asDocumented(req, body, got)
	return got
}

// asDocumented holds an answer against the document, and a request that was
// accepted as well.
func (a *api) asDocumented(req *http.Request, body string, got answer) {
	a.t.Helper()
	if got.status >= 400 && got.header.Get("Content-Type") != "application/problem+json" {
		a.t.Errorf("%s %s: %d is no problem+json: %q", req.Method, req.URL, got.status, got.body)
	}
	route, params := a.route(req)
	if route == nil {
		return // no such path or method: that it is a problem is all there is to say
	}
	in := &openapi3filter.RequestValidationInput{Request: req, Route: route, PathParams: params,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true}}
	// The document names the type of bodies; that it may be left out is a courtesy.
	typed := body == "" || req.Header.Get("Content-Type") != ""
	if got.status < 300 && req.Method != http.MethodHead && typed {
		req.Body = io.NopCloser(strings.NewReader(body))
		if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
			a.t.Errorf("%s %s was accepted against the document: %v", req.Method, req.URL, err)
		}
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: got.status, Header: got.header, Options: in.Options}
	switch got.header.Get("Content-Type") {
	case "application/json", "application/problem+json":
		out.SetBodyBytes([]byte(got.body))
	default:
		in.Options.ExcludeResponseBody = true
	}
	if err := openapi3filter.ValidateResponse(context.Background(), out); err != nil {
		a.t.Errorf("%s %s: %d %s is not as documented: %v", req.Method, req.URL, got.status, got.body, err)
	}
	a.everyMemberDocumented(route, got)
}

// route finds what the document says about a request.
func (a *api) route(req *http.Request) (*routers.Route, map[string]string) {
	want := strings.Split(req.URL.EscapedPath(), "/")
paths:
	for path, item := range a.doc.Paths.Map() {
		have := strings.Split(path, "/")
		if len(have) != len(want) || item.GetOperation(req.Method) == nil {
			continue
		}
		params := map[string]string{}
		for i, part := range have {
			if name, ok := strings.CutPrefix(part, "{"); ok {
				params[strings.TrimSuffix(name, "}")], _ = url.PathUnescape(want[i])
			} else if part != want[i] {
				continue paths
			}
		}
		return &routers.Route{Spec: a.doc, Path: path, PathItem: item, Method: req.Method, Operation: item.GetOperation(req.Method)}, params
	}
	return nil, nil
}

// wants checks the status.
func (a answer) wants(t *testing.T, status int) answer {
	t.Helper()
	if a.status != status {
		t.Errorf("answered %d %s, want %d", a.status, a.body, status)
	}
	return a
}

// is checks status and body.
func (a answer) is(t *testing.T, status int, body string) {
	t.Helper()
	if a.wants(t, status).body != body {
		t.Errorf("answered\n%s, want\n%s", a.body, body)
	}
}

// refused checks that the answer is a certain problem.
func (a answer) refused(t *testing.T, status int, code wire.Code, field string) answer {
	t.Helper()
	p := a.problem(t)
	if a.status != status || p.Status != status || p.Code != code || p.Field != field {
		t.Errorf("answered %d %s, want %d %s %s", a.status, a.body, status, code, field)
	}
	return a
}

// problem reads the problem in the body.
func (a answer) problem(t *testing.T) *wire.Problem {
	t.Helper()
	p := new(wire.Problem)
	if err := json.Unmarshal([]byte(a.body), p); err != nil {
		t.Errorf("%q is no problem: %v", a.body, err)
	}
	return p
}

// lockedBuffer collects a log.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
