package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"tombola/httpapi"
	"tombola/httpapi/wire"
)

const (
	adminAuth = "Bearer admin"
	auth      = "Authorization"
)

func TestTheDocumentIsValid(t *testing.T) {
	a := start(t, newFake(), nil)
	if err := a.doc.Validate(context.Background(), openapi3.IsOpenAPI31OrLater()); err != nil {
		t.Fatal(err)
	}
	if got := a.doc.OpenAPI; got != "3.1.0" {
		t.Errorf("it is of version %s", got)
	}
}

func TestTheDocumentNamesEveryCodeAndOutcome(t *testing.T) {
	a := start(t, newFake(), nil)
	enum := func(schema, member string) []any {
		return a.doc.Components.Schemas[schema].Value.Properties[member].Value.Enum
	}
	for c := wire.CodeBadRequest; int(c) < wire.CodeCount; c++ {
		if !slices.Contains(enum("Problem", "code"), any(c.String())) {
			t.Errorf("the code %s is not documented", c)
		}
	}
	for o := wire.Granted; o < wire.OutcomeCount; o++ {
		if !slices.Contains(enum("DrawAnswer", "outcome"), any(o.String())) {
			t.Errorf("the outcome %s is not documented", o)
		}
	}
}

// TestEveryDocumentedCallExists sends every call of the document, so that
// together with the harness document and table of routes can't drift apart.
func TestEveryDocumentedCallExists(t *testing.T) {
	a := start(t, newFake(), nil)
	fill := strings.NewReplacer("{prize}", "tv", "{grant_id}", "1-42", "{user}", "u1", "{profile}", "goroutine")
	for path, item := range a.doc.Paths.Map() {
		for method := range item.Operations() {
			got := a.do(method+" "+fill.Replace(path), "", auth, adminAuth)
			if got.status == 404 || got.status == 405 {
				t.Errorf("%s %s: %d", method, path, got.status)
			}
		}
		got := a.do("OPTIONS "+fill.Replace(path), "")
		for method := range item.Operations() {
			if got.status != 204 || !strings.Contains(got.header.Get("Allow"), method) {
				t.Errorf("OPTIONS %s: %d %q lacks %s", path, got.status, got.header.Get("Allow"), method)
			}
		}
	}
}

func TestDrawAnswersByOutcome(t *testing.T) {
	f := newFake()
	a := start(t, f, nil)
	draw := func(with httpapi.DrawAnswer) answer {
		f.draw = func(d *httpapi.Draw) { d.DrawAnswer = with }
		return a.do("POST /v1/prizes/tv/draw", `{"user":"u1","request_id":"r1"}`)
	}
	granted := httpapi.DrawAnswer{Outcome: wire.Granted, GrantID: 1<<48 | 42, GrantedAt: 1795341600123456}
	draw(granted).is(t, 200, `{"outcome":"granted","grant_id":"1-42","prize":"tv","user":"u1","granted_at":"2026-11-22T10:00:00.123456Z","repeat":false}`)
	granted.Repeat, granted.Voided, granted.Code = true, true, []byte("AB12")
	draw(granted).is(t, 200, `{"outcome":"granted","grant_id":"1-42","prize":"tv","user":"u1","code":"AB12","granted_at":"2026-11-22T10:00:00.123456Z","repeat":true,"voided":true}`)
	for o := wire.SoldOut; o < wire.NotReleased; o++ {
		draw(httpapi.DrawAnswer{Outcome: o}).is(t, 200, `{"outcome":"`+o.String()+`","prize":"tv","user":"u1"}`)
	}
	draw(httpapi.DrawAnswer{Outcome: wire.NotReleased, RetryAfter: 1500 * time.Microsecond}).
		is(t, 200, `{"outcome":"not_released","prize":"tv","user":"u1","retry_after_ms":2}`)
}

func TestDrawAnswersByProblem(t *testing.T) {
	f := newFake()
	a := start(t, f, nil)
	for code, want := range map[wire.Code]int{
		wire.CodeUnknownPrize: 404, wire.CodeOverloaded: 429, wire.CodeNoLeader: 503, wire.CodeTimeout: 503,
		wire.CodeDraining: 503, wire.CodeDiskLow: 503, wire.CodeUnknownOutcome: 504, wire.CodeInternal: 500,
	} {
		f.draw = func(d *httpapi.Draw) { d.Problem, d.Detail = code, `because of "<this>"` }
		got := a.do("POST /v1/prizes/tv/draw", `{"user":"u1"}`)
		p := got.problem(t)
		if got.status != want || p.Code != code || p.Status != want || p.Detail != `because of "<this>"` {
			t.Errorf("%s: %d %s", code, got.status, got.body)
		}
		if wantRetry := code == wire.CodeOverloaded; (got.header.Get("Retry-After") != "") != wantRetry {
			t.Errorf("%s: Retry-After %q", code, got.header.Get("Retry-After"))
		}
	}
	f.draw = func(*httpapi.Draw) {}
	a.do("POST /v1/prizes/tv/draw", `{"user":"u1"}`).refused(t, 500, wire.CodeInternal, "")
}

