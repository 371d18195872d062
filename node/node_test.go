package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tombola/httpapi"
	"tombola/httpapi/wire"
	"tombola/node/config"
)

// TestMain looks for goroutines left over. fasthttp's clock runs for as long as
// the process, and the workers of its pools end a while after their server.
func TestMain(m *testing.M) {
	code := m.Run()
	ignore := []goleak.Option{
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	}
	var leak error
	for end := time.Now().Add(patience); code == 0 && time.Now().Before(end); {
		if leak = goleak.Find(ignore...); leak == nil {
			break
		}
	}
	if leak != nil {
		fmt.Fprintln(os.Stderr, leak)
		code = 1
	}
	os.Exit(code)
}

// patience bounds every wait of these tests.
const patience = 20 * time.Second

// closing bounds a Close, which needs a fraction of it.
const closing = 8 * time.Second

// free returns an address on which nobody listens.
func free(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

func alone(t *testing.T, dir string) config.Config {
	t.Helper()
	cfg := config.Config{NodeID: "n1", Data: dir}
	cfg.Listen = config.Listen{HTTP: free(t), Cluster: free(t), Gossip: free(t)}
	cfg.Cluster = config.Cluster{BootstrapExpect: 1, Slices: 2}
	cfg.Timing = config.Timing{ElectionTimeout: 100 * time.Millisecond, Retain: time.Hour}
	return config.Complete(cfg, "n1")
}

func start(t *testing.T, cfg config.Config) *Node {
	t.Helper()
	n, err := Open(t.Context(), cfg, config.Secrets{AdminToken: "secret"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// end closes a node, in time and without an error.
func end(t *testing.T, n *Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	began := time.Now()
	if err := n.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
	t.Logf("closed within %s", time.Since(began).Round(time.Millisecond))
}

func ready(t *testing.T, n *Node) {
	t.Helper()
	for end := time.Now().Add(patience); ; <-time.After(5 * time.Millisecond) {
		select {
		case err := <-n.Failed():
			t.Fatal(err)
		default:
		}
		r := n.backend.Ready(t.Context())
		all := r.Ready
		for _, c := range r.Checks {
			all = all && c.OK
		}
		if all {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not ready: %+v", r)
		}
	}
}

// call puts a request to a node over HTTP and returns the answer's status.
func call(t *testing.T, n *Node, method, path string, body, into any) int {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+n.cfg.Listen.HTTP+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer secret")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			t.Fatalf("%s %s: %s: %v", method, path, answer, err)
		}
	}
	return resp.StatusCode
}

// answer is what a client reads of a draw's answer.
type answer struct {
	Outcome string `json:"outcome"`
	GrantID string `json:"grant_id"`
	Repeat  bool   `json:"repeat"`
	Code    string `json:"code"`
}

func draw(t *testing.T, n *Node, user, request string) (a answer) {
	t.Helper()
	body := map[string]string{"user": user}
	if request != "" {
		body["request_id"] = request
	}
	call(t, n, http.MethodPost, "/v1/prizes/tea/draw", body, &a)
	return a
}

func verified(t *testing.T, n *Node) {
	t.Helper()
	report, err := n.backend.Verify(t.Context())
	if err != nil || !report.OK {
		t.Fatalf("verify: %v, %+v", err, report)
	}
}

func TestANodeKeepsWhatItGranted(t *testing.T) {
	cfg := alone(t, t.TempDir())
	n := start(t, cfg)
	ready(t, n)
	spec := wire.PrizeSpec{Kind: wire.KindCounter, Total: 20, Timezone: "UTC"}
	if _, created, err := n.backend.PutPrize(t.Context(), "tea", spec, wire.Change{Actor: "test"}); err != nil || !created {
		t.Fatalf("created %v, %v", created, err)
	}
	first := make(map[string]string)
	for i := range 20 {
		user := fmt.Sprintf("user-%d", i)
		a := draw(t, n, user, "r")
		if a.Outcome != "granted" || a.Repeat {
			t.Fatalf("draw %d: %+v", i, a)
		}
		first[user] = a.GrantID
	}
	if a := draw(t, n, "late", "r"); a.Outcome != "sold_out" {
		t.Fatalf("beyond the total: %+v", a)
	}
	verified(t, n)

	_, err := Open(t.Context(), alone(t, cfg.Data), config.Secrets{AdminToken: "secret"}, slog.New(slog.DiscardHandler))
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("a second node on the data directory: %v", err)
	}
	if a := draw(t, n, "user-0", "r"); a.GrantID != first["user-0"] || !a.Repeat {
		t.Fatalf("the first node suffers from the second: %+v", a)
	}
	end(t, n)

	n = start(t, cfg)
	ready(t, n)
	for user, id := range first {
		if a := draw(t, n, user, "r"); a.Outcome != "granted" || a.GrantID != id || !a.Repeat {
			t.Fatalf("%s after the restart: %+v, want %s again", user, a, id)
		}
	}
	if a := draw(t, n, "late", "r"); a.Outcome != "sold_out" {
		t.Fatalf("beyond the total, after the restart: %+v", a)
	}
	verified(t, n)
	end(t, n)
}

// TestConditionsOfAChangeHold makes changes whose If-None-Match does not hold,
// and looks at what the cluster says of its replicas.
func TestConditionsOfAChangeHold(t *testing.T) {
	n := start(t, alone(t, t.TempDir()))
	ready(t, n)
	if status := call(t, n, http.MethodPut, "/admin/v1/prizes/tea", map[string]any{"total": 5}, nil); status != http.StatusCreated {
		t.Fatalf("create: %d", status)
	}
	absent := wire.Change{Actor: "test", IfAbsent: true}
	problem := func(err error) wire.Code {
		var p *wire.Problem
		if errors.As(err, &p) {
			return p.Code
		}
		return wire.NoProblem
	}
	if _, err := n.backend.PatchPrize(t.Context(), "tea", wire.PrizePatch{Total: wire.To(int64(6))}, absent); problem(err) != wire.CodePreconditionFailed {
		t.Errorf("change of a prize that should not be there: %v", err)
	}
	if _, err := n.backend.DeletePrize(t.Context(), "tea", absent); problem(err) != wire.CodePreconditionFailed {
		t.Errorf("deletion of a prize that should not be there: %v", err)
	}
	if _, err := n.backend.DeletePrize(t.Context(), "coffee", absent); problem(err) != wire.CodeUnknownPrize {
		t.Errorf("deletion of a prize that is not there: %v", err)
	}
	const most = math.MaxUint64 // not a version that could be in a log
	if _, err := n.backend.PatchPrize(t.Context(), "tea", wire.PrizePatch{}, wire.Change{Actor: "test", IfVersion: most}); problem(err) != wire.CodePreconditionFailed {
		t.Errorf("change of a version that can't be: %v", err)
	}
	long := wire.Change{Actor: strings.Repeat("x", 1000)}
	if _, err := n.backend.PatchPrize(t.Context(), "tea", wire.PrizePatch{}, long); problem(err) != wire.CodeInvalid {
		t.Errorf("change that could not be read back: %v", err)
	}
	var created atomic.Int64
	var creators sync.WaitGroup
	for i := range 20 {
		creators.Go(func() {
			spec := wire.PrizeSpec{Kind: wire.KindCounter, Total: int64(100 + i), Timezone: "UTC"}
			switch d, is, err := n.backend.PutPrize(t.Context(), "rush", spec, absent); {
			case is && err == nil:
				created.Add(d.Total)
			case problem(err) != wire.CodePreconditionFailed:
				t.Errorf("one of many that create a prize: %v", err)
			}
		})
	}
	creators.Wait()
	if d, err := n.backend.Prize(t.Context(), "rush"); err != nil || d.Version != 1 || d.Total != created.Load() {
		t.Errorf("%+v, %v; its creators were told %d", d, err, created.Load())
	}
	if d, err := n.backend.Prize(t.Context(), "tea"); err != nil || d.Total != 5 || d.Status != wire.StatusActive || d.Version != 1 {
		t.Errorf("afterwards: %+v, %v", d, err)
	}
	cl, err := n.backend.Cluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range cl.Groups {
		for _, r := range g.Replicas {
			if r.Node == g.Leader && r.LastContactMS != nil {
				t.Errorf("%s: its leader heard from a leader %d ms ago", g.Name, *r.LastContactMS)
			}
		}
	}
	end(t, n)
}

func TestANodeThatFindsNoClusterCanBeClosed(t *testing.T) {
	cfg := alone(t, t.TempDir())
	cfg.Cluster.BootstrapExpect = 3
	cfg.Cluster.Join = []string{free(t), free(t)}
	n := start(t, cfg)
	if r := n.backend.Ready(t.Context()); r.Ready || r.Code != wire.CodeNotReady {
		t.Fatalf("readiness %+v", r)
	}
	if a := draw(t, n, "ada", ""); a.Code != "not_ready" {
		t.Fatalf("draw: %+v", a)
	}
	n.HandOver(t.Context())
	n.Drain()
	end(t, n)
}

func TestANodeCanBeStoppedAtAnyMomentOfItsStart(t *testing.T) {
	cfg := alone(t, t.TempDir())
	for i := range 8 {
		n := start(t, cfg)
		select {
		case <-n.opened:
		case <-time.After(time.Duration(i) * 10 * time.Millisecond):
		}
		n.HandOver(t.Context())
		n.Drain()
		end(t, n)
	}
	n := start(t, cfg)
	ready(t, n)
	end(t, n)
}

func TestANodeThatCantListenLeavesNothingBehind(t *testing.T) {
	cfg := alone(t, t.TempDir())
	ln, err := net.Listen("tcp", cfg.Listen.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), cfg, config.Secrets{}, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("opened")
	}
	_ = ln.Close()
	n := start(t, cfg)
	ready(t, n)
	end(t, n)
}

