package testcluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Node is one server of a Cluster: a process of its own, which can be stopped
// and started again with the same data and addresses. Its methods are for one
// goroutine.
type Node struct {
	ID   string
	HTTP string // host:port
	Data string // directory
	Log  string // file that takes standard output and error, of all starts

	args    []string
	env     []string
	clock   string // the file that says how wrong its clock is
	process *Process
}

// Start starts the node; that it is ready shows in /readyz.
func (n *Node) Start() error {
	path, err := Binary()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(n.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("testcluster: %w", err)
	}
	defer log.Close() // the process has its own
	cmd := exec.Command(path, n.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), n.env...)
	n.process, err = Spawn(cmd)
	return err
}

// Process returns the node's process, nil before the first start.
func (n *Node) Process() *Process { return n.process }

// Running reports whether the node's process lives.
func (n *Node) Running() bool {
	if n.process == nil {
		return false
	}
	select {
	case <-n.process.Done():
		return false
	default:
		return true
	}
}

// Stop asks the node to drain and stop, and waits until it has. The error says
// so when its exit status was not 0.
func (n *Node) Stop(ctx context.Context) error {
	if n.process == nil {
		return nil
	}
	if err := n.process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := n.process.Wait(ctx); err != nil {
		return fmt.Errorf("testcluster: stop %s: %w", n.ID, err)
	}
	return nil
}

// SetClock sets the node's clock wrong by so much from now on, if the cluster
// has Options.Clocks.
func (n *Node) SetClock(by time.Duration) error {
	// By renaming, so that the node sees all of it or nothing.
	next := n.clock + ".next"
	if err := os.WriteFile(next, []byte(by.String()), 0o600); err != nil {
		return fmt.Errorf("testcluster: %w", err)
	}
	if err := os.Rename(next, n.clock); err != nil {
		return fmt.Errorf("testcluster: %w", err)
	}
	return nil
}

// Kill ends the node as a crash of its process would.
func (n *Node) Kill() {
	if n.process != nil {
		n.process.Kill()
	}
}

// Restart stops the node and starts it again.
func (n *Node) Restart(ctx context.Context) error {
	if err := n.Stop(ctx); err != nil {
		return err
	}
	return n.Start()
}

// Logged returns the lines of the log that contain one of the given texts.
func (n *Node) Logged(texts ...string) []string {
	data, _ := os.ReadFile(n.Log) // no log, no lines
	var found []string
	for line := range bytes.Lines(data) {
		for _, text := range texts {
			if bytes.Contains(line, []byte(text)) {
				found = append(found, string(bytes.TrimSpace(line)))
				break
			}
		}
	}
	return found
}

// Tail returns the last lines of the log.
func (n *Node) Tail(lines int) string {
	data, err := os.ReadFile(n.Log)
	if err != nil {
		return err.Error()
	}
	start := len(data)
	for range lines + 1 {
		if start = bytes.LastIndexByte(data[:start], '\n'); start < 0 {
			break
		}
	}
	return fmt.Sprintf("--- %s\n%s", filepath.Base(n.Log), data[start+1:])
}
