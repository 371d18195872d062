package httpapi_test

import (
	"strings"
	"testing"

	"tombola/httpapi"
	"tombola/httpapi/wire"
)

// TestBadDraws sends every kind of bad draw: each has its problem, and none
// reaches the backend.
func TestBadDraws(t *testing.T) {
	f := newFake()
	a := start(t, f, nil)
	const ok = `{"user":"u1"}`
	long := strings.Repeat("x", 4096)
	for _, c := range []struct {
		prize, body string
		header      string // one line
		status      int
		code        wire.Code
		field       string
	}{
		{"tv", ``, "", 400, wire.CodeBadRequest, ""},
		{"tv", `hello`, "", 400, wire.CodeBadRequest, ""},
		{"tv", `{"user":"u1"`, "", 400, wire.CodeBadRequest, ""},
		{"tv", `{"user":"u1"}}`, "", 400, wire.CodeBadRequest, ""},
		{"tv", `{"user":"u1",}`, "", 400, wire.CodeBadRequest, ""},
		{"tv", `{"user":"u1"} {"user":"u1"}`, "", 400, wire.CodeBadRequest, ""},
		{"tv", `{'user':'u1'}`, "", 400, wire.CodeBadRequest, ""},
		{"tv", `{"user":"` + "u\x01" + `"}`, "", 400, wire.CodeBadRequest, ""},
		{"tv", `{"user":"` + "\xff" + `"}`, "", 400, wire.CodeBadRequest, ""},
		{"tv", `["u1"]`, "", 400, wire.CodeBadRequest, ""},
		{"tv", `null`, "", 400, wire.CodeBadRequest, ""},

		{"tv", `{}`, "", 422, wire.CodeInvalid, "user"},
		{"tv", `{"request_id":"r"}`, "", 422, wire.CodeInvalid, "user"},
		{"tv", `{"user":7}`, "", 422, wire.CodeInvalid, "user"},
		{"tv", `{"user":null}`, "", 422, wire.CodeInvalid, "user"},
		{"tv", `{"user":{"id":"u1"}}`, "", 422, wire.CodeInvalid, "user"},
		{"tv", `{"user":""}`, "", 422, wire.CodeInvalid, "user"},
		{"tv", `{"user":" u1"}`, "", 422, wire.CodeInvalid, "user"},
		{"tv", `{"user":"u1\u2003"}`, "", 422, wire.CodeInvalid, "user"},
		{"tv", `{"user":"u\n1"}`, "", 422, wire.CodeInvalid, "user"},
		{"tv", `{"user":"u\u00851"}`, "", 422, wire.CodeInvalid, "user"},
		{"tv", `{"user":"\ud800"}`, "", 422, wire.CodeInvalid, "user"},
		{"tv", `{"user":"` + long[:129] + `"}`, "", 422, wire.CodeInvalid, "user"},
		{"tv", `{"user":"u1","user":"u1"}`, "", 422, wire.CodeInvalid, "user"},
		{"tv", `{"user":"u1","us\u0065r":"u2"}`, "", 422, wire.CodeInvalid, "user"},
		{"tv", `{"User":"u1"}`, "", 422, wire.CodeInvalid, "User"},
		{"tv", `{"user":"u1","prize":"tv"}`, "", 422, wire.CodeInvalid, "prize"},
		{"tv", `{"user":"u1","request_id":7}`, "", 422, wire.CodeInvalid, "request_id"},
		{"tv", `{"user":"u1","request_id":""}`, "", 422, wire.CodeInvalid, "request_id"},
		{"tv", `{"user":"u1","request_id":"é"}`, "", 422, wire.CodeInvalid, "request_id"},
		{"tv", `{"user":"u1","request_id":"` + long[:65] + `"}`, "", 422, wire.CodeInvalid, "request_id"},
		{"tv", `{"user":"u1","quantity":0}`, "", 422, wire.CodeInvalid, "quantity"},
		{"tv", `{"user":"u1","quantity":-1}`, "", 422, wire.CodeInvalid, "quantity"},
		{"tv", `{"user":"u1","quantity":2}`, "", 422, wire.CodeInvalid, "quantity"},
		{"tv", `{"user":"u1","quantity":1e99}`, "", 422, wire.CodeInvalid, "quantity"},
		{"tv", `{"user":"u1","quantity":"1"}`, "", 422, wire.CodeInvalid, "quantity"},

		{"-tv", ok, "", 422, wire.CodeInvalid, "prize"},
		{"t%00v", ok, "", 422, wire.CodeInvalid, "prize"},
		{"t%2Fv", ok, "", 422, wire.CodeInvalid, "prize"},
		{long[:65], ok, "", 422, wire.CodeInvalid, "prize"},

		{"tv", ok, "Idempotency-Key: é", 422, wire.CodeInvalid, "Idempotency-Key"},
		{"tv", ok, `Idempotency-Key: "open`, 422, wire.CodeInvalid, "Idempotency-Key"},
		{"tv", ok, `Idempotency-Key: "a"b"`, 422, wire.CodeInvalid, "Idempotency-Key"},
		{"tv", ok, `Idempotency-Key: "a\b"`, 422, wire.CodeInvalid, "Idempotency-Key"},
		{"tv", ok, `Idempotency-Key: ""`, 422, wire.CodeInvalid, "Idempotency-Key"},
		{"tv", ok, "Idempotency-Key: " + long[:65], 422, wire.CodeInvalid, "Idempotency-Key"},
		{"tv", `{"user":"u1","request_id":"a"}`, "Idempotency-Key: b", 422, wire.CodeInvalid, "Idempotency-Key"},
		{"tv", ok, "Tombola-Timeout-Ms: 0", 422, wire.CodeInvalid, "Tombola-Timeout-Ms"},
		{"tv", ok, "Tombola-Timeout-Ms: 10001", 422, wire.CodeInvalid, "Tombola-Timeout-Ms"},
		{"tv", ok, "Tombola-Timeout-Ms: 1s", 422, wire.CodeInvalid, "Tombola-Timeout-Ms"},
		{"tv", ok, "Tombola-Timeout-Ms: -1", 422, wire.CodeInvalid, "Tombola-Timeout-Ms"},

		{"tv", `{"user":"` + long + `"}`, "", 413, wire.CodeTooLarge, ""},
		{"tv", ok, "Cookie: " + long + long + long, 431, wire.CodeHeaderTooLarge, ""},
	} {
		var header []string
		if name, value, found := strings.Cut(c.header, ": "); found {
			header = []string{name, value}
		}
		t.Run(strings.ToValidUTF8(c.prize[:min(len(c.prize), 9)]+" "+c.body[:min(len(c.body), 40)]+" "+c.header[:min(len(c.header), 30)], "?"), func(t *testing.T) {
			a.t = t
			a.do("POST /v1/prizes/"+c.prize+"/draw", c.body, header...).refused(t, c.status, c.code, c.field)
		})
	}
	a.t = t
	a.do("POST /v1/prizes/tv/draw", ok, "Idempotency-Key", "a", "Idempotency-Key", "b").refused(t, 422, wire.CodeInvalid, "Idempotency-Key")
	if n := f.drawn(); n != 0 {
		t.Errorf("%d of them reached the backend", n)
	}
}

