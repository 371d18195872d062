package membership

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain looks for goroutines left over. Gossip's own probes outlive its
// shutdown by their timeout, a second or two: look until they are gone.
func TestMain(m *testing.M) {
	code := m.Run()
	var leak error
	for end := time.Now().Add(10 * time.Second); code == 0 && time.Now().Before(end); {
		if leak = goleak.Find(); leak == nil {
			break
		}
	}
	if leak != nil {
		fmt.Fprintln(os.Stderr, leak)
		code = 1
	}
	os.Exit(code)
}

// logBook collects a server's log for tests that look into it.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBook) has(parts ...string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, line := range strings.Split(b.text.String(), "\n") {
		all := true
		for _, p := range parts {
			all = all && strings.Contains(line, p)
		}
		if all {
			return true
		}
	}
	return false
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

type server struct {
	*Membership
	log     *logBook
	options Options
}

// open starts a server on a free port of the loopback interface. It is closed
// when the test ends.
func open(t *testing.T, dir, node string, change func(*Options)) *server {
	t.Helper()
	s := &server{log: &logBook{}}
	s.options = Options{
		NodeID: node, DataDir: dir, Expect: 3,
		GossipAddr: "127.0.0.1:0", ClusterAddr: node + ".example:7001", HTTPAddr: node + ".example:7000",
		Logger: slog.New(slog.NewTextHandler(s.log, nil)),
	}
	if change != nil {
		change(&s.options)
	}
	m, err := Open(s.options)
	if err != nil {
		t.Fatal(err)
	}
	s.Membership = m
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", node, s.log)
		}
	})
	return s
}

func join(addrs ...string) func(*Options) {
	return func(o *Options) { o.Join = addrs }
}

func await(t *testing.T, s *server) Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := s.Await(ctx)
	if err != nil {
		t.Fatalf("%s: %v", s.ServerID(), err)
	}
	return c
}

// eventually waits for a condition, which something else brings about.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		case <-tick.C:
		}
	}
}

// three starts a cluster of three servers in dirs of their own.
func three(t *testing.T) (servers [3]*server, dirs [3]string) {
	t.Helper()
	for i, node := range []string{"a", "b", "c"} {
		dirs[i] = t.TempDir()
		var change func(*Options)
		if i > 0 {
			change = join(servers[0].GossipAddr())
		}
		servers[i] = open(t, dirs[i], node, change)
	}
	for _, s := range servers {
		await(t, s)
	}
	return servers, dirs
}

func TestThreeServersCreateTheSameCluster(t *testing.T) {
	servers, _ := three(t)
	first := await(t, servers[0])
	if first.ID == (ID{}) || first.Key == (Key{}) || first.Slices != 3 || len(first.Founders) != 3 {
		t.Fatalf("incomplete cluster: %+v", first)
	}
	for _, s := range servers[1:] {
		c := await(t, s)
		if c.ID != first.ID || c.Key != first.Key || c.Slices != first.Slices {
			t.Errorf("%s is in %v, %s in %v", servers[0].ServerID(), first, s.ServerID(), c)
		}
		for i, f := range c.Founders {
			if f != first.Founders[i] {
				t.Errorf("founder %d differs: %v and %v", i, f, first.Founders[i])
			}
		}
	}
	for _, s := range servers {
		for _, other := range servers {
			addr, ok := s.Resolve(other.ServerID())
			if !ok || addr != other.options.ClusterAddr {
				t.Errorf("%s resolves %s to %q, %v", s.ServerID(), other.ServerID(), addr, ok)
			}
		}
		eventually(t, "all members alive and of the cluster", func() bool {
			all := s.Members()
			for _, k := range all {
				if !k.Alive || k.Cluster != first.ID {
					return false
				}
			}
			return len(all) == 3
		})
	}
	if _, ok := servers[0].Resolve("d.00000000"); ok {
		t.Error("resolved a server never heard of")
	}
}

