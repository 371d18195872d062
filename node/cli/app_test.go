package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tombola/node/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// result is what a command left behind.
type result struct {
	status      int
	out, errOut string
	pauses      []time.Duration
}

// run carries out a command with a clock that doesn't wait.
func run(t *testing.T, args ...string) result {
	t.Helper()
	return runApp(t, App{}, args...)
}

func runApp(t *testing.T, a App, args ...string) result {
	t.Helper()
	var r result
	var out, errOut strings.Builder
	a.Version, a.Stdout, a.Stderr = "v1.2.3", &out, &errOut
	a.pause = func(ctx context.Context, d time.Duration) error {
		r.pauses = append(r.pauses, d)
		return ctx.Err()
	}
	r.status = a.Run(t.Context(), args)
	r.out, r.errOut = out.String(), errOut.String()
	return r
}

// want compares a result with the status and texts that have to be in it.
func (r result) want(t *testing.T, status int, texts ...string) {
	t.Helper()
	if r.status != status {
		t.Errorf("exit status %d, want %d\nstdout: %s\nstderr: %s", r.status, status, r.out, r.errOut)
	}
	for _, text := range texts {
		if !strings.Contains(r.out+r.errOut, text) {
			t.Errorf("no %q in\nstdout: %s\nstderr: %s", text, r.out, r.errOut)
		}
	}
	if status != ExitDone && r.errOut != "" && strings.Count(r.errOut, "\n") != 1 {
		t.Errorf("standard error is not one line:\n%s", r.errOut)
	}
}

// reply is one answer of a fake server; status 0 closes the connection.
type reply struct {
	status int
	body   string
	header map[string]string
}

// fake is a server that answers with its replies in turn, the last one again
// and again, and remembers what it was asked.
type fake struct {
	*httptest.Server
	mu      sync.Mutex
	replies []reply
	asked   []string // "METHOD /path?query body"
	headers []http.Header
}

