package e2e_test

import (
	"database/sql"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"tombola/httpapi/wire"
	"tombola/internal/testcluster"
)

// bad is a request that must be refused.
type bad struct {
	what, method, path, body string
	header                   http.Header
	status                   int
	code                     wire.Code
	field                    string
}

const (
	drawTV  = "/v1/prizes/tv/draw"
	adminTV = "/admin/v1/prizes/tv"
	ann     = `{"user":"ann"}`
)

// badRequests is each kind of bad input.
func badRequests(token string) []bad {
	operator := http.Header{"Authorization": {"Bearer " + token}}
	text := http.Header{"Content-Type": {"text/plain"}}
	long := strings.Repeat("x", 200)
	post, put, patch := http.MethodPost, http.MethodPut, http.MethodPatch
	list := []bad{
		{"not JSON", post, drawTV, `user=ann`, nil, 400, wire.CodeBadRequest, ""},
		{"no body", post, drawTV, ``, nil, 400, wire.CodeBadRequest, ""},
		{"cut short", post, drawTV, `{"user":"an`, nil, 400, wire.CodeBadRequest, ""},
		{"an array", post, drawTV, `["ann"]`, nil, 400, wire.CodeBadRequest, ""},
		{"no UTF-8", post, drawTV, "{\"user\":\"\xff\"}", nil, 400, wire.CodeBadRequest, ""},
		{"text", post, drawTV, ann, text, 415, wire.CodeUnsupportedMediaType, ""},
		{"user of a wrong type", post, drawTV, `{"user":7}`, nil, 422, wire.CodeInvalid, "user"},
		{"request id of a wrong type", post, drawTV, `{"user":"ann","request_id":{}}`, nil, 422, wire.CodeInvalid, "request_id"},
		{"an unknown field", post, drawTV, `{"user":"ann","color":"red"}`, nil, 422, wire.CodeInvalid, "color"},
		{"no user", post, drawTV, `{}`, nil, 422, wire.CodeInvalid, "user"},
		{"an empty user", post, drawTV, `{"user":""}`, nil, 422, wire.CodeInvalid, "user"},
		{"a long user", post, drawTV, `{"user":"` + long + `"}`, nil, 422, wire.CodeInvalid, "user"},
		{"a user with a control character", post, drawTV, `{"user":"a\u0000n"}`, nil, 422, wire.CodeInvalid, "user"},
		{"a long request id", post, drawTV, `{"user":"ann","request_id":"` + long[:65] + `"}`, nil, 422, wire.CodeInvalid, "request_id"},
		{"a request id with a control character", post, drawTV, `{"user":"ann","request_id":"a\tb"}`, nil, 422, wire.CodeInvalid, "request_id"},
		{"two different request ids", post, drawTV, `{"user":"ann","request_id":"a"}`, http.Header{"Idempotency-Key": {"b"}}, 422, wire.CodeInvalid, "Idempotency-Key"},
		{"more than one at once", post, drawTV, `{"user":"ann","quantity":2}`, nil, 422, wire.CodeInvalid, "quantity"},
		{"a timeout of nothing", post, drawTV, ann, http.Header{"Tombola-Timeout-Ms": {"0"}}, 422, wire.CodeInvalid, "Tombola-Timeout-Ms"},
		{"an unknown prize", post, "/v1/prizes/car/draw", ann, nil, 404, wire.CodeUnknownPrize, ""},
		{"a long prize", post, "/v1/prizes/" + long + "/draw", ann, nil, 422, wire.CodeInvalid, "prize"},
		{"a prize with a control character", post, "/v1/prizes/t%00v/draw", ann, nil, 422, wire.CodeInvalid, "prize"},
		{"a large body", post, drawTV, `{"user":"` + strings.Repeat("x", 5<<10) + `"}`, nil, 413, wire.CodeTooLarge, ""},
		{"a wrong method", http.MethodGet, drawTV, ``, nil, 405, wire.CodeMethodNotAllowed, ""},
		{"a wrong path", post, "/v2/draw", ann, nil, 404, wire.CodeNotFound, ""},

		{"no token", put, adminTV, `{"total":5}`, nil, 401, wire.CodeUnauthorized, ""},
		{"a wrong token", patch, adminTV, `{"total":5}`, http.Header{"Authorization": {"Bearer " + token[1:] + "x"}}, 401, wire.CodeUnauthorized, ""},
		{"half a token", http.MethodDelete, adminTV, ``, http.Header{"Authorization": {"Bearer " + token[:5]}}, 401, wire.CodeUnauthorized, ""},
		{"an empty token", http.MethodDelete, adminTV, ``, http.Header{"Authorization": {"Bearer "}}, 401, wire.CodeUnauthorized, ""},
		{"another scheme", http.MethodDelete, adminTV, ``, http.Header{"Authorization": {"Basic " + token}}, 401, wire.CodeUnauthorized, ""},
		{"less than is granted", patch, adminTV, `{"total":1}`, operator, 409, wire.CodeBelowGranted, ""},
		{"less than is granted", put, adminTV, `{"total":2}`, operator, 409, wire.CodeBelowGranted, ""},
		{"a version that does not hold", patch, adminTV, `{"total":9}`, http.Header{"Authorization": operator["Authorization"], "If-Match": {`"v99"`}}, 412, wire.CodePreconditionFailed, ""},
		{"creating what is there", put, adminTV, `{"total":9}`, http.Header{"Authorization": operator["Authorization"], "If-None-Match": {`*`}}, 412, wire.CodePreconditionFailed, ""},
		{"another zone after the first grant", patch, adminTV, `{"timezone":"Asia/Tokyo"}`, operator, 409, wire.CodeConflict, ""},
		{"an unknown prize", patch, "/admin/v1/prizes/car", `{"total":5}`, operator, 404, wire.CodeUnknownPrize, ""},
		{"an unknown grant", post, "/admin/v1/grants/1-999999/void", `{"restock":true}`, operator, 404, wire.CodeNotFound, ""},
		{"a grant of no slice", post, "/admin/v1/grants/9-1/void", `{"restock":true}`, operator, 404, wire.CodeNotFound, ""},
	}
	for _, v := range []struct{ field, value string }{
		{"total", `-1`}, {"total", `0`}, {"total", `9223372036854775807`}, {"total", `1e30`}, {"total", `"9"`}, {"total", `null`},
		{"daily_limit", `-1`}, {"daily_limit", `0`}, {"daily_limit", `99999999999999999999`},
		{"per_user_limit", `-1`}, {"per_user_limit", `0`}, {"per_user_limit", `99999999999999999999`},
		{"timezone", `"Mars/Olympus"`}, {"timezone", `"Local"`}, {"timezone", `"../etc/passwd"`},
		{"starts_at", `"soon"`}, {"status", `"deleted"`}, {"kind", `"rocket"`}, {"unheard_of", `1`},
	} {
		list = append(list, bad{"definition", patch, adminTV, `{"` + v.field + `":` + v.value + `}`, operator, 422, wire.CodeInvalid, v.field})
	}
	return list
}

