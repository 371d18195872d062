package testcluster

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Database is an empty schema of its own in the test process's MariaDB server.
type Database struct {
	// DSN reaches the schema over TCP, in go-sql-driver's form.
	DSN string
	// Addr is the server's host and port.
	Addr string
	// Schema is the schema's name.
	Schema string
}

// theServer starts the process's one MariaDB server when it is first asked
// for. It is the package's only variable: tests of one process share the
// server because starting one costs about a second.
var theServer = sync.OnceValues(startServer)

// MariaDB returns a fresh schema in a throwaway MariaDB server, which is
// started once per process and ends with the process, however that ends. The
// schema is dropped when the test ends. It may be called concurrently.
//
// Where MariaDB is not installed the test fails: scripts/mariadb.sh installs it.
func MariaDB(t testing.TB) *Database {
	t.Helper()
	s, err := theServer()
	if err != nil {
		t.Fatalf("testcluster: %v", err)
	}
	schema := "test_" + strconv.FormatInt(s.schemas.Add(1), 10)
	if err := s.exec("CREATE DATABASE " + schema); err != nil {
		t.Fatalf("testcluster: create schema %s: %v", schema, err)
	}
	t.Cleanup(func() {
		if err := s.exec("DROP DATABASE " + schema); err != nil {
			t.Errorf("testcluster: drop schema %s: %v", schema, err)
		}
	})
	return &Database{DSN: s.dsn(schema), Addr: s.addr, Schema: schema}
}

// server is a running MariaDB.
type server struct {
	addr    string
	schemas atomic.Int64
	// life is the standard input of the script that runs the server. The
	// kernel closes it when this process ends, which ends the server.
	life io.WriteCloser
}

func (s *server) dsn(schema string) string {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd = "tombola", "tombola"
	cfg.Net, cfg.Addr = "tcp", s.addr
	cfg.DBName = schema
	return cfg.FormatDSN()
}

func (s *server) exec(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	db, err := sql.Open("mysql", s.dsn(""))
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, statement)
	return err
}

// startServer starts a server on a free port. Between finding the port and
// listening on it another process may take it, so it tries more than once.
func startServer() (*server, error) {
	var errs []error
	for range 3 {
		s, err := startServerOnce()
		if err == nil {
			return s, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("start mariadb (scripts/mariadb.sh install installs it): %w", errors.Join(errs...))
}

func startServerOnce() (*server, error) {
	script, err := scriptPath()
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tombola-mariadb-")
	if err != nil {
		return nil, err
	}
	var complaint strings.Builder
	cmd := exec.Command(script, "run", dir, strconv.Itoa(port))
	// A group of its own: Ctrl-C ends the tests, whose end then ends the server.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	life, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	// The server must hold none of our own outputs: "go test" waits until all
	// who hold them are gone.
	errs, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", script, err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if line != "ready\n" {
		_ = life.Close()
		_, _ = io.Copy(&complaint, errs)
		_ = cmd.Wait()
		return nil, fmt.Errorf("%s run: %s", script, strings.TrimSpace(complaint.String()))
	}
	return &server{addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), life: life}, nil
}

// scriptPath finds scripts/mariadb.sh from this file's own place in the source.
func scriptPath() (string, error) {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		return "", errors.New("no source path")
	}
	path := filepath.Join(filepath.Dir(file), "..", "..", "scripts", "mariadb.sh")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("find scripts/mariadb.sh (built with -trimpath?): %w", err)
	}
	return path, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}