func TestDrawPassesOnWhatWasAsked(t *testing.T) {
	f := newFake()
	f.draw = echo
	a := start(t, f, nil)
	for _, c := range []struct{ body, key, timeout, want string }{
		{`{"user":"u1"}`, "", "", "tv|u1||1s"},
		{`{"request_id":"r1","user":"u1","quantity":1}`, "", "250", "tv|u1|r1|250ms"},
		{` { "user" : "\u00fc\"<\/\ud83d\ude00" } `, "", "10000", `tv|ü"</😀||10s`},
		{`{"user":"u1"}`, "r2", "", "tv|u1|r2|1s"},
		{`{"user":"u1"}`, `"r 2"`, "", "tv|u1|r 2|1s"},
		{`{"user":"u1"}`, `"r\"\\2"`, "", `tv|u1|r"\2|1s`},
		{`{"user":"u1","request_id":"r3"}`, `"r3"`, "", "tv|u1|r3|1s"},
		{`{"user":"u1","request_id":"r3"}`, `r3`, "", "tv|u1|r3|1s"},
	} {
		for _, path := range []string{"/v1/prizes/tv/draw", "/v1/prizes/t%76/draw"} {
			got := a.do("POST "+path, c.body, "Idempotency-Key", c.key, "Tombola-Timeout-Ms", c.timeout)
			var r wire.DrawResult
			if err := json.Unmarshal([]byte(got.body), &r); err != nil || r.Code != c.want {
				t.Errorf("%s %+v: %d %s", path, c, got.status, got.body)
			}
			if r.GrantID.String() != "1-42" || r.GrantedAt.String() != "2026-11-22T10:00:00.123456Z" {
				t.Errorf("%s", got.body)
			}
		}
	}
}

func TestContentTypeMayBeMissing(t *testing.T) {
	a := start(t, newFake(), nil)
	for _, ct := range []string{"", "application/json", "Application/JSON; charset=utf-8"} {
		a.do("POST /v1/prizes/tv/draw", `{"user":"u1"}`, "Content-Type", "", "Content-Type", ct).wants(t, 200)
	}
	for _, ct := range []string{"text/plain", "application/x-www-form-urlencoded", "application/jsonx"} {
		a.do("POST /v1/prizes/tv/draw", `{"user":"u1"}`, "Content-Type", "", "Content-Type", ct).
			refused(t, 415, wire.CodeUnsupportedMediaType, "")
	}
}

func TestPrizeLifeWithETags(t *testing.T) {
	f := newFake()
	a := start(t, f, nil)
	const line = "/admin/v1/prizes/car"
	admin := func(method, body string, header ...string) answer {
		return a.do(method+" "+line, body, append(header, auth, adminAuth)...)
	}
	admin("PUT", `{"total":10}`, "If-Match", "*").refused(t, 412, wire.CodePreconditionFailed, "")
	got := admin("PUT", `{"total":10,"daily_limit":null,"release":{"per_second":0.25}}`, "If-None-Match", "*").wants(t, 201)
	var d wire.Definition
	if err := json.Unmarshal([]byte(got.body), &d); err != nil {
		t.Fatal(err)
	}
	if d.Kind != "counter" || d.Timezone != "UTC" || d.DailyLimit != nil || *d.Release != (wire.Release{PerSecond: 250, Burst: 1}) {
		t.Errorf("defaults: %s", got.body)
	}
	if got.header.Get("ETag") != `"v1"` || !strings.HasPrefix(f.change.Actor, "admin@") {
		t.Errorf("ETag %s, actor %q", got.header.Get("ETag"), f.change.Actor)
	}
	admin("PUT", `{"total":10}`, "If-None-Match", "*").refused(t, 412, wire.CodePreconditionFailed, "")
	admin("PUT", `{"total":600,"daily_limit":7}`, "If-Match", `"v1"`).wants(t, 200)
	admin("PATCH", `{"total":700}`, "If-Match", `"v1"`).refused(t, 412, wire.CodePreconditionFailed, "")
	admin("PATCH", `{"total":700}`, "If-Match", `v1`).refused(t, 422, wire.CodeInvalid, "If-Match")
	admin("PATCH", `{"total":700}`, "If-None-Match", `"v1"`).refused(t, 422, wire.CodeInvalid, "If-None-Match")
	got = admin("PATCH", `{"total":700,"daily_limit":null,"status":"paused"}`, "If-Match", `"v2"`).wants(t, 200)
	if !strings.Contains(got.body, `"daily_limit":null`) || !strings.Contains(got.body, `"status":"paused"`) || got.header.Get("ETag") != `"v3"` {
		t.Errorf("patched: %s", got.body)
	}
	if p := admin("PATCH", `{"total":499}`).refused(t, 409, wire.CodeBelowGranted, "").problem(t); p.Granted == nil || *p.Granted != 500 {
		t.Errorf("below_granted without granted")
	}
	admin("DELETE", "").wants(t, 200)
	f.err = &wire.Problem{Code: wire.CodeUnconfirmed, Slices: []uint16{2, 3}}
	if p := admin("DELETE", "").refused(t, 504, wire.CodeUnconfirmed, "").problem(t); !slices.Equal(p.Slices, []uint16{2, 3}) {
		t.Errorf("unconfirmed names %v", p.Slices)
	}
}