func TestRestartedServerKeepsItsIDAtANewAddress(t *testing.T) {
	servers, dirs := three(t)
	before := await(t, servers[1])
	id := servers[1].ServerID()
	servers[1].Leave(t.Context())
	if err := servers[1].Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the others see it leave", func() bool { return !alive(servers[0], id) && !alive(servers[2], id) })
	if addr, ok := servers[0].Resolve(id); !ok || addr != "b.example:7001" {
		t.Errorf("a server that is away resolves to %q, %v", addr, ok)
	}

	again := open(t, dirs[1], "b", func(o *Options) { o.ClusterAddr = "elsewhere.example:7001" }) // joins nobody: it knows the founders
	if again.ServerID() != id {
		t.Fatalf("was %s, is now %s", id, again.ServerID())
	}
	if c := await(t, again); c.ID != before.ID || c.Key != before.Key {
		t.Fatalf("was in %v, is now in %v", before, c)
	}
	for _, s := range []*server{servers[0], servers[2]} {
		eventually(t, "the new address is known", func() bool {
			addr, ok := s.Resolve(id)
			return ok && addr == "elsewhere.example:7001" && alive(s, id)
		})
	}
}

func TestCrashedServerReturnsAtANewAddress(t *testing.T) {
	servers, dirs := three(t)
	id := servers[2].ServerID()
	if err := servers[2].Close(); err != nil { // without Leave: a crash
		t.Fatal(err)
	}
	again := open(t, dirs[2], "c", func(o *Options) { o.ClusterAddr = "moved.example:7001" })
	for _, s := range servers[:2] {
		eventually(t, "the new address is known", func() bool {
			addr, ok := s.Resolve(id)
			return ok && addr == "moved.example:7001" && alive(s, id)
		})
	}
	if servers[0].log.has("level=ERROR") {
		t.Error("a server that moved was reported as an error")
	}
	await(t, again)
}

