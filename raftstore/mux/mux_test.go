package mux

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// logBuffer collects log lines for tests that read them.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func listen(t *testing.T, server string, edit ...func(*Config)) (*Mux, *logBuffer) {
	t.Helper()
	logs := new(logBuffer)
	cfg := Config{
		Addr:      "127.0.0.1:0",
		ClusterID: ClusterID{1},
		Server:    server,
		Logger:    slog.New(slog.NewTextHandler(logs, nil)),
	}
	for _, f := range edit {
		f(&cfg)
	}
	m, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m, logs
}

func echo(c net.Conn, _ Peer) { _, _ = io.Copy(c, c) }

func roundTrip(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Fatalf("read %q, %v; want %q", got, err, text)
	}
}

func dial(t *testing.T, from, to *Mux, kind Kind, group uint16) net.Conn {
	t.Helper()
	c, err := from.Dial(t.Context(), kind, group, to.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestConnectionsReachWhatTheyAreFor(t *testing.T) {
	a, _ := listen(t, "a.1")
	b, _ := listen(t, "b.1")
	peers := make(chan Peer, 2)
	for _, kind := range []Kind{KindDraws, KindCalls} {
		b.Handle(kind, func(c net.Conn, p Peer) { peers <- p; echo(c, p) })
	}
	roundTrip(t, dial(t, a, b, KindDraws, 7), "draw")
	if got, want := <-peers, (Peer{Server: "a.1", Kind: KindDraws, Group: 7}); got != want {
		t.Fatalf("peer %+v, want %+v", got, want)
	}
	roundTrip(t, dial(t, a, b, KindCalls, 0), "call")
	if got, want := <-peers, (Peer{Server: "a.1", Kind: KindCalls}); got != want {
		t.Fatalf("peer %+v, want %+v", got, want)
	}

	one, two := b.StreamLayer(1), b.StreamLayer(2)
	out, err := a.StreamLayer(2).Dial(raft.ServerAddress(b.Addr().String()), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	in, err := two.Accept()
	if err != nil {
		t.Fatal(err)
	}
	go echo(in, Peer{})
	roundTrip(t, out, "raft")
	_ = in.Close()
	_ = one.Close()
	if _, err := one.Accept(); !errors.Is(err, ErrClosed) {
		t.Fatalf("accept on a closed layer: %v", err)
	}
}

func TestRefusalsAreClearOnBothSides(t *testing.T) {
	b, logs := listen(t, "b.1")
	b.StreamLayer(1)
	stranger, _ := listen(t, "s.1", func(c *Config) { c.ClusterID = ClusterID{2} })
	friend, _ := listen(t, "a.1")

	for _, c := range []struct {
		name   string
		from   *Mux
		kind   Kind
		group  uint16
		reason string
	}{
		{"another cluster", stranger, KindRaft, 1, "another cluster"},
		{"unknown group", friend, KindRaft, 9, "group 9 is not served here"},
		{"unknown kind", friend, KindCalls, 0, "kind 3 are not served here"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.from.Dial(t.Context(), c.kind, c.group, b.Addr().String())
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("dialer sees %v, want a refusal that says %q", err, c.reason)
			}
			eventually(t, "the acceptor logs it", func() bool { return strings.Contains(logs.String(), c.reason) })
		})
	}
}

func TestAnotherVersionIsRefusedInWords(t *testing.T) {
	b, logs := listen(t, "b.1")
	c, err := net.Dial("tcp", b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	h := appendHello(nil, hello{version: 9, cluster: ClusterID{1}, peer: Peer{Server: "new", Kind: KindRaft}})
	if _, err := c.Write(append(h, "and whatever version 9 adds"...)); err != nil {
		t.Fatal(err)
	}
	err = readAnswer(c)
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "version 1 is spoken here, not 9") {
		t.Fatalf("got %v", err)
	}
	_ = c.Close()
	eventually(t, "the acceptor logs it", func() bool { return strings.Contains(logs.String(), "not 9") })
}

func TestARepeatedRefusalIsLoggedOnce(t *testing.T) {
	logs := new(logBuffer)
	r := newRefusals(slog.New(slog.NewTextHandler(logs, nil)))
	from := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1}
	for range 50 {
		from.Port++
		r.log(from, Peer{}, ErrRefused)
	}
	if n := strings.Count(logs.String(), "\n"); n != 1 {
		t.Fatalf("%d lines, want 1", n)
	}
	if !r.due(refusal{host: "10.0.0.1", reason: ErrRefused.Error()}, time.Now().Add(refusalEvery)) {
		t.Fatal("not logged again later")
	}
}