func serve(t *testing.T, replies ...reply) *fake {
	t.Helper()
	f := &fake{replies: replies}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	f.asked = append(f.asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
	f.headers = append(f.headers, r.Header)
	answer := f.replies[0]
	if len(f.replies) > 1 {
		f.replies = f.replies[1:]
	}
	f.mu.Unlock()
	if answer.status == 0 {
		panic(http.ErrAbortHandler)
	}
	for name, value := range answer.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(answer.status)
	_, _ = io.WriteString(w, answer.body)
}

// requests returns all requests so far.
func (f *fake) requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

// header returns a header of the nth request.
func (f *fake) header(n int, name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.headers[n].Get(name)
}

// wantAsked compares all requests so far.
func (f *fake) wantAsked(t *testing.T, want ...string) {
	t.Helper()
	if got := f.requests(); !slices.Equal(got, want) {
		t.Errorf("asked\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// nobody returns the URL of a server that is gone.
func nobody(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	return s.URL
}

func problem(status int, code, rest string) reply {
	return reply{status: status, body: `{"type":"about:blank","title":"T","status":0,"code":"` + code + `"` + rest + `}`}
}

func TestHelpAndVersionAreDone(t *testing.T) {
	run(t, "--help").want(t, ExitDone, "Usage: tombola <command>", "serve", "verify")
	run(t, "prize", "create", "--help").want(t, ExitDone, "--release-per-second", "--admin-token-file")
	run(t, "serve", "--help").want(t, ExitDone, "--disk-stall-timeout")
	run(t, "version").want(t, ExitDone, "tombola v1.2.3\n")
}

func TestWrongUsageIsStatusTwoInOneLine(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"conjure"},
		{"prize"},
		{"prize", "create"},
		{"prize", "create", "tv"},
		{"prize", "create", "tv", "--total", "many"},
		{"prize", "create", "tv", "--total", "0"},
		{"prize", "create", "tv", "--total", "1", "--daily-limit=-1"},
		{"prize", "create", "tv", "--total", "1", "--starts-at", "noon"},
		{"prize", "create", "tv", "--total", "1", "--release-burst", "5"},
		{"prize", "create", "tv", "--total", "1", "--release-per-second", "fast"},
		{"prize", "create", "tv", "--total", "1", "--release-per-second", "0"},
		{"prize", "create", "t/v", "--total", "1"},
		{"prize", "show", ".."},
		{"prize", "show", "tv", "-o", "xml"},
		{"prize", "show", "tv", "--server", "ftp://x"},
		{"prize", "show", "tv", "--server", "127.0.0.1:7070"},
		{"prize", "show", "tv", "--server", "http://u:p@h"},
		{"prize", "show", "tv", "--server", ""},
		{"prize", "show", "tv", "--timeout", "0"},
		{"prize", "show", "tv", "--admin-token-file", "/does/not/exist"},
		{"prize", "resize", "tv"},
		{"prize", "resize", "tv", "0"},
		{"prize", "resize", "tv", "10", "--daily-limit", "0"},
		{"prize", "resize", "tv", "10", "--daily-limit", "some"},
		{"prize", "pause", "t v"},
		{"draw", "tv"},
		{"draw", "tv", "--user", " u"},
		{"draw", "t v", "--user", "u"},
		{"draw", "tv", "--user", "u", "--request-id", "ü"},
		{"draw", "tv", "--user", "u", "--count", "0"},
		{"draw", "tv", "--user", "u", "--request-id", "r", "--count", "2"},
		{"grants"},
		{"grants", "1-42", "--user", "u"},
		{"grants", "1-042"},
		{"grants", "1-42", "--prize", "tv"},
		{"grants", "--user", "u", "--prize", "/"},
		{"grants", "--user", "u", "--limit=-1"},
		{"dev", "--http-base", "65334"},
		{"dev", "--mysql", "nonsense"},
		{"dev", "--log-level", "loud"},
		{"dev", "--data", ""},
		{"serve", "--slices", "65"},
		{"serve", "--config", "/does/not/exist"},
		{"serve", "--no-such-flag"},
		{"config", "check", "--retain", "0"},
	} {
		r := run(t, args...)
		r.want(t, ExitUsage)
		if !strings.HasPrefix(r.errOut, "tombola: ") || r.out != "" {
			t.Errorf("%q:\nstdout: %s\nstderr: %s", args, r.out, r.errOut)
		}
	}
}

func TestServeGetsACompleteConfiguration(t *testing.T) {
	var got config.Config
	a := App{Serve: func(_ context.Context, cfg config.Config, logger *slog.Logger) error {
		got = cfg
		logger.Info("hello")
		return nil
	}}
	r := runApp(t, a, "serve", "--node-id", "n1", "--data", "/d", "--bootstrap-expect", "3", "--mysql", "u:p@tcp(h:1)/d", "--log-format", "json")
	r.want(t, ExitDone, `"msg":"hello"`)
	if got.NodeID != "n1" || got.Cluster.Slices != 3 || got.Advertise.HTTP != "127.0.0.1:7070" || got.Reload == nil {
		t.Errorf("got %+v", got)
	}
	a.Serve = func(context.Context, config.Config, *slog.Logger) error {
		return errors.New("node: open bank: disk\nfull")
	}
	runApp(t, a, "serve").want(t, ExitRefused, "tombola: node: open bank: disk full\n")
}

func TestServeWarnsOfWhatIsProbablyNotMeant(t *testing.T) {
	a := App{Serve: func(context.Context, config.Config, *slog.Logger) error { return nil }}
	runApp(t, a, "serve", "--bootstrap-expect", "3").want(t, ExitDone, "level=WARN", "--sqlite")
}

func TestSIGTERMEndsServeAndSIGHUPAsksItToReload(t *testing.T) {
	a := App{Serve: func(ctx context.Context, cfg config.Config, _ *slog.Logger) error {
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			return err
		}
		<-cfg.Reload
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	}}
	runApp(t, a, "serve").want(t, ExitDone)
}

func TestDevGetsItsOptions(t *testing.T) {
	var got DevOptions
	a := App{Dev: func(_ context.Context, d DevOptions, _ *slog.Logger, out io.Writer) error {
		got = d
		_, err := io.WriteString(out, "admin token: x\n")
		return err
	}}
	runApp(t, a, "dev").want(t, ExitDone, "admin token: x\n")
	if want := (DevOptions{Data: "./tombola-data", HTTPBase: 7070, LogLevel: "warn"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestConfigPrintHidesSecrets(t *testing.T) {
	t.Setenv("TOMBOLA_MYSQL", "u:s3cr3t@tcp(h:1)/d")
	t.Setenv("TOMBOLA_ADMIN_TOKEN", "t0k3n")
	r := run(t, "config", "print", "--node-id", "n1")
	r.want(t, ExitDone, "node-id: n1\n", "mysql: u:***@tcp(h:1)/d\n")
	if strings.Contains(r.out, "s3cr3t") || strings.Contains(r.out, "t0k3n") {
		t.Errorf("a secret is there:\n%s", r.out)
	}
}

func TestConfigCheckReadsTheFiles(t *testing.T) {
	run(t, "config", "check").want(t, ExitDone, "ok\n")
	run(t, "config", "check", "--bootstrap-expect", "3").want(t, ExitDone, "warning: --sqlite", "ok\n")
	empty := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "config", "check", "--admin-token-file", empty).want(t, ExitRefused, "--admin-token-file", "is empty")
	run(t, "config", "check", "--tls-cert", empty, "--tls-key", empty).want(t, ExitRefused, "--tls-cert")
	run(t, "config", "check", "--cluster-ca", empty, "--cluster-cert", empty, "--cluster-key", empty).want(t, ExitRefused, "--cluster-cert")
}

func TestAnInterruptedDrawTellsHowToRepeatIt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url := serveFunc(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that its client is gone
		cancel()
		<-r.Context().Done()
	})
	var out, errOut strings.Builder
	a := App{Stdout: &out, Stderr: &errOut}
	status := a.Run(ctx, []string{"draw", "tv", "--user", "u1", "--request-id", "r1", "--server", url})
	if want := "tombola: interrupted (repeat it with --request-id r1)\n"; status != ExitRefused || errOut.String() != want {
		t.Errorf("status %d, said %q, want %q", status, errOut.String(), want)
	}
}