// TestBadDefinitions sends every kind of bad definition; the prize stays as it
// was.
func TestBadDefinitions(t *testing.T) {
	f := newFake()
	a := start(t, f, nil)
	for _, c := range []struct {
		body, field string
	}{
		{`{"total":0}`, "total"}, {`{"total":-1}`, "total"}, {`{"total":1000000000001}`, "total"},
		{`{"total":99999999999999999999}`, "total"}, {`{"total":1.5}`, "total"}, {`{"total":1e3}`, "total"},
		{`{"total":"5"}`, "total"}, {`{"total":null}`, "total"}, {`{"total":true}`, "total"},
		{`{"total":5,"total":6}`, "total"}, {`{"Total":5}`, "Total"}, {`{"total":5,"colour":"red"}`, "colour"},
		{`{"total":5,"prize":"tv"}`, "prize"},
		{`{"total":5,"kind":"code"}`, "kind"}, {`{"total":5,"kind":null}`, "kind"}, {`{"total":5,"kind":7}`, "kind"},
		{`{"total":5,"daily_limit":0}`, "daily_limit"}, {`{"total":5,"daily_limit":-3}`, "daily_limit"},
		{`{"total":5,"daily_limit":"1"}`, "daily_limit"}, {`{"total":5,"per_user_limit":0}`, "per_user_limit"},
		{`{"total":5,"per_user_limit":10000000000}`, "per_user_limit"},
		{`{"total":5,"timezone":""}`, "timezone"}, {`{"total":5,"timezone":"Local"}`, "timezone"},
		{`{"total":5,"timezone":"Mars/Olympus"}`, "timezone"}, {`{"total":5,"timezone":"../etc/passwd"}`, "timezone"},
		{`{"total":5,"timezone":"right/UTC"}`, "timezone"}, {`{"total":5,"timezone":3}`, "timezone"},
		{`{"total":5,"starts_at":"yesterday"}`, "starts_at"}, {`{"total":5,"starts_at":1700000000}`, "starts_at"},
		{`{"total":5,"starts_at":"1970-01-01T00:00:00Z"}`, "starts_at"}, {`{"total":5,"ends_at":"2026-13-01T00:00:00Z"}`, "ends_at"},
		{`{"total":5,"starts_at":"2026-11-22T00:00:00Z","ends_at":"2026-11-22T01:00:00+01:00"}`, "ends_at"},
		{`{"total":5,"release":5}`, "release"}, {`{"total":5,"release":[]}`, "release"},
		{`{"total":5,"release":{}}`, "release.per_second"}, {`{"total":5,"release":{"per_second":0}}`, "release.per_second"},
		{`{"total":5,"release":{"per_second":-1}}`, "release.per_second"}, {`{"total":5,"release":{"per_second":0.0001}}`, "release.per_second"},
		{`{"total":5,"release":{"per_second":1000000001}}`, "release.per_second"}, {`{"total":5,"release":{"per_second":1e2}}`, "release.per_second"},
		{`{"total":5,"release":{"per_second":1,"burst":0}}`, "release.burst"}, {`{"total":5,"release":{"per_second":1,"burst":1.5}}`, "release.burst"},
		{`{"total":5,"release":{"per_second":1,"per_second":2}}`, "release.per_second"}, {`{"total":5,"release":{"per_second":1,"x":2}}`, "release.x"},
	} {
		for _, method := range []string{"PUT", "PATCH"} {
			a.do(method+" /admin/v1/prizes/tv", c.body, auth, adminAuth).refused(t, 422, wire.CodeInvalid, c.field)
		}
	}
	for _, body := range []string{``, `x`, `[]`, `null`, `{"total":5`, `{"total":5}{}`, `{"total":05}`, "{\"timezone\":\"\xff\"}"} {
		for _, method := range []string{"PUT", "PATCH"} {
			a.do(method+" /admin/v1/prizes/tv", body, auth, adminAuth).refused(t, 400, wire.CodeBadRequest, "")
		}
	}
	a.do("PUT /admin/v1/prizes/tv", `{"daily_limit":5}`, auth, adminAuth).refused(t, 422, wire.CodeInvalid, "total")
	a.do("PUT /admin/v1/prizes/tv", `{"total":5,"status":"active"}`, auth, adminAuth).refused(t, 422, wire.CodeInvalid, "status")
	for _, status := range []string{`"deleted"`, `"open"`, `null`, `1`} {
		a.do("PATCH /admin/v1/prizes/tv", `{"status":`+status+`}`, auth, adminAuth).refused(t, 422, wire.CodeInvalid, "status")
	}
	a.do("PUT /admin/v1/prizes/tv", `{"total":5}`, auth, adminAuth, "Content-Type", "", "Content-Type", "text/plain").
		refused(t, 415, wire.CodeUnsupportedMediaType, "")
	a.do("PUT /admin/v1/prizes/tv", strings.Repeat(" ", 70<<10), auth, adminAuth).refused(t, 413, wire.CodeTooLarge, "")
	a.do("PUT /admin/v1/prizes/-tv", `{"total":5}`, auth, adminAuth).refused(t, 422, wire.CodeInvalid, "prize")
	if f.prizes["tv"].Version != 1 || len(f.prizes) != 1 {
		t.Errorf("something changed: %+v", f.prizes)
	}
}

