package raftstore

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tombola/raftstore/mux"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testElection = 150 * time.Millisecond

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// receipt is what a proposer passes along.
type receipt struct{ position int }

// register is a tiny machine: it lists what it was given.
type register struct {
	mu       sync.Mutex
	entries  []string
	receipts int // how often an into came along
	restores int
	broken   error // Apply's next error
}

func (r *register) Apply(entry []byte, into any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken != nil {
		return r.broken
	}
	r.entries = append(r.entries, string(entry))
	if into != nil {
		r.receipts++
		into.(*receipt).position = len(r.entries)
	}
	return nil
}

func (r *register) Snapshot() (Image, error) {
	return registerImage(slices.Clone(r.list())), nil
}

func (r *register) Restore(from io.Reader) error {
	var entries []string
	if err := gob.NewDecoder(from).Decode(&entries); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries = entries
	r.restores++
	return nil
}

func (r *register) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.entries)
}

func (r *register) counts() (receipts, restores int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.receipts, r.restores
}

type registerImage []string

func (i registerImage) Persist(w io.Writer) error { return gob.NewEncoder(w).Encode([]string(i)) }
func (registerImage) Release()                    {}

// reign is one call of Lead.
type reign struct {
	server string
	term   uint64
	seen   int // entries that the machine had applied when it began
}

// server is one member: its mux and one group.
type server struct {
	id, addr, dir string
	mux           *mux.Mux
	group         *Group
	machine       *register
	fatal         chan error
}

// cluster is one group on three servers.
type cluster struct {
	t       testing.TB
	number  uint16
	id      mux.ClusterID
	edit    func(*Options)
	logger  *slog.Logger
	servers []*server

	mu     sync.Mutex
	reigns []reign
	active int // Leads that are running
}

func testLogger(t testing.TB) *slog.Logger {
	level := slog.LevelError + 4
	if testing.Verbose() && os.Getenv("RAFTSTORE_TEST_LOG") != "" {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})).With("test", t.Name())
}

// newCluster opens group number on three servers and waits for a leader.
func newCluster(t testing.TB, number uint16, edit func(*Options)) *cluster {
	t.Helper()
	c := &cluster{t: t, number: number, id: mux.ClusterID{byte(number)}, edit: edit, logger: testLogger(t)}
	for i := range 3 {
		s := &server{id: fmt.Sprintf("n%d.0000000%d", i+1, i+1), dir: filepath.Join(t.TempDir(), "group")}
		c.servers = append(c.servers, s)
		c.listen(s, "127.0.0.1:0")
	}
	t.Cleanup(c.close)
	for _, s := range c.servers {
		c.open(s)
	}
	c.leader()
	return c
}

func (c *cluster) listen(s *server, addr string) {
	c.t.Helper()
	// The port of a server that was closed may take a moment to come free.
	eventually(c.t, "listening", func() bool {
		m, err := mux.Listen(mux.Config{Addr: addr, ClusterID: c.id, Server: s.id, Logger: c.logger})
		s.mux = m
		return err == nil
	})
	s.addr = s.mux.Addr().String()
}

func (c *cluster) members() []Server {
	var all []Server
	for _, s := range c.servers {
		all = append(all, Server{ID: s.id, Addr: s.addr})
	}
	return all
}

func (c *cluster) options(s *server) Options {
	opts := Options{
		Group:     c.number,
		Dir:       s.dir,
		Local:     s.id,
		Advertise: s.addr,
		Layer:     s.mux.StreamLayer(c.number),
		Machine:   s.machine,
		Bootstrap: c.members(),
		Election:  testElection,
		Logger:    c.logger.With("server", s.id),
		Fatal:     func(err error) { s.fatal <- err },
		Lead: func(ctx context.Context, term uint64) {
			c.mu.Lock()
			c.reigns = append(c.reigns, reign{server: s.id, term: term, seen: len(s.machine.list())})
			c.active++
			c.mu.Unlock()
			<-ctx.Done()
			c.mu.Lock()
			c.active--
			c.mu.Unlock()
		},
	}
	if c.edit != nil {
		c.edit(&opts)
	}
	return opts
}

// open starts a member with an empty machine, as after a restart.
func (c *cluster) open(s *server) {
	c.t.Helper()
	s.machine = new(register)
	s.fatal = make(chan error, 1)
	g, err := Open(c.options(s))
	if err != nil {
		c.t.Fatal(err)
	}
	s.group = g
}

// stop shuts a member down and leaves its files.
func (c *cluster) stop(s *server) {
	c.t.Helper()
	if s.group != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.group.Shutdown(ctx); err != nil {
			c.t.Error(err)
		}
		s.group = nil
	}
	if err := s.mux.Close(); err != nil {
		c.t.Error(err)
	}
}

func (c *cluster) restart(s *server) {
	c.t.Helper()
	c.listen(s, s.addr)
	c.open(s)
}

func (c *cluster) close() {
	for _, s := range c.servers {
		c.stop(s)
	}
}

// leader waits until one of the running members leads.
func (c *cluster) leader() *server {
	c.t.Helper()
	var found *server
	eventually(c.t, "a leader", func() bool {
		for _, s := range c.servers {
			if s.group == nil {
				continue
			}
			if _, ok := s.group.Leading(); ok {
				found = s
				return true
			}
		}
		return false
	})
	return found
}

func (c *cluster) followers() []*server {
	leader := c.leader()
	return slices.DeleteFunc(slices.Clone(c.servers), func(s *server) bool { return s == leader })
}

func entry(text string) []byte { return append(make([]byte, EntryHeadroom), text...) }

// propose has the leader log text, whoever that is by then.
func (c *cluster) propose(text string) {
	c.t.Helper()
	eventually(c.t, "propose "+text, func() bool {
		err := c.leader().group.Propose(entry(text), nil)
		if errors.Is(err, ErrUnknown) {
			c.t.Fatal(err)
		}
		return err == nil
	})
}

// agree waits until all running members have applied exactly these entries.
func (c *cluster) agree(want []string) {
	c.t.Helper()
	for _, s := range c.servers {
		if s.group == nil {
			continue
		}
		eventually(c.t, s.id+" applies the same", func() bool { return slices.Equal(s.machine.list(), want) })
	}
}

func (c *cluster) noFatal() {
	c.t.Helper()
	for _, s := range c.servers {
		select {
		case err := <-s.fatal:
			c.t.Errorf("%s: %v", s.id, err)
		default:
		}
	}
}

func texts(prefix string, n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("%s%d", prefix, i))
	}
	return all
}

func large(n int) string { return string(bytes.Repeat([]byte("x"), n)) }
