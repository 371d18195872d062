package testcluster

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// Usage is what a node holds at a moment.
type Usage struct {
	Files      int // open file descriptors
	Goroutines int
	Resident   int64 // bytes of memory
	LogLines   int   // written so far
}

// Usage returns what node i holds now.
func (c *Cluster) Usage(ctx context.Context, i int) (u Usage, err error) {
	n := c.Nodes[i]
	proc := "/proc/" + strconv.Itoa(n.process.PID())
	files, err := os.ReadDir(proc + "/fd")
	if err != nil {
		return u, fmt.Errorf("testcluster: %w", err)
	}
	u.Files = len(files)
	status, err := os.ReadFile(proc + "/status")
	if err != nil {
		return u, fmt.Errorf("testcluster: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if kib, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			u.Resident, _ = strconv.ParseInt(strings.Fields(kib)[0], 10, 64)
			u.Resident <<= 10
		}
	}
	log, err := os.ReadFile(n.Log)
	if err != nil {
		return u, fmt.Errorf("testcluster: %w", err)
	}
	u.LogLines = bytes.Count(log, []byte("\n"))
	client := c.Client(i)
	a, err := client.Do(ctx, http.MethodGet, "/debug/pprof/goroutine?debug=1", nil, http.Header{"Authorization": {"Bearer " + c.Token}})
	if err != nil {
		return u, err
	}
	if _, err := fmt.Sscanf(string(a.Body), "goroutine profile: total %d", &u.Goroutines); err != nil {
		return u, fmt.Errorf("testcluster: goroutines: answer %d: %w", a.Status, err)
	}
	return u, nil
}

// ClusterAddr is where the other nodes reach this one.
func (n *Node) ClusterAddr() string { return n.port(1) }

// GossipAddr is where it gossips, by TCP and UDP.
func (n *Node) GossipAddr() string { return n.port(2) }

func (n *Node) port(offset int) string {
	_, text, _ := net.SplitHostPort(n.HTTP)
	port, _ := strconv.Atoi(text)
	return localAddr(port + offset)
}
