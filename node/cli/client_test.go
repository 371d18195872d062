package cli

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const granted = `{"outcome":"granted","grant_id":"1-42","prize":"tv","user":"u1","granted_at":"2026-11-22T10:00:00.123456Z","repeat":false}`

func TestTheNextServerIsAskedWhereOneCantBeReached(t *testing.T) {
	s := serve(t, reply{status: 200, body: granted})
	r := run(t, "draw", "tv", "--user", "u1", "--request-id", "r1", "--server", nobody(t)+","+s.URL)
	r.want(t, ExitDone, "1-42")
	if len(r.pauses) != 0 {
		t.Errorf("paused for %v", r.pauses)
	}
	s.wantAsked(t, `POST /v1/prizes/tv/draw {"user":"u1","request_id":"r1"}`)
}

func TestNobodyReachedIsStatusThree(t *testing.T) {
	for _, args := range [][]string{
		{"draw", "tv", "--user", "u1"},
		{"prize", "create", "tv", "--total", "1"},
		{"cluster", "status"},
		{"verify"},
	} {
		r := run(t, append(args, "--server", nobody(t)+","+nobody(t))...)
		r.want(t, ExitUnreachable, "tombola: no server could be reached: ")
		if len(r.pauses) != 0 {
			t.Errorf("%q: paused for %v", args, r.pauses)
		}
	}
}

func TestTheServersAndTheTokenMayComeFromVariables(t *testing.T) {
	s := serve(t, reply{status: 200, body: `{"prizes":[]}`})
	t.Setenv("TOMBOLA_SERVER", nobody(t)+","+s.URL+"/")
	t.Setenv("TOMBOLA_ADMIN_TOKEN", "s3cr3t")
	run(t, "prize", "list").want(t, ExitDone)
	if got := s.header(0, "Authorization"); got != "Bearer s3cr3t" {
		t.Errorf("Authorization: %q", got)
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "prize", "list", "--admin-token-file", file).want(t, ExitDone)
	if got := s.header(1, "Authorization"); got != "Bearer from-file" {
		t.Errorf("Authorization: %q", got)
	}
}

func TestADrawUsesTheDrawTokenWhereThereIsNoAdminToken(t *testing.T) {
	s := serve(t, reply{status: 200, body: granted})
	t.Setenv("TOMBOLA_DRAW_TOKEN", "dr4w")
	run(t, "draw", "tv", "--user", "u1", "--server", s.URL).want(t, ExitDone)
	if got := s.header(0, "Authorization"); got != "Bearer dr4w" {
		t.Errorf("Authorization: %q", got)
	}
}

func TestAnUnknownOutcomeIsResolvedWithTheSameRequestID(t *testing.T) {
	for name, first := range map[string]reply{
		"504":                 problem(504, "unknown_outcome", `,"detail":"who knows"`),
		"connection lost":     {},
		"504 from a proxy":    {status: 504, body: "<html>Gateway Timeout</html>"},
		"no leader for now":   problem(503, "no_leader", ""),
		"an overloaded slice": problem(429, "overloaded", ""),
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, first, first, reply{status: 200, body: strings.Replace(granted, "false", "true", 1)})
			r := run(t, "draw", "tv", "--user", "u1", "--server", s.URL)
			r.want(t, ExitDone, "1-42", "given before")
			if len(s.requests()) != 3 || s.requests()[0] != s.requests()[1] || s.requests()[1] != s.requests()[2] {
				t.Errorf("asked %q", s.requests())
			}
			if !strings.Contains(s.requests()[0], `"request_id":"`) {
				t.Errorf("no request id in %q", s.requests()[0])
			}
			if want := []time.Duration{firstPause, 2 * firstPause}; !slices.Equal(r.pauses, want) {
				t.Errorf("paused for %v, want %v", r.pauses, want)
			}
		})
	}
}

func TestADrawThatStaysUnknownTellsHowToRepeatIt(t *testing.T) {
	s := serve(t, problem(504, "unknown_outcome", ""))
	r := run(t, "draw", "tv", "--user", "u1", "--request-id", "r7", "--server", s.URL)
	r.want(t, ExitRefused, "tombola: unknown_outcome (repeat it with --request-id r7)\n")
	if n := len(s.requests()); n != maxRetries+1 {
		t.Errorf("asked %d times, want %d", n, maxRetries+1)
	}
	r = run(t, "draw", "tv", "--user", "u1", "--request-id", "it's 7", "--server", s.URL)
	r.want(t, ExitRefused, `--request-id 'it'\''s 7'`)
	lost := serve(t, reply{})
	r = run(t, "draw", "tv", "--user", "u1", "--request-id", "r8", "--server", lost.URL)
	r.want(t, ExitUnreachable, "may or may not have been done", "--request-id r8")
}