func TestSlowAndGarblingPeersBlockNobody(t *testing.T) {
	b, _ := listen(t, "b.1")
	b.Handle(KindDraws, echo)
	a, _ := listen(t, "a.1")
	garbage, err := net.Dial("tcp", b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = garbage.Close() }()
	if _, err := io.WriteString(garbage, "GET / HTTP/1.1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if n, err := garbage.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Fatal("garbage got an answer")
	}
	var silent []net.Conn
	for range 2 * maxPending {
		c, err := net.Dial("tcp", b.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		silent = append(silent, c)
	}
	start := time.Now()
	roundTrip(t, dial(t, a, b, KindDraws, 1), "still here")
	if took := time.Since(start); took > handshakeTime/2 {
		t.Fatalf("an honest peer waited %v behind silent ones", took)
	}
	// The oldest silent ones made room.
	_ = silent[0].SetReadDeadline(time.Now().Add(handshakeTime / 2))
	if _, err := silent[0].Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the oldest silent connection is kept: %v", err)
	}
}

func TestCloseEndsWhatIsOpen(t *testing.T) {
	a, _ := listen(t, "a.1")
	b, _ := listen(t, "b.1")
	entered, left := make(chan struct{}), make(chan struct{})
	b.Handle(KindDraws, func(c net.Conn, p Peer) {
		close(entered)
		echo(c, p)
		close(left)
	})
	layer := b.StreamLayer(3)
	c := dial(t, a, b, KindDraws, 1)
	<-entered
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-left:
	default:
		t.Fatal("Close returned before the handler")
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Fatal("an accepted connection survived Close")
	}
	if _, err := layer.Accept(); !errors.Is(err, ErrClosed) {
		t.Fatalf("accept after Close: %v", err)
	}
	if _, err := b.Dial(t.Context(), KindDraws, 1, a.Addr().String()); !errors.Is(err, ErrClosed) {
		t.Fatalf("dial after Close: %v", err)
	}
}

func TestDialGivesUpWithItsContext(t *testing.T) {
	a, _ := listen(t, "a.1")
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mute.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := a.Dial(ctx, KindDraws, 1, mute.Addr().String()); err == nil {
		t.Fatal("dialled a server that never answers")
	}
	if took := time.Since(start); took > handshakeTime/2 {
		t.Fatalf("took %v", took)
	}
}

func TestTLSOnBothSides(t *testing.T) {
	server, client := selfSigned(t)
	secure := func(c *Config) { c.ServerTLS, c.ClientTLS = server, client }
	a, _ := listen(t, "a.1", secure)
	b, logs := listen(t, "b.1", secure)
	b.Handle(KindDraws, echo)
	roundTrip(t, dial(t, a, b, KindDraws, 1), "secret")
	if _, err := a.Dial(t.Context(), KindRaft, 1, b.Addr().String()); !errors.Is(err, ErrRefused) {
		t.Fatalf("refusal over TLS: %v", err)
	}
	eventually(t, "refusal logged", func() bool { return strings.Contains(logs.String(), "group 1") })

	plain, _ := listen(t, "p.1")
	if _, err := plain.Dial(t.Context(), KindDraws, 1, b.Addr().String()); err == nil {
		t.Fatal("a plain connection was accepted where TLS is on")
	}
}

func selfSigned(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},

		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	certs := []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	server = &tls.Config{Certificates: certs, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	client = &tls.Config{Certificates: certs, RootCAs: pool}
	return server, client
}

func TestConfigIsChecked(t *testing.T) {
	good := Config{Addr: "127.0.0.1:0", Server: "a", Logger: slog.Default()}
	for name, edit := range map[string]func(*Config){
		"no server":   func(c *Config) { c.Server = "" },
		"long server": func(c *Config) { c.Server = strings.Repeat("x", MaxServerID+1) },
		"half of TLS": func(c *Config) { c.ServerTLS = &tls.Config{} },
		"no logger":   func(c *Config) { c.Logger = nil },
		"bad address": func(c *Config) { c.Addr = "nowhere" },
	} {
		cfg := good
		edit(&cfg)
		if m, err := Listen(cfg); err == nil {
			_ = m.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}
