package httpapi_test

import (
	"strings"
	"testing"

	"tombola/httpapi"
	"tombola/httpapi/wire"
)

func TestTokens(t *testing.T) {
	const draw, read, operate = "POST /v1/prizes/tv/draw", "GET /v1/prizes/tv", "GET /admin/v1/cluster"
	both := httpapi.Tokens{Admin: []string{"admin", "next"}, Draw: []string{"draw"}}
	adminOnly := httpapi.Tokens{Admin: []string{"admin"}}
	a := start(t, newFake(), nil)
	for _, c := range []struct {
		tokens httpapi.Tokens
		line   string
		auth   string
		status int
	}{
		{both, draw, "", 401}, {both, draw, "Bearer wrong", 401}, {both, draw, "Bearer", 401}, {both, draw, "Basic ZHJhdw==", 401},
		{both, draw, "Bearer draw", 200}, {both, draw, "bearer draw", 200}, {both, draw, "Bearer admin", 200}, {both, draw, "Bearer draw ", 200},
		{both, draw, "Bearer drawx", 401}, {both, draw, "Bearer dra", 401},
		{both, read, "", 401}, {both, read, "Bearer draw", 200},
		{both, operate, "", 401}, {both, operate, "Bearer wrong", 401}, {both, operate, "Bearer draw", 403},
		{both, operate, "Bearer admin", 200}, {both, operate, "Bearer next", 200},
		{adminOnly, draw, "", 200}, {adminOnly, draw, "Bearer whatever", 200}, {adminOnly, operate, "", 401},
		{httpapi.Tokens{}, operate, "", 401}, {httpapi.Tokens{Admin: []string{""}}, operate, "Bearer ", 401},
		{httpapi.Tokens{}, draw, "", 200},
		{both, "GET /debug/pprof", "", 401}, {both, "GET /debug/pprof/heap", "Bearer draw", 403},
		{both, "GET /metrics", "", 200}, {both, "GET /readyz", "", 200}, {both, "GET /openapi.yaml", "", 200},
	} {
		t.Run(c.line+" "+c.auth, func(t *testing.T) {
			a.t = t
			a.server.SetTokens(c.tokens)
			body := ""
			if c.line == draw {
				body = `{"user":"u1"}`
			}
			got := a.do(c.line, body, auth, c.auth).wants(t, c.status)
			switch c.status {
			case 401:
				got.refused(t, 401, wire.CodeUnauthorized, "")
				if !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer") {
					t.Error("401 without WWW-Authenticate")
				}
			case 403:
				got.refused(t, 403, wire.CodeForbidden, "")
			}
		})
	}
	a.t = t
}

func TestTokensAreReplacedWhileRunning(t *testing.T) {
	a := start(t, newFake(), nil)
	a.do("GET /admin/v1/cluster", "", auth, "Bearer admin").wants(t, 200)
	a.server.SetTokens(httpapi.Tokens{Admin: []string{"new"}})
	a.do("GET /admin/v1/cluster", "", auth, "Bearer admin").wants(t, 401)
	a.do("GET /admin/v1/cluster", "", auth, "Bearer new").wants(t, 200)
}

func TestCodesAreForOperators(t *testing.T) {
	a := start(t, newFake(), nil)
	for _, line := range []string{"GET /v1/grants/1-42", "GET /v1/users/u1/grants"} {
		if got := a.do(line, ""); strings.Contains(got.body, "SECRET") {
			t.Errorf("%s tells everybody %s", line, got.body)
		}
		if got := a.do(line, "", auth, adminAuth); !strings.Contains(got.body, "SECRET") {
			t.Errorf("%s does not tell operators: %s", line, got.body)
		}
	}
}

func TestOperatorsCanHaveTheirOwnListener(t *testing.T) {
	a := start(t, newFake(), func(c *httpapi.Config) { c.SeparateAdmin = true })
	outside, inside := a.http, a.admin
	for line, want := range map[string][2]int{
		"GET /v1/prizes/tv":     {200, 404},
		"GET /admin/v1/cluster": {404, 200},
		"GET /metrics":          {404, 200},
		"GET /debug/pprof/heap": {404, 200},
		"GET /readyz":           {200, 200},
		"GET /livez":            {200, 200},
		"GET /openapi.yaml":     {200, 200},
	} {
		a.http, a.admin = outside, outside
		a.do(line, "", auth, adminAuth).wants(t, want[0])
		a.http, a.admin = inside, inside
		a.do(line, "", auth, adminAuth).wants(t, want[1])
	}
	a.do("POST /v1/prizes/tv/draw", `{"user":"u1"}`).refused(t, 404, wire.CodeNotFound, "")
	a.http = outside
}