func TestBadReads(t *testing.T) {
	a := start(t, newFake(), nil)
	for _, c := range []struct {
		line   string
		status int
		code   wire.Code
		field  string
	}{
		{"GET /v1/prizes/car", 404, wire.CodeUnknownPrize, ""},
		{"GET /v1/prizes/.car", 422, wire.CodeInvalid, "prize"},
		{"GET /v1/grants/1-43", 404, wire.CodeNotFound, ""},
		{"GET /v1/grants/42", 422, wire.CodeInvalid, "grant_id"},
		{"GET /v1/grants/01-42", 422, wire.CodeInvalid, "grant_id"},
		{"GET /v1/grants/32768-1", 422, wire.CodeInvalid, "grant_id"},
		{"GET /v1/users/%20u/grants", 422, wire.CodeInvalid, "user"},
		{"GET /v1/users/%FF/grants", 422, wire.CodeInvalid, "user"},
		{"GET /v1/users/u/grants?prize=!", 422, wire.CodeInvalid, "prize"},
		{"GET /v1/users/u/grants?limit=0", 422, wire.CodeInvalid, "limit"},
		{"GET /v1/users/u/grants?limit=1001", 422, wire.CodeInvalid, "limit"},
		{"GET /admin/v1/prizes?limit=x", 422, wire.CodeInvalid, "limit"},
		{"GET /admin/v1/prizes?cursor=!", 422, wire.CodeInvalid, "cursor"},
		{"GET /admin/v1/audit?cursor=0", 422, wire.CodeInvalid, "cursor"},
		{"GET /admin/v1/audit?limit=-1", 422, wire.CodeInvalid, "limit"},
		{"GET /admin/v1/audit?prize=!", 422, wire.CodeInvalid, "prize"},
		{"POST /admin/v1/grants/x/void", 422, wire.CodeInvalid, "grant_id"},
		{"GET /debug/pprof/nothing", 404, wire.CodeNotFound, ""},
		{"GET /", 404, wire.CodeNotFound, ""},
		{"GET /v1/prizes", 404, wire.CodeNotFound, ""},
		{"GET /v1/prizes/", 404, wire.CodeNotFound, ""},
		{"GET /v1/prizes/tv/", 404, wire.CodeNotFound, ""},
		{"POST /v1/prizes//draw", 422, wire.CodeInvalid, "prize"},
		{"POST /v1/prizes/a/b/draw", 404, wire.CodeNotFound, ""},
		{"POST /admin/v1/prizes/tv/codes", 404, wire.CodeNotFound, ""},
		{"GET /v1/prizes/tv/draw", 405, wire.CodeMethodNotAllowed, ""},
		{"PUT /v1/prizes/tv", 405, wire.CodeMethodNotAllowed, ""},
		{"POST /admin/v1/prizes/tv", 405, wire.CodeMethodNotAllowed, ""},
		{"BREW /readyz", 405, wire.CodeMethodNotAllowed, ""},
	} {
		t.Run(c.line, func(t *testing.T) {
			a.t = t
			got := a.do(c.line, "", auth, adminAuth).refused(t, c.status, c.code, c.field)
			if c.status == 405 && got.header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
	a.t = t
	a.do("POST /admin/v1/grants/1-42/void", `{"restock":1}`, auth, adminAuth).refused(t, 422, wire.CodeInvalid, "restock")
	a.do("POST /admin/v1/grants/1-42/void", `{"restock":null}`, auth, adminAuth).refused(t, 422, wire.CodeInvalid, "restock")
	a.do("POST /admin/v1/grants/1-42/void", `{"stock":true}`, auth, adminAuth).refused(t, 422, wire.CodeInvalid, "stock")
	a.do("POST /admin/v1/grants/1-42/void", `[]`, auth, adminAuth).refused(t, 400, wire.CodeBadRequest, "")
	a.do("GET /v1/prizes/tv", "", "Tombola-Timeout-Ms", "1e3").refused(t, 422, wire.CodeInvalid, "Tombola-Timeout-Ms")
}

func TestTooManyDrawsAtOnceAreShed(t *testing.T) {
	f := newFake()
	arrived, release := make(chan struct{}), make(chan struct{})
	f.draw = func(d *httpapi.Draw) {
		arrived <- struct{}{}
		<-release
		d.Outcome = wire.SoldOut
	}
	a := start(t, f, func(c *httpapi.Config) { c.Limits.Draws = 1 })
	first := make(chan answer)
	go func() { first <- a.do("POST /v1/prizes/tv/draw", `{"user":"u1"}`) }()
	<-arrived
	got := a.do("POST /v1/prizes/tv/draw", `{"user":"u2"}`).refused(t, 429, wire.CodeOverloaded, "")
	if got.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
	}
	close(release)
	(<-first).wants(t, 200)
}