func TestRetryAfterIsHonouredWithinBounds(t *testing.T) {
	s := serve(t,
		reply{status: 429, body: `{"code":"overloaded"}`, header: map[string]string{"Retry-After": "2"}},
		reply{status: 503, body: `{"code":"timeout","retry_after_ms":30}`, header: map[string]string{"Retry-After": "1"}},
		reply{status: 503, body: `{"code":"draining"}`, header: map[string]string{"Retry-After": "3600"}},
		reply{status: 503, body: `busy`, header: map[string]string{"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}},
		reply{status: 200, body: granted},
	)
	r := run(t, "draw", "tv", "--user", "u1", "--server", s.URL)
	r.want(t, ExitDone)
	if want := []time.Duration{2 * time.Second, 30 * time.Millisecond, longestWait, firstPause << 3}; !slices.Equal(r.pauses, want) {
		t.Errorf("paused for %v, want %v", r.pauses, want)
	}
}

func TestADrainingServerIsLeftForTheNext(t *testing.T) {
	first := serve(t, problem(503, "draining", ""))
	second := serve(t, reply{status: 200, body: granted})
	run(t, "draw", "tv", "--user", "u1", "--server", first.URL+","+second.URL).want(t, ExitDone, "1-42")
	if len(first.requests()) != 1 || len(second.requests()) != 1 {
		t.Errorf("asked %d and %d times, want once each", len(first.requests()), len(second.requests()))
	}
}

func TestOverloadEndsAfterTheLastRetry(t *testing.T) {
	s := serve(t, problem(429, "overloaded", `,"detail":"too many draws wait"`))
	r := run(t, "draw", "tv", "--user", "u1", "--server", s.URL)
	r.want(t, ExitRefused, "tombola: overloaded: too many draws wait\n")
	if len(s.requests()) != maxRetries+1 {
		t.Errorf("asked %d times, want %d", len(s.requests()), maxRetries+1)
	}
}

func TestNoNewTryBeginsOnceTheTimeIsUp(t *testing.T) {
	asked := 0
	url := serveFunc(t, func(w http.ResponseWriter, _ *http.Request) {
		asked++
		<-time.After(60 * time.Millisecond)
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"code":"no_leader","detail":"nobody leads"}`))
	})
	run(t, "verify", "--timeout", "100ms", "--server", url).want(t, ExitRefused, "tombola: no_leader: nobody leads\n")
	if asked != 2 {
		t.Errorf("asked %d times within 100ms of tries that take 60ms each, want 2", asked)
	}
}

func TestAReadThatFailedIsNotSaidToHaveBeenDone(t *testing.T) {
	lost := serve(t, reply{})
	r := run(t, "prize", "show", "tv", "--server", lost.URL)
	r.want(t, ExitUnreachable, "no server could be reached")
	if strings.Contains(r.errOut, "may or may not have been done") {
		t.Errorf("a read: %q", r.errOut)
	}
}

func TestWhatMayNotBeDoneTwiceIsNotSentAgainAfterALoss(t *testing.T) {
	for _, args := range [][]string{
		{"prize", "delete", "tv"},
		{"prize", "create", "tv", "--total", "5"}, // the second try would find the prize of the first
	} {
		first, second := serve(t, reply{}), serve(t, reply{status: 200, body: `{}`})
		r := run(t, append(args, "--server", first.URL+","+second.URL)...)
		r.want(t, ExitUnreachable, "may or may not have been done")
		if len(first.requests()) != 1 || len(second.requests()) != 0 {
			t.Errorf("%q: asked %d and %d times, want once and never", args, len(first.requests()), len(second.requests()))
		}
	}
}

func TestProblemsAreOneLineWithTheirCode(t *testing.T) {
	for _, c := range []struct {
		answer reply
		want   string
	}{
		{problem(404, "unknown_prize", `,"detail":"there is no prize \"tv\""`), `tombola: unknown_prize: there is no prize "tv"` + "\n"},
		{problem(422, "invalid", `,"field":"total","detail":"must be\nless"`), "tombola: invalid: total: must be less\n"},
		{problem(409, "below_granted", `,"detail":"too late","granted":17`), "tombola: below_granted: too late (granted: 17)\n"},
		{problem(409, "below_granted", `,"detail":"17 are granted","granted":17`), "tombola: below_granted: 17 are granted\n"},
		{problem(504, "unconfirmed", `,"detail":"it will complete","slices":[2,3]`), "tombola: unconfirmed: it will complete (slices [2 3])\n"},
		{problem(401, "unauthorized", ""), "tombola: unauthorized (see --admin-token-file and TOMBOLA_ADMIN_TOKEN)\n"},
		{problem(418, "teapot", `,"detail":"short and stout"`), "tombola: the server answered 418: short and stout\n"},
		{reply{status: 502, body: "<html>\n<b>bad gateway</b>"}, "tombola: the server answered 502: <html> <b>bad gateway</b>\n"},
		{reply{status: 500}, "tombola: the server answered 500: Internal Server Error\n"},
		{reply{status: 302, header: map[string]string{"Location": "http://elsewhere.example"}}, "tombola: the server answered 302: Found\n"},
	} {
		s := serve(t, c.answer)
		r := run(t, "prize", "resize", "tv", "5", "--server", s.URL)
		r.want(t, ExitRefused)
		if r.errOut != c.want {
			t.Errorf("got  %q\nwant %q", r.errOut, c.want)
		}
		if len(s.requests()) != 1 {
			t.Errorf("%s: asked %d times, want once", strings.TrimSpace(c.want), len(s.requests()))
		}
	}
}

func TestAnAnswerThatIsNoJSONIsToldAsSuch(t *testing.T) {
	s := serve(t, reply{status: 200, body: "hello"})
	run(t, "prize", "show", "tv", "--server", s.URL).want(t, ExitRefused, "GET /v1/prizes/tv: the answer could not be read")
}

func TestAServerThatNeverAnswersIsLeftAfterTheTimeout(t *testing.T) {
	release := make(chan struct{})
	hangs := serveFunc(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	s := serve(t, reply{status: 200, body: granted})
	run(t, "draw", "tv", "--user", "u1", "--timeout", "50ms", "--server", hangs+","+s.URL).want(t, ExitDone, "1-42")
}