// badInputChangesNothing sends each kind of bad input to real servers. Each
// answers with its documented problem, and all counts stay as they were.
func badInputChangesNothing(t *testing.T, c *testcluster.Cluster, db *sql.DB) {
	spec := counter(9)
	spec.PerUserLimit, spec.DailyLimit, spec.Timezone = new(int64(5)), new(int64(9)), noon()
	create(t, c, "tv", spec)
	users := make(map[wire.GrantID]string)
	for node := range c.Nodes {
		users[granted(t, c.Client(node), "tv", user(node), "").GrantID] = user(node)
	}
	before, err := c.Client(0).Prize(within(t), "tv")
	if err != nil {
		t.Fatal(err)
	}

	for i, b := range badRequests(c.Token) {
		client := c.Client(i % len(c.Nodes))
		answer, err := client.Do(within(t), b.method, b.path, []byte(b.body), b.header)
		if err != nil {
			t.Errorf("%s: %v", b.what, err)
			continue
		}
		p, err := answer.Problem()
		if err != nil {
			t.Errorf("%s: %v", b.what, err)
			continue
		}
		if p.Status != b.status || p.Code != b.code || p.Field != b.field {
			t.Errorf("%s (%s %s %.60s): %d %s of %q (%s); want %d %s of %q",
				b.what, b.method, b.path, b.body, p.Status, p.Code, p.Field, p.Detail, b.status, b.code, b.field)
		}
		if b.code == wire.CodeBelowGranted && (p.Granted == nil || *p.Granted != 3) {
			t.Errorf("%s: granted is %v, want 3", b.what, p.Granted)
		}
	}
	tornRequests(t, c)

	after, err := c.Client(0).Prize(within(t), "tv")
	if err != nil {
		t.Fatal(err)
	}
	if after.Version != before.Version || after.Total != before.Total || after.Granted != 3 || after.Voided != 0 || after.Status != before.Status {
		t.Errorf("the prize was %+v and is %+v", before, after)
	}
	if _, err := c.Client(0).Prize(within(t), "car"); testcluster.CodeOf(err) != wire.CodeUnknownPrize {
		t.Errorf("an unknown prize: %v", err)
	}
	sunk(t, c)
	holdsExactly(t, db, "tv", users)
	verified(t, c)
	for node := range c.Nodes {
		granted(t, c.Client(node), "tv", user(node), "") // and all is well
	}
}

// tornRequests sends requests whose connection breaks before they are whole.
func tornRequests(t *testing.T, c *testcluster.Cluster) {
	t.Helper()
	head := "POST " + drawTV + " HTTP/1.1\r\nHost: tombola\r\nContent-Type: application/json\r\nContent-Length: "
	for _, torn := range []string{
		"POST /v1/pri",
		head,
		head + "14\r\n\r\n",
		head + "14\r\n\r\n" + ann[:8],
		head + "15\r\n\r\n" + ann, // one byte is missing, though what came is a draw
	} {
		for _, n := range c.Nodes {
			conn, err := net.Dial("tcp", n.HTTP)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, torn); err != nil {
				t.Error(err)
			}
			_ = conn.(*net.TCPConn).CloseWrite()
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			answer, err := io.ReadAll(conn) // the server gives up on it
			if err != nil || strings.Contains(string(answer), " 200 ") {
				t.Errorf("torn request %q: %q, %v", torn, answer, err)
			}
			_ = conn.Close()
		}
	}
}
