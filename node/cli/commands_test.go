package cli

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func serveFunc(t *testing.T, f http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL
}

const (
	definition = `{"prize":"tv","version":3,"status":"active","kind":"counter","total":1000,"daily_limit":50,"per_user_limit":null,` +
		`"timezone":"Asia/Shanghai","starts_at":null,"ends_at":"2026-12-01T00:00:00.000000Z","release":{"per_second":2.5,"burst":10}`
	prizeDoc = definition + `,"day":"2026-11-22","pool":{"stock":700,"today":20},"slices":[` +
		`{"slice":1,"leader":"n1","version":3,"purses":{"stock":100,"today":5},"granted":150,"granted_today":20,"voided":1,"outbox":4},` +
		`{"slice":2,"leader":"","error":"no answer\nfrom n2"}],` +
		`"granted":150,"granted_today":20,"voided":1,"outbox":4,"news":"from a later version"}`
	definitionDoc = definition + `}`
)

// wantTable compares a table cell by cell: the width of columns is no promise.
func wantTable(t *testing.T, out, want string) {
	t.Helper()
	norm := func(s string) string {
		var lines []string
		for line := range strings.Lines(strings.TrimSpace(s)) {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
		return strings.Join(lines, "\n")
	}
	if norm(out) != norm(want) {
		t.Errorf("got\n%s\nwant\n%s", norm(out), norm(want))
	}
}

func TestPrizeCreateSendsWhatWasSaidOnly(t *testing.T) {
	s := serve(t, reply{status: 201, body: definitionDoc})
	r := run(t, "prize", "create", "tv", "--total", "1000", "--server", s.URL)
	r.want(t, ExitDone)
	wantTable(t, r.out, `
		prize tv
		status active
		version 3
		kind counter
		total 1000
		daily limit 50
		user limit none
		time zone Asia/Shanghai
		starts at -
		ends at 2026-12-01T00:00:00.000000Z
		release 2.5 a second, at most 10 at once`)
	run(t, "prize", "create", "tv", "--total", "1000", "--daily-limit", "50", "--per-user-limit", "2", "--timezone", "Asia/Shanghai",
		"--starts-at", "2026-11-22T10:00:00+08:00", "--ends-at", "2026-12-01T00:00:00Z",
		"--release-per-second", "2.5", "--release-burst", "10", "--replace", "--server", s.URL).want(t, ExitDone)
	s.wantAsked(t,
		`PUT /admin/v1/prizes/tv {"kind":"counter","total":1000}`,
		`PUT /admin/v1/prizes/tv {"kind":"counter","total":1000,"daily_limit":50,"per_user_limit":2,"timezone":"Asia/Shanghai",`+
			`"starts_at":"2026-11-22T02:00:00.000000Z","ends_at":"2026-12-01T00:00:00.000000Z","release":{"per_second":2.5,"burst":10}}`)
	if got := s.header(0, "If-None-Match"); got != "*" {
		t.Errorf("without --replace: If-None-Match %q, want *", got)
	}
	if got := s.header(1, "If-None-Match"); got != "" {
		t.Errorf("with --replace: If-None-Match %q", got)
	}
	if got := s.header(0, "Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
}

func TestPrizeCreateOfOneThatExistsIsRefused(t *testing.T) {
	s := serve(t, problem(412, "precondition_failed", `,"detail":"the prize exists"`))
	run(t, "prize", "create", "tv", "--total", "1", "--server", s.URL).want(t, ExitRefused, "precondition_failed: the prize exists")
}

func TestPrizeChangesSendOnePatch(t *testing.T) {
	s := serve(t, reply{status: 200, body: definitionDoc})
	for _, args := range [][]string{
		{"resize", "tv", "2000"},
		{"resize", "tv", "2000", "--daily-limit", "60"},
		{"resize", "tv", "--daily-limit", "none"},
		{"pause", "tv"},
		{"resume", "tv"},
		{"delete", "tv"},
	} {
		run(t, append(append([]string{"prize"}, args...), "--server", s.URL)...).want(t, ExitDone, "tv")
	}
	s.wantAsked(t,
		`PATCH /admin/v1/prizes/tv {"total":2000}`,
		`PATCH /admin/v1/prizes/tv {"total":2000,"daily_limit":60}`,
		`PATCH /admin/v1/prizes/tv {"daily_limit":null}`,
		`PATCH /admin/v1/prizes/tv {"status":"paused"}`,
		`PATCH /admin/v1/prizes/tv {"status":"active"}`,
		`DELETE /admin/v1/prizes/tv`)
}

func TestPrizeShowHasTheCountsForTheAdminToken(t *testing.T) {
	s := serve(t, reply{status: 200, body: prizeDoc})
	t.Setenv("TOMBOLA_ADMIN_TOKEN", "x")
	r := run(t, "prize", "show", "tv", "--server", s.URL)
	r.want(t, ExitDone)
	_, counts, _ := strings.Cut(r.out, "at most 10 at once\n")
	wantTable(t, counts, `
		granted 150
		granted today 20 (2026-11-22)
		voided 1
		pool 700
		pool today 20
		unsent events 4

		SLICE LEADER VERSION STOCK TODAY GRANTED GRANTED TODAY VOIDED UNSENT
		1 n1 3 100 5 150 20 1 4
		2 - no answer from n2`)
	s.wantAsked(t, "GET /admin/v1/prizes/tv")
}

func TestPrizeShowHasTheDefinitionForEverybodyElse(t *testing.T) {
	s := serve(t, reply{status: 200, body: definitionDoc})
	run(t, "prize", "show", "tv", "--server", s.URL).want(t, ExitDone, "Asia/Shanghai")
	s.wantAsked(t, "GET /v1/prizes/tv")
}

func TestJSONIsTheServersDocumentWhole(t *testing.T) {
	s := serve(t, reply{status: 200, body: prizeDoc})
	t.Setenv("TOMBOLA_ADMIN_TOKEN", "x")
	run(t, "prize", "show", "tv", "-o", "json", "--server", s.URL).want(t, ExitDone, "  \"news\": \"from a later version\"\n}\n")
}

func TestPrizeListFollowsThePages(t *testing.T) {
	pages := []reply{
		{status: 200, body: `{"prizes":[` + prizeDoc + `],"cursor":"tv"}`},
		{status: 200, body: `{"prizes":[` + strings.Replace(prizeDoc, `"tv"`, `"tw"`, 1) + `]}`},
	}
	s := serve(t, pages...)
	r := run(t, "prize", "list", "--server", s.URL)
	r.want(t, ExitDone)
	wantTable(t, r.out, `
		PRIZE STATUS TOTAL GRANTED DAILY LIMIT GRANTED TODAY USER LIMIT VOIDED VERSION
		tv active 1000 150 50 20 - 1 3
		tw active 1000 150 50 20 - 1 3`)
	s.wantAsked(t, "GET /admin/v1/prizes?limit=100", "GET /admin/v1/prizes?limit=100&cursor=tv")
	r = run(t, "prize", "list", "-o", "json", "--server", serve(t, pages...).URL)
	r.want(t, ExitDone, `"prize": "tv"`, `"prize": "tw"`)
	run(t, "prize", "list", "-o", "json", "--server", serve(t, reply{status: 200, body: `{"prizes":[]}`}).URL).want(t, ExitDone, `"prizes": []`)
}

func TestDrawPrintsEveryOutcome(t *testing.T) {
	s := serve(t,
		reply{status: 200, body: granted},
		reply{status: 200, body: `{"outcome":"not_released","prize":"tv","user":"u1","retry_after_ms":1500}`},
		reply{status: 200, body: `{"outcome":"sold_out","prize":"tv","user":"u1"}`})
	r := run(t, "draw", "tv", "--user", "u1", "--count", "3", "--server", s.URL)
	r.want(t, ExitRefused)
	wantTable(t, r.out, `
		OUTCOME GRANT PRIZE USER GRANTED AT NOTE
		granted 1-42 tv u1 2026-11-22T10:00:00.123456Z -
		not_released - tv u1 - try again in 1.5s
		sold_out - tv u1 - -`)
	if r.errOut != "" {
		t.Errorf("stderr: %q", r.errOut)
	}
	if s.requests()[0] == s.requests()[1] || s.requests()[1] == s.requests()[2] {
		t.Errorf("different draws have the same request id: %q", s.requests())
	}
}

func TestDrawInJSONIsOneLineEach(t *testing.T) {
	s := serve(t, reply{status: 200, body: granted + "\n"})
	r := run(t, "draw", "tv", "--user", "u1", "--count", "2", "-o", "json", "--server", s.URL)
	r.want(t, ExitDone)
	if want := granted + "\n" + granted + "\n"; r.out != want {
		t.Errorf("got %q, want %q", r.out, want)
	}
}

func TestDrawShowsWhatWasGrantedBeforeAProblem(t *testing.T) {
	s := serve(t, reply{status: 200, body: granted}, problem(404, "unknown_prize", ""))
	run(t, "draw", "tv", "--user", "u1", "--count", "5", "--server", s.URL).want(t, ExitRefused, "1-42", "tombola: unknown_prize\n")
	if len(s.requests()) != 2 {
		t.Errorf("asked %d times, want 2", len(s.requests()))
	}
}

func TestGrantsByIDAndByUser(t *testing.T) {
	const first = `{"grant_id":"1-42","prize":"tv","user":"a/b ü","state":"granted","granted_at":"2026-11-22T10:00:00.000000Z"}`
	const second = `{"grant_id":"2-7","prize":"tv","user":"a/b ü","state":"voided","request_id":"r1","code":"AB12","granted_at":"2026-11-22T09:00:00.000000Z","voided_at":"2026-11-22T09:30:00.000000Z"}`
	s := serve(t, reply{status: 200, body: first})
	run(t, "grants", "1-42", "--server", s.URL).want(t, ExitDone, "1-42")
	s.wantAsked(t, "GET /v1/grants/1-42")

	s = serve(t, reply{status: 200, body: `{"user":"a/b ü","grants":[` + first + `,` + second + `],"more":true}`})
	r := run(t, "grants", "--user", "a/b ü", "--prize", "tv", "--limit", "2", "--server", s.URL)
	r.want(t, ExitDone, "there are older ones")
	wantTable(t, r.out, `
		GRANT PRIZE USER STATE GRANTED AT VOIDED AT REQUEST CODE
		1-42 tv a/b ü granted 2026-11-22T10:00:00.000000Z - - -
		2-7 tv a/b ü voided 2026-11-22T09:00:00.000000Z 2026-11-22T09:30:00.000000Z r1 AB12`)
	s.wantAsked(t, "GET /v1/users/a%2Fb%20%C3%BC/grants?limit=2&prize=tv")
	run(t, "grants", "9-9", "--server", serve(t, problem(404, "not_found", "")).URL).want(t, ExitRefused, "tombola: not_found\n")
}

const clusterDoc = `{"cluster_id":"c1","node":"n1","format":1,
	"nodes":[
		{"id":"n1","server":"n1.0a","state":"alive","version":"v1","http":"h1:7070","cluster":"h1:7170","leads":[0,1],"clock_offset_ms":-0.25,"disk_free_bytes":5368709120,"ready":true},
		{"id":"n2","server":"n2.0b","state":"dead","version":"","http":"h2:7070","cluster":"h2:7170","leads":[],"clock_offset_ms":null,"disk_free_bytes":null,"ready":false,"error":"no answer"}],
	"groups":[
		{"group":0,"name":"bank","leader":"n1","term":2,"committed":10,"applied":10,"replicas":[{},{}],"outbox":{"last_seq":5,"sink_seq":5,"lag":0,"lag_ms":0,"bytes":1,"sink_error":""}},
		{"group":1,"name":"slice 1","leader":"","term":3,"committed":20,"applied":19,"replicas":[{}],"outbox":{"last_seq":9,"sink_seq":5,"lag":4,"lag_ms":1500,"bytes":1,"sink_error":"connection refused"}}]}`

func TestClusterIsShownAsSummaryNodesAndSlices(t *testing.T) {
	s := serve(t, reply{status: 200, body: clusterDoc})
	wantTable(t, run(t, "cluster", "status", "--server", s.URL).out, `
		cluster c1 (format 1)
		seen from n1
		nodes 2, of which 1 alive and 1 ready
		bank and slices 2, of which 1 have a leader
		sink 4 events to be sent, 1 of 2 streams can't send`)
	wantTable(t, run(t, "cluster", "nodes", "--server", s.URL).out, `
		NODE STATE READY HTTP CLUSTER LEADS CLOCK DISK FREE VERSION NOTE
		n1 alive yes h1:7070 h1:7170 0,1 -0.2ms 5.0GiB v1 -
		n2 dead no h2:7070 h2:7170 - - - - no answer`)
	wantTable(t, run(t, "cluster", "slices", "--server", s.URL).out, `
		GROUP LEADER TERM COMMITTED APPLIED REPLICAS EVENTS UNSENT LAG NOTE
		bank n1 2 10 10 2 5 0 0s -
		slice 1 - 3 20 19 1 9 4 1.5s connection refused`)
	run(t, "cluster", "nodes", "-o", "json", "--server", s.URL).want(t, ExitDone, "[\n", `"id": "n2"`)
	run(t, "cluster", "status", "-o", "json", "--server", s.URL).want(t, ExitDone, `"cluster_id": "c1"`)
	s.wantAsked(t, "GET /admin/v1/cluster", "GET /admin/v1/cluster", "GET /admin/v1/cluster", "GET /admin/v1/cluster", "GET /admin/v1/cluster")
}

func TestVerifyIsDoneWhereAllAgreeAlsoWhileTheSinkLags(t *testing.T) {
	s := serve(t, reply{status: 200, body: `{"ok":true,"checked":{"prizes":2,"grants":30000},"lag":{"slice 1":12,"bank":0},"discrepancies":[]}`})
	r := run(t, "verify", "--server", s.URL)
	r.want(t, ExitDone)
	wantTable(t, r.out, `
		CHECKED COUNT
		grants 30000
		prizes 2

		STREAM LAG
		bank 0
		slice 1 12

		everything agrees`)
	s.wantAsked(t, "GET /admin/v1/verify")
}

func TestVerifyHasALineForEachDiscrepancy(t *testing.T) {
	s := serve(t, reply{status: 200, body: `{"ok":false,"checked":{},"lag":{},"discrepancies":[
		{"kind":"missing_in_sink","prize":"tv","grant_id":"1-42","detail":"no row"},
		{"kind":"sum","detail":"pool is\n-1"}]}`})
	r := run(t, "verify", "--server", s.URL)
	r.want(t, ExitRefused, "tombola: discrepancies: 2 found\n")
	_, lines, _ := strings.Cut(r.out, "DISCREPANCY")
	wantTable(t, lines, `
		PRIZE GRANT DETAIL
		missing_in_sink tv 1-42 no row
		sum - - pool is -1`)
	run(t, "verify", "-o", "json", "--server", s.URL).want(t, ExitRefused, `"ok": false`)
	run(t, "verify", "--server", serve(t, problem(401, "unauthorized", "")).URL).want(t, ExitRefused, "TOMBOLA_ADMIN_TOKEN")
}

func TestARepairSaysWhatItPutBackAndWhatIsLeft(t *testing.T) {
	s := serve(t, reply{status: 200, body: `{"rows":1,"voids":0,"totals":0,"grants":[{"grant_id":"1-42","what":"row"}],
		"report":{"ok":true,"checked":{},"lag":{},"discrepancies":[],"warnings":["slice 1 is behind"]}}`})
	r := run(t, "verify", "--repair-sink", "--server", s.URL)
	r.want(t, ExitDone)
	wantTable(t, r.out, `
		PUT BACK COUNT
		rows 1
		voids 0
		totals 0

		GRANT PUT BACK
		1-42 row

		CHECKED COUNT

		STREAM LAG

		WARNING
		slice 1 is behind

		everything agrees`)
	s.wantAsked(t, "POST /admin/v1/verify/repair")
	left := serve(t, reply{status: 200, body: `{"rows":0,"voids":0,"totals":0,"grants":[],"report":{"ok":false,"checked":{},"lag":{},
		"discrepancies":[{"kind":"changed_in_sink","prize":"tv","grant_id":"1-42","detail":"day"}]}}`})
	run(t, "verify", "--repair-sink", "--server", left.URL).want(t, ExitRefused, "discrepancies: 1 found", "changed_in_sink")
}

func TestSizesAreReadable(t *testing.T) {
	for n, want := range map[int64]string{0: "0B", 1023: "1023B", 1024: "1.0KiB", 1 << 30: "1.0GiB", 1 << 50: "1.0PiB", 1 << 62: "4096.0PiB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %s, want %s", n, got, want)
		}
	}
}
