package testcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// Process is a program that runs beside the test and never outlives it.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait; set before done is closed
}

// Spawn starts cmd. The kernel kills it when this process ends, however that
// ends.
func Spawn(cmd *exec.Cmd) (*Process, error) {
	// A group of its own: Ctrl-C is for the tests.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	theSpawner() <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("testcluster: start %s: %w", cmd.Path, err)
	}
	p := &Process{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
	}()
	return p, nil
}

// theSpawner runs functions on a thread that lives as long as the process: the
// kernel sends the signal on a parent's death when the thread that forked ends.
var theSpawner = sync.OnceValue(func() chan<- func() {
	calls := make(chan func())
	go runSpawner(calls)
	return calls
})

// runSpawner lives as long as the process; tests that look for goroutines that
// were left may leave it out by this name.
func runSpawner(calls <-chan func()) {
	runtime.LockOSThread()
	for call := range calls {
		call()
	}
}

// PID returns the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed once the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Signal sends a signal. To a process that has ended it does nothing.
func (p *Process) Signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("testcluster: signal %d: %w", p.PID(), err)
	}
	return nil
}

// Wait waits until the process has ended, and returns an error unless its exit
// status was 0.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("testcluster: process %d still runs: %w", p.PID(), ctx.Err())
	}
}

// Kill ends the process at once, as a crash would, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // fails only when it has ended
	<-p.done
}

// Run runs the program with the given arguments and returns its output and
// exit status. env is added to the environment.
func Run(ctx context.Context, env []string, args ...string) (stdout, stderr string, status int, err error) {
	path, err := Binary()
	if err != nil {
		return "", "", 0, err
	}
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return out.String(), complaints.String(), exit.ExitCode(), nil
	}
	return out.String(), complaints.String(), 0, err
}
