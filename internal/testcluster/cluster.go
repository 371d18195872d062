package testcluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Options say what kind of cluster to run. The zero value is three nodes, one
// SQLite file for all, and the program's own defaults.
type Options struct {
	Dir      string        // for data and logs; tests may leave it out
	Nodes    int           // default 3
	Slices   int           // default one per node
	MySQL    string        // DSN; where empty, the nodes share a SQLite file
	Election time.Duration // --election-timeout where not 0
	Args     []string      // further flags of every node
	Clocks   bool          // whether nodes' clocks can be set wrong (Node.SetClock)
	Clock    time.Duration // how wrong they are at first
	Env      []string      // further variables of every node
	Conns    int           // connections that clients keep open to a node; default 256
}

// Cluster is a running cluster of separate processes.
type Cluster struct {
	Nodes []*Node
	// Token is the admin token, in the file TokenFile.
	Token, TokenFile string

	http *http.Client
}

// patience bounds a wait that takes a second or two on an idle machine.
const patience = 90 * time.Second

// Start runs a cluster until the test ends, and returns once it is ready (see
// WaitReady). When the test fails it shows the ends of the nodes' logs.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	c, err := Launch(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Kill()
		if t.Failed() {
			for _, n := range c.Nodes {
				t.Log(n.Tail(40))
			}
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return c
}

// Launch starts a cluster and returns at once. Kill ends it.
func Launch(o Options) (*Cluster, error) {
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	if o.Conns == 0 {
		o.Conns = 256
	}
	c := &Cluster{Token: rand.Text(), TokenFile: filepath.Join(o.Dir, "admin-token"), http: NewHTTP(o.Conns)}
	if err := os.WriteFile(c.TokenFile, []byte(c.Token+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("testcluster: %w", err)
	}
	const portsPerNode = 3
	first, err := FreePorts(o.Nodes * portsPerNode)
	if err != nil {
		return nil, err
	}
	var gossip []string
	for i := range o.Nodes {
		gossip = append(gossip, localAddr(first+portsPerNode*i+2))
	}
	for i := range o.Nodes {
		id := "n" + strconv.Itoa(i+1)
		n := &Node{
			ID: id, HTTP: localAddr(first + portsPerNode*i), env: o.Env,
			Data: filepath.Join(o.Dir, id), Log: filepath.Join(o.Dir, id+".log"),
		}
		n.args = []string{
			"serve", "--node-id", id, "--data", n.Data, "--admin-token-file", c.TokenFile,
			"--http", n.HTTP, "--cluster", localAddr(first + portsPerNode*i + 1), "--gossip", gossip[i],
			"--bootstrap-expect", strconv.Itoa(o.Nodes), "--slices", strconv.Itoa(o.Slices),
		}
		if o.Nodes > 1 {
			n.args = append(n.args, "--join", strings.Join(gossip, ","))
		}
		if o.MySQL != "" {
			n.args = append(n.args, "--mysql", o.MySQL)
		} else {
			n.args = append(n.args, "--sqlite", filepath.Join(o.Dir, "tombola.db"))
		}
		if o.Election != 0 {
			n.args = append(n.args, "--election-timeout", o.Election.String())
		}
		if o.Clocks {
			n.clock = filepath.Join(o.Dir, id+".clock")
			n.args = append(n.args, "--chaos-clock-file", n.clock)
			if err := n.SetClock(o.Clock); err != nil {
				return nil, err
			}
		}
		n.args = append(n.args, o.Args...)
		c.Nodes = append(c.Nodes, n)
	}
	for _, n := range c.Nodes {
		if err := n.Start(); err != nil {
			c.Kill()
			return nil, err
		}
	}
	return c, nil
}

// Kill ends all nodes at once. It may be called more than once.
func (c *Cluster) Kill() {
	for _, n := range c.Nodes {
		n.Kill()
	}
	c.http.CloseIdleConnections()
}

// Stop asks all nodes at once to drain and stop, and waits until they have.
func (c *Cluster) Stop(ctx context.Context) error {
	errs := make([]error, len(c.Nodes))
	var wg sync.WaitGroup
	for i, n := range c.Nodes {
		wg.Go(func() { errs[i] = n.Stop(ctx) })
	}
	wg.Wait()
	c.http.CloseIdleConnections()
	return errors.Join(errs...)
}

// Client returns a client of node i. All clients share their connections.
func (c *Cluster) Client(i int) *Client {
	return &Client{URL: c.URL(i), Token: c.Token, HTTP: c.http}
}

// Clients returns a client of each node.
func (c *Cluster) Clients() []*Client {
	var all []*Client
	for i := range c.Nodes {
		all = append(all, c.Client(i))
	}
	return all
}

// URL returns the base URL of node i.
func (c *Cluster) URL(i int) string { return "http://" + c.Nodes[i].HTTP }

// URLs returns the base URLs of all nodes, as --server takes them.
func (c *Cluster) URLs() string {
	var all []string
	for i := range c.Nodes {
		all = append(all, c.URL(i))
	}
	return strings.Join(all, ",")
}