func TestReads(t *testing.T) {
	a := start(t, newFake(), nil)
	for _, line := range []string{
		"GET /v1/prizes/tv", "GET /v1/grants/1-42", "GET /v1/users/u%2F%20%C3%A9/grants?prize=tv&limit=1",
		"GET /livez", "GET /healthz", "GET /readyz", "GET /readyz?verbose", "GET /metrics", "GET /openapi.yaml",
		"GET /admin/v1/prizes", "GET /admin/v1/prizes?cursor=tv&limit=1000", "GET /admin/v1/prizes/tv",
		"GET /admin/v1/cluster", "GET /admin/v1/audit?prize=tv", "GET /admin/v1/audit?cursor=9&limit=2", "GET /admin/v1/verify",
		"GET /debug/pprof", "GET /debug/pprof/heap", "HEAD /readyz", "HEAD /v1/prizes/tv",
	} {
		got := a.do(line, "", auth, adminAuth).wants(t, 200)
		if got.body == "" != strings.HasPrefix(line, "HEAD") {
			t.Errorf("%s: body %q", line, got.body)
		}
	}
	if got := a.do("GET /v1/users/u%2F%20%C3%A9/grants", ""); !strings.Contains(got.body, `"user":"u/ é"`) {
		t.Errorf("the user came through as %s", got.body)
	}
	got := a.do("GET /metrics", "")
	for _, want := range []string{"tombola_draws_total{", `tombola_http_requests_total{route="prize",method="GET",status="200"} 1`, "tombola_draw_duration_seconds_bucket",
		`tombola_http_connections{listener="public"}`, "tombola_draws_in_progress 0"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("no %s in the metrics:\n%s", want, got.body)
		}
	}
}

func TestVoid(t *testing.T) {
	a := start(t, newFake(), nil)
	const line = "POST /admin/v1/grants/1-42/void"
	a.do(line, "", auth, adminAuth).wants(t, 200)
	a.do(line, `{"restock":false}`, auth, adminAuth).wants(t, 200)
	a.do(line, `{"restock":true}`, auth, adminAuth).refused(t, 409, wire.CodeConflict, "")
	a.do("POST /admin/v1/grants/1-43/void", "", auth, adminAuth).refused(t, 404, wire.CodeNotFound, "")
}

func TestReadiness(t *testing.T) {
	f := newFake()
	a := start(t, f, nil)
	a.do("GET /readyz", "").is(t, 200, `{"ready":true}`)
	a.do("GET /readyz?verbose", "").is(t, 200, `{"ready":true,"checks":[{"name":"clock","ok":true},{"name":"sink","ok":false,"detail":"\"away\""}]}`)
	f.ready.Ready = false
	a.do("GET /readyz", "").refused(t, 503, wire.CodeNotReady, "")
	f.ready.Code = wire.CodeDiskLow
	if p := a.do("GET /readyz?verbose", "").refused(t, 503, wire.CodeDiskLow, "").problem(t); len(p.Checks) != 2 || p.Checks[1].Detail != `"away"` {
		t.Errorf("checks %+v", p.Checks)
	}
	f.ready.Ready = true
	a.server.Drain()
	a.do("GET /readyz", "").refused(t, 503, wire.CodeDraining, "")
	a.do("GET /livez", "").wants(t, 200)
	a.do("POST /v1/prizes/tv/draw", `{"user":"u1"}`).wants(t, 200)
}

func TestFaultsOfTheServerStayInItsLog(t *testing.T) {
	f := newFake()
	a := start(t, f, nil)
	f.err = fmt.Errorf("persist: read: %w", errBroken)
	if got := a.do("GET /v1/prizes/tv", "").refused(t, 500, wire.CodeInternal, ""); strings.Contains(got.body, "disk") {
		t.Errorf("the client is told %s", got.body)
	}
	if !strings.Contains(a.log.String(), errBroken.Error()) {
		t.Errorf("the log has %q", a.log)
	}
	f.err = fmt.Errorf("node: ask: %w", context.DeadlineExceeded)
	a.do("GET /v1/prizes/tv", "").refused(t, 503, wire.CodeTimeout, "")
	// A change may have been made all the same.
	a.do("PUT /admin/v1/prizes/tv", `{"total":5}`, auth, adminAuth).refused(t, 504, wire.CodeUnknownOutcome, "")
	f.draw = func(*httpapi.Draw) { panic("at the disco") }
	a.do("POST /v1/prizes/tv/draw", `{"user":"u1"}`).refused(t, 500, wire.CodeInternal, "")
	if !strings.Contains(a.log.String(), "at the disco") {
		t.Errorf("the log has %q", a.log)
	}
	f.draw = echo
	a.do("POST /v1/prizes/tv/draw", `{"user":"u1"}`).wants(t, http.StatusOK)
}
