package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"tombola/httpapi"
)

// kept opens a connection and has a draw answered on it.
func kept(t *testing.T, addr string) net.Conn {
	t.Helper()
	c := dial(t, addr)
	answered(t, c, 200)
	return c
}

func shutDown(t *testing.T, s *httpapi.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func TestKeptConnectionsEndWithoutAResetWhenTheServerStops(t *testing.T) {
	s, addr := listen(t, newFake(), nil)
	unused, used := dial(t, addr), kept(t, addr)
	answered(t, kept(t, addr), 200) // the server has taken the others, too
	done := make(chan struct{})
	go func() {
		defer close(done)
		shutDown(t, s)
	}()
	for what, c := range []net.Conn{used, unused} { // that one is given a while
		if got, err := io.ReadAll(c); len(got) > 0 || err != nil {
			t.Errorf("%d: %q, %v", what, got, err)
		}
		// What is sent too late is taken in, so that nothing is reset.
		for range 2 - what {
			if _, err := io.WriteString(c, rawDraw(`{"user":"late"}`)); err != nil {
				t.Errorf("%d: %v", what, err)
			}
		}
		_ = c.Close()
	}
	<-done
}

func TestAClientThatSendsSlowlyDoesNotHoldUpAStop(t *testing.T) {
	s, addr := listen(t, newFake(), func(c *httpapi.Config) { c.Limits.Read = time.Hour })
	c := dial(t, addr)
	if _, err := io.WriteString(c, "POST /v1/prizes/tv/draw HTTP/1.1\r\nHo"); err != nil {
		t.Fatal(err)
	}
	answered(t, kept(t, addr), 200)
	shutDown(t, s)
}

func TestIdleConnectionsMakeRoomForNewOnes(t *testing.T) {
	_, addr := listen(t, newFake(), func(c *httpapi.Config) {
		c.Limits = httpapi.Limits{Connections: 3, Idle: time.Hour}
	})
	idle := []net.Conn{kept(t, addr), kept(t, addr)}
	busy := dial(t, addr) // in the middle of a request
	if _, err := io.WriteString(busy, "POST /v1/prizes/tv/draw HTTP/1.1\r\nHo"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		conn := dial(t, addr)
		if ask(conn) == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("idle connections keep new ones out for ever")
		}
	}
	told := make(chan error, len(idle))
	for _, c := range idle {
		go func() {
			_, err := io.ReadAll(c)
			told <- err
		}()
	}
	if err := <-told; err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("one that was idle ended with %v", err)
	}
	if _, err := io.WriteString(busy, "st: x\r\nContent-Length: 13\r\n\r\n"+`{"user":"u1"}`); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(busy), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != 200 {
		t.Errorf("the one that was not idle was told %d", response.StatusCode)
	}
}

// starved is a listener whose process has no file descriptors for a while.
type starved struct {
	net.Listener
	mu   sync.Mutex
	left int
}

func (s *starved) Accept() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left > 0 {
		s.left--
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return s.Listener.Accept()
}

func TestAServerSurvivesThatItsFileDescriptorsRunOut(t *testing.T) {
	var logged lockedBuffer
	s, err := httpapi.New(httpapi.Config{
		Backend: newFake(), Logger: slog.New(slog.NewTextHandler(&logged, nil)), Metrics: metrics.NewSet(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(&starved{Listener: ln, left: 5}) }()
	answered(t, dial(t, ln.Addr().String()), 200)
	shutDown(t, s)
	if err := <-served; !errors.Is(err, httpapi.ErrStopped) {
		t.Errorf("Serve returned %v", err)
	}
	if n := bytes.Count([]byte(logged.String()), []byte("no connection can be accepted")); n != 1 {
		t.Errorf("logged %d times:\n%s", n, logged.String())
	}
}

// TestWhatHasConnectedWhenAServerStopsIsAnswered has clients connect and send
// all the time while the listener closes: each is answered, or not let in.
func TestWhatHasConnectedWhenAServerStopsIsAnswered(t *testing.T) {
	for range 5 {
		s, addr := listen(t, newFake(), nil)
		var clients sync.WaitGroup
		for range 16 {
			clients.Go(func() {
				for {
					c, err := net.Dial("tcp", addr)
					if err != nil {
						return // refused: the listener is gone
					}
					err = once(c)
					_ = c.Close()
					if err != nil {
						t.Errorf("a client that had connected: %v", err)
						return
					}
				}
			})
		}
		_ = kept(t, addr).Close()
		shutDown(t, s)
		clients.Wait()
	}
}

// once has a draw answered on a fresh connection.
func once(c net.Conn) error {
	if _, err := io.WriteString(c, rawDraw(`{"user":"u1"}`)); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != 200 {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	return nil
}
