package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"tombola/httpapi/wire"
	"tombola/node/config"
	"tombola/raftstore"
)

// devNodes is how many nodes `tombola dev` runs.
const devNodes = 3

// Dev runs a cluster of three nodes in this process until ctx ends, creates the
// prize demo if there is none, and says on out how to draw it.
func Dev(ctx context.Context, d config.DevOptions, logger *slog.Logger, out io.Writer) error {
	token, err := devToken(d.Data)
	if err != nil {
		return err
	}
	nodes, err := openDev(ctx, d, token, logger)
	defer func() { closeAll(nodes) }()
	if err != nil {
		return err
	}
	failed := make(chan error, len(nodes))
	for _, n := range nodes {
		go func() {
			select {
			case err := <-n.Failed():
				failed <- err
			case <-n.ctx.Done():
			}
		}()
	}
	ready := make(chan error, 1)
	go func() { ready <- devPrize(ctx, nodes) }()
	for {
		select {
		case <-ctx.Done():
			_, _ = fmt.Fprintln(out, "stopping")
			return nil
		case err := <-failed:
			return fmt.Errorf("node: stopped by a fault: %w", err)
		case err := <-ready:
			if err == nil {
				greet(out, d, token)
			}
		}
	}
}

// devPrize waits for the cluster and creates the prize demo, unless it is there
// from last time. It tries until ctx ends: a slow machine is no reason to stop.
func devPrize(ctx context.Context, nodes []*Node) error {
	const every = 20 * time.Millisecond
	for _, n := range nodes {
		for !n.backend.Ready(ctx).Ready {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(every):
			}
		}
	}
	spec := wire.PrizeSpec{Kind: wire.KindCounter, Total: 1000, Timezone: wire.DefaultTimezone}
	for {
		tryCtx, cancel := context.WithTimeout(ctx, 5*time.Second)
		_, _, err := nodes[0].backend.PutPrize(tryCtx, "demo", spec, wire.Change{Actor: "dev", IfAbsent: true})
		cancel()
		var problem *wire.Problem
		if err == nil || errors.As(err, &problem) && problem.Code == wire.CodePreconditionFailed {
			return nil
		}
		nodes[0].log.Warn("the prize demo could not be created yet", "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(every):
		}
	}
}

func openDev(ctx context.Context, d config.DevOptions, token string, logger *slog.Logger) ([]*Node, error) {
	var nodes []*Node
	for i := range devNodes {
		n, err := Open(ctx, devConfig(d, i), config.Secrets{AdminToken: token, MySQL: d.MySQL}, logger)
		if err != nil {
			return nodes, err
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// The ports of `tombola dev` follow from the first HTTP port.
const (
	devClusterPorts = 100
	devGossipPorts  = 200
)

// devDiskFloor is small: what is tried out grants little.
const devDiskFloor = 64 << 20

func devConfig(d config.DevOptions, i int) config.Config {
	addr := func(offset int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(d.HTTPBase+offset)) }
	name := "n" + strconv.Itoa(i+1)
	cfg := config.Config{NodeID: name, Data: filepath.Join(d.Data, name), DiskFloor: devDiskFloor, SnapshotBytes: raftstore.DefaultSnapshotBytes}
	cfg.Listen = config.Listen{HTTP: addr(i), Cluster: addr(devClusterPorts + i), Gossip: addr(devGossipPorts + i)}
	cfg.Cluster.BootstrapExpect = devNodes
	for j := range devNodes {
		cfg.Cluster.Join = append(cfg.Cluster.Join, addr(devGossipPorts+j))
	}
	if d.MySQL == "" {
		cfg.Sink.SQLite = filepath.Join(d.Data, "tombola.db")
	}
	cfg.Timing = config.Timing{ElectionTimeout: 500 * time.Millisecond, Retain: 24 * time.Hour}
	return config.Complete(cfg, name)
}

// devToken returns the admin token, a new one the first time.
func devToken(dir string) (string, error) {
	path := filepath.Join(dir, "admin-token")
	text, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("node: admin token: %w", err)
	}
	token := rand.Text()
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", fmt.Errorf("node: admin token: %w", err)
	}
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("node: admin token: %w", err)
	}
	return token, nil
}

func greet(out io.Writer, d config.DevOptions, token string) {
	var urls []string
	for i := range devNodes {
		urls = append(urls, "http://127.0.0.1:"+strconv.Itoa(d.HTTPBase+i))
	}
	_, _ = fmt.Fprintf(out, `Tombola is up: three nodes in one process, data in %s.

  nodes:       %s
  admin token: %s

Draw from the prize "demo" (paste this into another terminal):

  curl -s %s/v1/prizes/demo/draw -H 'Content-Type: application/json' -d '{"user":"ada","request_id":"1"}'

Then compare what was granted with what the sink holds:

  TOMBOLA_SERVER=%s TOMBOLA_ADMIN_TOKEN=%s %s verify

Ctrl-C stops it; started again it goes on where it was.
`, d.Data, strings.Join(urls, " "), token, urls[0], urls[0], token, os.Args[0])
}

// closeAll stops all nodes at once: one after the other, the last ones would
// be left without a majority and try in vain to keep a leader.
func closeAll(nodes []*Node) {
	ctx, cancel := context.WithTimeout(context.Background(), stopWait)
	defer cancel()
	var wg sync.WaitGroup
	for _, n := range nodes {
		n.backend.Drain()
		wg.Go(func() {
			if err := n.Close(ctx); err != nil {
				n.log.Warn("did not stop cleanly", "err", err)
			}
		})
	}
	wg.Wait()
}