func TestWipedServerStaysOut(t *testing.T) {
	servers, _ := three(t)
	was := servers[2].ServerID()
	servers[2].Leave(t.Context())
	if err := servers[2].Close(); err != nil {
		t.Fatal(err)
	}
	wiped := open(t, t.TempDir(), "c", join(servers[0].GossipAddr()))
	if wiped.ServerID() == was {
		t.Fatal("a wiped server came back as the one it was")
	}
	eventually(t, "it says that it stays out", func() bool { return wiped.log.has("level=ERROR", "stays out", wiped.ServerID()) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := wiped.Await(ctx); err == nil {
		t.Error("it found a cluster")
	}
	if addr, ok := servers[0].Resolve(was); !ok || addr != "c.example:7001" {
		t.Errorf("the old incarnation resolves to %q, %v", addr, ok)
	}
}

func TestFourthServerStaysOut(t *testing.T) {
	servers, _ := three(t)
	fourth := open(t, t.TempDir(), "d", join(servers[0].GossipAddr()))
	eventually(t, "it says that it stays out", func() bool { return fourth.log.has("level=ERROR", "stays out") })
}

func TestDifferentSettingsAreNamed(t *testing.T) {
	a := open(t, t.TempDir(), "a", func(o *Options) { o.Expect, o.Slices = 2, 4 })
	b := open(t, t.TempDir(), "b", func(o *Options) { o.Expect, o.Slices, o.Join = 2, 5, []string{a.GossipAddr()} })
	for _, s := range []*server{a, b} {
		eventually(t, "both settings are in the log", func() bool {
			return s.log.has("level=ERROR", "number of slices", a.ServerID(), b.ServerID(), " 4 on a", " 5 on b")
		})
	}
}

func TestSameNodeIDTwiceIsAnError(t *testing.T) {
	a := open(t, t.TempDir(), "a", nil)
	other := open(t, t.TempDir(), "a", join(a.GossipAddr()))
	eventually(t, "the conflict is in the log", func() bool {
		return a.log.has("level=ERROR", "same node id", a.ServerID(), other.ServerID())
	})
}

func TestOneServerAlone(t *testing.T) {
	t.Run("without gossip", func(t *testing.T) {
		dir := t.TempDir()
		alone := func(o *Options) { o.Expect, o.Slices, o.GossipAddr = 1, 2, "" }
		s := open(t, dir, "solo", alone)
		c := await(t, s)
		if c.Slices != 2 || len(c.Founders) != 1 {
			t.Fatalf("got %+v", c)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if again := await(t, open(t, dir, "solo", alone)); again.ID != c.ID {
			t.Errorf("was in %s, is in %s after a restart", c.ID, again.ID)
		}
	})
	t.Run("with gossip", func(t *testing.T) {
		await(t, open(t, t.TempDir(), "solo", func(o *Options) { o.Expect = 1 }))
	})
	t.Run("not before those it should join were asked", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, never answers
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		s := open(t, t.TempDir(), "solo", func(o *Options) { o.Expect, o.Join = 1, []string{l.Addr().String()} })
		eventually(t, "it waits", func() bool { return s.log.has("waiting for a server to join") })
		if s.settled() {
			t.Error("it created a cluster of its own")
		}
	})
}

func TestEncryptedGossip(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	a := open(t, t.TempDir(), "a", func(o *Options) { o.Expect, o.GossipKey = 2, key })
	b := open(t, t.TempDir(), "b", func(o *Options) { o.Expect, o.GossipKey, o.Join = 2, key, []string{a.GossipAddr()} })
	stranger := open(t, t.TempDir(), "s", func(o *Options) { o.Expect, o.Join = 2, []string{a.GossipAddr()} })
	if await(t, a).ID != await(t, b).ID {
		t.Error("two clusters")
	}
	if len(stranger.Members()) != 1 {
		t.Error("a server without the key sees others")
	}
}

func TestDrainIsSeenByOthers(t *testing.T) {
	servers, _ := three(t)
	servers[0].Drain()
	eventually(t, "the others see it", func() bool {
		changed := servers[1].Changed()
		for _, k := range servers[1].Members() {
			if k.ID == servers[0].ServerID() && k.Leaving && k.Alive {
				return true
			}
		}
		<-changed
		return false
	})
}

func TestWhoIsFitToLeadIsSeenByOthers(t *testing.T) {
	servers, _ := three(t)
	eligible := func(want bool) func() bool {
		return func() bool { return servers[1].Eligible(servers[0].ServerID()) == want }
	}
	eventually(t, "it is held to be fit", eligible(true))
	servers[0].SetFit(false)
	eventually(t, "it is held to be unfit", eligible(false))
	servers[0].SetFit(true)
	eventually(t, "it is held to be fit again", eligible(true))
	servers[0].Drain()
	eventually(t, "it is about to stop", eligible(false))
}

func TestCloseEndsAwait(t *testing.T) {
	s := open(t, t.TempDir(), "a", nil)
	got := make(chan error, 1)
	go func() {
		_, err := s.Await(context.Background())
		got <- err
	}()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestOpenRefusesBadOptions(t *testing.T) {
	good := Options{NodeID: "a", DataDir: t.TempDir(), Expect: 3, GossipAddr: "127.0.0.1:0", ClusterAddr: "a:1", Logger: slog.New(slog.DiscardHandler)}
	for name, change := range map[string]func(*Options){
		"node id":         func(o *Options) { o.NodeID = "a.b" },
		"no node id":      func(o *Options) { o.NodeID = "" },
		"no gossip":       func(o *Options) { o.GossipAddr = "" },
		"negative expect": func(o *Options) { o.Expect = -1 },
		"many slices":     func(o *Options) { o.Slices = 40000 },
		"short key":       func(o *Options) { o.GossipKey = []byte("short") },
		"long address":    func(o *Options) { o.HTTPAddr = strings.Repeat("x", 500) },
		"gossip port":     func(o *Options) { o.GossipAddr = "127.0.0.1:http" },
		"data directory":  func(o *Options) { o.DataDir = filepath.Join("/dev/null", "x") },
	} {
		o := good
		change(&o)
		if m, err := Open(o); err == nil {
			t.Errorf("%s: accepted", name)
			_ = m.Close()
		}
	}
}

func alive(s *server, id string) bool {
	for _, k := range s.Members() {
		if k.ID == id {
			return k.Alive
		}
	}
	return false
}
