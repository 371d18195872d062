package forward

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tombola/allocator"
	"tombola/node/draws"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is the tests' clock of deadlines.
func clock() int64 { return time.Now().UnixNano() }

func in(d time.Duration) int64 { return clock() + int64(d) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// logBook collects a log.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBook) has(part string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Contains(b.text.Bytes(), []byte(part))
}

// echo is a router that grants every draw at once, with the sequence of its
// prize number and the slice of its group.
type echo struct{}

func (echo) Route(group uint16, d *draws.Draw) {
	d.Finish(draws.Answer{Slice: allocator.SliceNo(group), Outcome: allocator.Outcome{
		Verdict: allocator.Granted, Seq: uint64(d.Prize), At: allocator.Micros(len(d.User())), Repeat: d.Hops > 1}})
}

// shelf is a router that keeps draws until the test answers them.
type shelf struct {
	mu    sync.Mutex
	draws []*draws.Draw
}

func (s *shelf) Route(_ uint16, d *draws.Draw) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draws = append(s.draws, d)
}

func (s *shelf) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.draws)
}

func (s *shelf) answerAll() {
	s.mu.Lock()
	all := s.draws
	s.draws = nil
	s.mu.Unlock()
	for _, d := range all {
		echo{}.Route(1, d)
	}
}

// peer is a listening server on the loopback interface.
type peer struct {
	*Server
	listener net.Listener
	accepted atomic.Int32
}

func listen(t testing.TB, router Router, log *slog.Logger, serve func(s *Server, conn net.Conn)) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{Server: NewServer(ServerOptions{Router: router, Now: clock, Logger: log}), listener: l}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.accepted.Add(1)
			all.Go(func() { serve(p.Server, conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.stop()
		all.Wait()
	})
	return p
}

// stop ends the server without waiting for answers.
func (p *peer) stop() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.Close(ctx)
}

func (p *peer) dial(ctx context.Context, _ string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", p.listener.Addr().String())
}

func serveDraws(s *Server, conn net.Conn) { s.ServeDraws(conn, "client.1") }
func serveCalls(s *Server, conn net.Conn) { s.ServeCalls(conn, "client.1") }

func newPool(t testing.TB, dial DialFunc, window int) *Pool {
	t.Helper()
	p := NewPool(PoolOptions{Dial: dial, Now: clock, Window: window, Logger: quiet()})
	t.Cleanup(p.Close)
	return p
}

// pipe is a dialler whose other ends the test holds.
type pipe struct {
	ends chan net.Conn
	fail atomic.Bool
	hang atomic.Bool // dial until ctx ends
}

func newPipe() *pipe { return &pipe{ends: make(chan net.Conn, 16)} }

func (p *pipe) dial(ctx context.Context, _ string) (net.Conn, error) {
	if p.hang.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if p.fail.Load() {
		return nil, fmt.Errorf("refused")
	}
	here, there := net.Pipe()
	p.ends <- there
	return here, nil
}

func send(p *Pool, group uint16, prize int, deadline time.Duration) *draws.Draw {
	d := draws.New(allocator.PrizeNo(prize), fmt.Appendf(nil, "user-%d", prize), []byte("r"), in(deadline), nil)
	p.Send("s.1", group, d)
	return d
}

func wantFailure(t *testing.T, d *draws.Draw, want draws.Failure) {
	t.Helper()
	if a := d.Wait(); a.Failure != want {
		t.Errorf("failure %d, want %d (%+v)", a.Failure, want, a)
	}
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		case <-tick.C:
		}
	}
}