func TestANodeWhoseGroupsCantBeOpenedSaysSo(t *testing.T) {
	cfg := alone(t, t.TempDir())
	if err := os.WriteFile(filepath.Join(cfg.Data, "groups"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n := start(t, cfg)
	select {
	case err := <-n.Failed():
		t.Log(err)
	case <-time.After(patience):
		t.Fatal("nothing was said")
	}
	end(t, n)
}

// TestEveryDrawIsAnsweredThroughAClose draws past HTTP, which would wait for
// what is under way: peers' draws come in like this.
func TestEveryDrawIsAnsweredThroughAClose(t *testing.T) {
	n := start(t, alone(t, t.TempDir()))
	ready(t, n)
	spec := wire.PrizeSpec{Kind: wire.KindCounter, Total: 1_000_000, Timezone: "UTC"}
	if _, _, err := n.backend.PutPrize(t.Context(), "tea", spec, wire.Change{Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	var drawing sync.WaitGroup
	closed, granted := make(chan struct{}), make(chan struct{}, 1)
	for i := range 16 {
		user := fmt.Appendf(nil, "user-%d", i)
		drawing.Go(func() {
			for k := 0; ; k++ {
				d := httpapi.Draw{Prize: []byte("tea"), User: user, Timeout: closing}
				if k%2 == 0 {
					d.RequestID = fmt.Appendf(nil, "r-%d", k)
				}
				n.backend.Draw(&d)
				switch {
				case d.Problem == 0:
					select {
					case granted <- struct{}{}:
					default:
					}
				case d.Problem != wire.CodeNoLeader && d.Problem != wire.CodeUnknownOutcome && d.Problem != wire.CodeDraining:
					t.Errorf("%v: %s", d.Problem, d.Detail)
					return
				}
				select {
				case <-closed:
					return
				default:
				}
			}
		})
	}
	<-granted
	end(t, n)
	close(closed)
	drawing.Wait()
}
