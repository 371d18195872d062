package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"tombola/httpapi/wire"
	"tombola/internal/testcluster"
)

// dev is a running `tombola dev`.
type dev struct {
	process  *testcluster.Process
	out, log *output
}

// output gathers what a process writes. It may be read meanwhile.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func startDev(t *testing.T, data string, port int) *dev {
	t.Helper()
	path, err := testcluster.Binary()
	if err != nil {
		t.Fatal(err)
	}
	d := &dev{out: new(output), log: new(output)}
	cmd := exec.Command(path, "dev", "--data", data, "--http-base", strconv.Itoa(port))
	cmd.Stdout, cmd.Stderr = d.out, d.log
	if d.process, err = testcluster.Spawn(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.process.Kill()
		if t.Failed() {
			t.Logf("tombola dev said:\n%s%s", d.out, d.log)
		}
	})
	return d
}

// printed waits for a line of the output and returns what the pattern's group
// matches in it.
func (d *dev) printed(t *testing.T, pattern string) string {
	t.Helper()
	var found []string
	if err := testcluster.Until(within(t), func(context.Context) error {
		if found = regexp.MustCompile("(?m)" + pattern).FindStringSubmatch(d.out.String()); found == nil {
			return errors.New("the output has no " + pattern)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return found[1]
}

// pasted runs a printed command as a reader would.
func pasted(t *testing.T, command string) (stdout string, err error) {
	t.Helper()
	cmd := exec.CommandContext(within(t), "sh", "-c", command)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s%s", command, err, out, complaints.String())
	}
	return string(out), err
}

// TestQuickStart does what the README's reader does: start `tombola dev`, paste
// the draw, paste the verify, Ctrl-C, and the same again.
func TestQuickStart(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("the printed draw is a curl command, and there is no curl here")
	}
	const ports = 203 // three for HTTP, 100 later for the cluster, 200 later for gossip
	port, err := testcluster.FreePorts(ports)
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "data")
	var grants []wire.DrawResult
	for range 2 {
		d := startDev(t, data, port)
		command := d.printed(t, `^\s*(curl .*/draw .*)$`)
		if token := d.printed(t, `^\s*admin token: (\S+)$`); token == "" {
			t.Error("no admin token is printed")
		}
		verify := d.printed(t, `^\s*(TOMBOLA_SERVER=.* verify)$`)

		out, err := pasted(t, command)
		if err != nil {
			t.Fatal(err)
		}
		var r wire.DrawResult
		if err := json.Unmarshal([]byte(out), &r); err != nil || r.Outcome != wire.Granted || r.Prize != "demo" {
			t.Fatalf("the printed draw answered %s (%v)", out, err)
		}
		grants = append(grants, r)
		if out, err := pasted(t, verify); err != nil {
			t.Error(err)
		} else if strings.TrimSpace(out) == "" {
			t.Error("verify prints nothing")
		}

		if err := d.process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if err := d.process.Wait(within(t)); err != nil {
			t.Errorf("after Ctrl-C: %v", err)
		}
		if log := d.log.String(); strings.Contains(log, "level=ERROR") || strings.Contains(log, "did not stop cleanly") {
			t.Errorf("it logged trouble:\n%s", log)
		}
	}
	if grants[0].Repeat || !grants[1].Repeat || grants[0].GrantID != grants[1].GrantID || grants[0].GrantedAt != grants[1].GrantedAt {
		t.Errorf("the draw answered %+v, and after a restart %+v; want the same grant as a repeat", grants[0], grants[1])
	}
}
