package testcluster

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
)

// Binary returns the path of the program, built from this source when it is
// first asked for and removed when the process ends, however that ends. It may
// be called concurrently.
//
// It is a plain build, also for tests that run with the race detector: three
// servers with it would take most of a small machine's time, and what the
// packages do concurrently is run under it by their own tests.
func Binary() (string, error) {
	b, err := theBinary()
	if err != nil {
		return "", fmt.Errorf("testcluster: build the program: %w", err)
	}
	return b.path, nil
}

var theBinary = sync.OnceValues(build)

// binary is the program in a folder of its own.
type binary struct {
	path string
	// life is the standard input of a shell that removes the folder once the
	// kernel closes it. Nobody else does: it is kept for its being open.
	life io.Closer
}

func build() (*binary, error) {
	root, err := sourceRoot()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tombola-binary-")
	if err != nil {
		return nil, err
	}
	life, err := removeAtEnd(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	b := &binary{path: filepath.Join(dir, "tombola"), life: life}
	cmd := exec.Command("go", "build", "-o", b.path, "./node/tombola")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("%w\n%s", err, out), life.Close())
	}
	return b, nil
}

// sourceRoot finds the module's folder from this file's own place in it.
func sourceRoot() (string, error) {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		return "", errors.New("no source path")
	}
	root := filepath.Join(filepath.Dir(file), "..", "..")
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		return "", fmt.Errorf("find the source (built with -trimpath?): %w", err)
	}
	return root, nil
}

// removeAtEnd has a shell remove dir once what it returns is closed, by the
// caller or by the end of this process.
func removeAtEnd(dir string) (io.Closer, error) {
	cmd := exec.Command("sh", "-c", `read -r _; rm -rf -- "$1"`, "sh", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the tests
	life, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	return life, cmd.Start()
}
