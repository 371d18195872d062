package testcluster

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// OwnMariaDB is a MariaDB server of a test's own, to be broken. Its methods are
// for one goroutine.
type OwnMariaDB struct {
	// DSN reaches an empty schema as a user who can't write to a read-only
	// server.
	DSN string
	// Root reaches it as one who may do everything.
	Root string

	dir, script string
	port        int
	process     *Process
}

// StartMariaDB starts a server in an empty directory, whose file system is the
// server's to fill. It ends with the test.
func StartMariaDB(t testing.TB, dir string) *OwnMariaDB {
	t.Helper()
	script, err := scriptPath()
	if err != nil {
		t.Fatal(err)
	}
	port, err := FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	m := &OwnMariaDB{dir: dir, script: script, port: port}
	m.Root, m.DSN = m.dsn("tombola"), m.dsn("plain")
	t.Cleanup(func() {
		if m.process != nil {
			m.process.Kill()
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := m.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"CREATE USER plain@'127.0.0.1' IDENTIFIED BY 'plain'",
		"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX ON tombola.* TO plain@'127.0.0.1'",
	} {
		if err := m.Exec(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func (m *OwnMariaDB) dsn(user string) string {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd = user, user
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(m.port))
	cfg.DBName = "tombola"
	return cfg.FormatDSN()
}

// Exec runs a statement as root.
func (m *OwnMariaDB) Exec(ctx context.Context, statement string) error {
	db, err := sql.Open("mysql", m.Root)
	if err != nil {
		return fmt.Errorf("testcluster: %w", err)
	}
	defer db.Close()
	if _, err = db.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("testcluster: %s: %w", statement, err)
	}
	return nil
}

// Kill ends the server as a crash would.
func (m *OwnMariaDB) Kill() { m.process.Kill() }

// Freeze stops the server in its tracks: it accepts connections and says
// nothing.
func (m *OwnMariaDB) Freeze() error { return m.process.Signal(syscall.SIGSTOP) }

// Thaw lets it go on.
func (m *OwnMariaDB) Thaw() error { return m.process.Signal(syscall.SIGCONT) }

// Restart starts the server, killed or not started yet, with the data that it
// has, and waits until it answers.
func (m *OwnMariaDB) Restart(ctx context.Context) (err error) {
	cmd := exec.Command(m.script, "exec", m.dir, strconv.Itoa(m.port))
	if m.process, err = Spawn(cmd); err != nil {
		return err
	}
	return Until(ctx, func(ctx context.Context) error {
		select {
		case <-m.process.Done():
			return fmt.Errorf("testcluster: mariadb ended: see %s/mariadb.log", m.dir)
		default:
		}
		return m.Exec(ctx, "DO 1")
	})
}
