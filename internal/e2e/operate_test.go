package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"tombola/httpapi/wire"
	"tombola/internal/testcluster"
)

// operatorsSeeTheCluster looks at what operators and their tools ask every
// server for.
func operatorsSeeTheCluster(t *testing.T, c *testcluster.Cluster, _ *sql.DB) {
	create(t, c, "seen", counter(10))
	granted(t, c.Client(0), "seen", "ann", "")
	sunk(t, c)
	for i, client := range c.Clients() {
		t.Run(c.Nodes[i].ID, func(t *testing.T) {
			status, err := client.Cluster(within(t))
			if err != nil {
				t.Fatal(err)
			}
			if status.Node != c.Nodes[i].ID || len(status.Nodes) != 3 || len(status.Groups) != 4 {
				t.Errorf("status %+v; want three nodes, the bank and three slices", status)
			}
			for _, n := range status.Nodes {
				if n.State != "alive" || !n.Ready || n.Error != "" {
					t.Errorf("node %+v", n)
				}
			}
			for _, g := range status.Groups {
				if g.Leader == "" || g.Term == 0 || len(g.Replicas) != 3 || g.Outbox.Lag != 0 || g.Outbox.SinkError != "" {
					t.Errorf("group %+v", g)
				}
			}
			samples := metricsOf(t, client)
			for _, want := range []string{"tombola_"} {
				if !slices.ContainsFunc(samples, func(s string) bool { return strings.HasPrefix(s, want) }) {
					t.Errorf("no metric begins with %s: %v", want, samples)
				}
			}
			answer, err := client.Do(within(t), http.MethodGet, "/openapi.yaml", nil, nil)
			if err != nil || answer.Status != http.StatusOK {
				t.Fatalf("openapi.yaml: %+v, %v", answer, err)
			}
			doc, err := openapi3.NewLoader().LoadFromData(answer.Body)
			if err != nil || doc.Paths.Find("/v1/prizes/{prize}/draw") == nil {
				t.Errorf("openapi.yaml: %v", err)
			}
			for _, probe := range []string{"/livez", "/healthz", "/readyz", "/readyz?verbose"} {
				if a, err := client.Do(within(t), http.MethodGet, probe, nil, nil); err != nil || a.Status != http.StatusOK {
					t.Errorf("%s: %+v, %v", probe, a, err)
				}
			}
		})
	}
}

// metricsOf returns the names of a node's metrics, each line of which must be
// one of the Prometheus text format.
func metricsOf(t *testing.T, client *testcluster.Client) []string {
	t.Helper()
	answer, err := client.Do(within(t), http.MethodGet, "/metrics", nil, nil)
	if err != nil || answer.Status != http.StatusOK {
		t.Fatalf("metrics: %+v, %v", answer, err)
	}
	sample := regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\.)*",?)*\})? ([-+]?[0-9.eE+-]+|NaN|[-+]?Inf)$`)
	var names []string
	lines := bufio.NewScanner(bytes.NewReader(answer.Body))
	for lines.Scan() {
		if line := lines.Text(); line == "" || strings.HasPrefix(line, "# ") {
			continue
		} else if m := sample.FindStringSubmatch(line); m == nil {
			t.Errorf("metrics: %q is no sample", line)
		} else {
			names = append(names, m[1])
		}
	}
	if len(names) == 0 {
		t.Error("there are no metrics")
	}
	return names
}

// TestEachServerLeadsItsShare waits for leadership to settle: three slices, one
// for each server; and again after one was away.
func TestEachServerLeadsItsShare(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{})
	if err := c.WaitSpread(within(t)); err != nil {
		t.Fatal(err)
	}
	create(t, c, "tv", counter(10))
	before := granted(t, c.Client(1), "tv", "ann", "r1")
	if err := c.Nodes[1].Stop(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := testcluster.Until(within(t), func(ctx context.Context) error {
		status, err := c.Client(0).Cluster(ctx)
		if err != nil {
			return err
		}
		for _, g := range status.Groups {
			if g.Leader == "" || g.Leader == "n2" {
				return fmt.Errorf("%s is led by %q", g.Name, g.Leader)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	granted(t, c.Client(2), "tv", "bob", "r1")
	if err := c.Nodes[1].Start(); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitSpread(within(t)); err != nil {
		t.Fatal(err)
	}
	if r := granted(t, c.Client(1), "tv", "ann", "r1"); !r.Repeat || r.GrantID != before.GrantID {
		t.Errorf("after the restart: %+v, before it %+v", r, before)
	}
	answered(t, c.Client(1), "tv", "cem", "r1", wire.Granted)
	sunk(t, c)
	verified(t, c)
	if err := c.Stop(within(t)); err != nil {
		t.Error(err)
	}
}
