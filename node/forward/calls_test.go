package forward

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

func newCaller(t testing.TB, dial DialFunc) *Caller {
	t.Helper()
	c := NewCaller(CallerOptions{Dial: dial, Logger: quiet()})
	t.Cleanup(c.Close)
	return c
}

type sum struct{ A, B, Sum int }

func adding() Handler {
	return HandleJSON(func(_ context.Context, peer string, group uint16, r sum) (sum, error) {
		if peer != "client.1" || group != 3 {
			return r, fmt.Errorf("peer %q, group %d", peer, group)
		}
		r.Sum = r.A + r.B
		return r, nil
	})
}

func TestCallsComeBackWithTheirOwnReplies(t *testing.T) {
	server := listen(t, echo{}, quiet(), serveCalls)
	server.Handle("add", adding())
	c := newCaller(t, server.dial)
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			for k := range 50 {
				var got sum
				if err := c.Call(t.Context(), "s.1", 3, "add", sum{A: i, B: k}, &got); err != nil || got.Sum != i+k {
					t.Errorf("%d + %d: %+v, %v", i, k, got, err)
				}
			}
		})
	}
	all.Wait()
	if n := server.accepted.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestErrorsCrossTheWire(t *testing.T) {
	server := listen(t, echo{}, quiet(), serveCalls)
	server.Handle("coded", func(context.Context, string, uint16, []byte) (any, error) {
		return nil, fmt.Errorf("wrapped: %w", &RemoteError{Code: "below_granted", Text: "7 are granted"})
	})
	server.Handle("plain", func(context.Context, string, uint16, []byte) (any, error) { return nil, errors.New("broken") })
	server.Handle("nil", func(context.Context, string, uint16, []byte) (any, error) { return nil, nil })
	server.Handle("odd", func(context.Context, string, uint16, []byte) (any, error) { return func() {}, nil })
	server.Handle("huge", func(context.Context, string, uint16, []byte) (any, error) {
		return strings.Repeat("x", maxBody), nil
	})
	server.Handle("add", adding())
	c := newCaller(t, server.dial)
	for method, code := range map[string]string{
		"coded": "below_granted", "plain": CodeInternal, "unheard": CodeUnknownMethod,
		"odd": CodeInternal, "huge": CodeInternal, "add": CodeBadRequest,
	} {
		var remote *RemoteError
		if err := c.Call(t.Context(), "s.1", 3, method, "a string", nil); !errors.As(err, &remote) || remote.Code != code {
			t.Errorf("%s: %v, want code %s", method, err, code)
		}
	}
	if err := c.Call(t.Context(), "s.1", 1, "nil", nil, nil); err != nil {
		t.Error(err)
	}
	if err := c.Call(t.Context(), "s.1", 1, "nil", strings.Repeat("x", maxBody), nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a request that is too large: %v", err)
	}
}

func TestLargeBodies(t *testing.T) {
	server := listen(t, echo{}, quiet(), serveCalls)
	server.Handle("echo", HandleJSON(func(_ context.Context, _ string, _ uint16, s string) (string, error) { return s, nil }))
	c := newCaller(t, server.dial)
	for _, size := range []int{0, 1, 100_000, 2 * keepBuffer, 10} {
		want := strings.Repeat("x", size)
		var got string
		if err := c.Call(t.Context(), "s.1", 1, "echo", want, &got); err != nil || got != want {
			t.Fatalf("%d bytes: %d came back, %v", size, len(got), err)
		}
	}
}

func TestCallToUnreachableServerIsNotDone(t *testing.T) {
	dialler := newPipe()
	dialler.fail.Store(true)
	c := newCaller(t, dialler.dial)
	for range 2 {
		if err := c.Call(t.Context(), "s.1", 1, "m", nil, nil); !errors.Is(err, ErrUnreachable) || errors.Is(err, ErrLost) {
			t.Errorf("got %v", err)
		}
	}
}

func TestCallOfALostConnectionMayHaveBeenDone(t *testing.T) {
	dialler := newPipe()
	c := newCaller(t, dialler.dial)
	got := make(chan error, 1)
	go func() { got <- c.Call(context.Background(), "s.1", 1, "m", nil, nil) }()
	server := <-dialler.ends
	if _, err := newFrameReader(server, maxCallBytes).next(); err != nil {
		t.Fatal(err)
	}
	_ = server.Close()
	if err := <-got; !errors.Is(err, ErrLost) || errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

func TestContextEndsACall(t *testing.T) {
	t.Run("before it was written", func(t *testing.T) {
		dialler := newPipe()
		dialler.hang.Store(true)
		c := newCaller(t, dialler.dial)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		err := c.Call(ctx, "s.1", 1, "m", nil, nil)
		if !errors.Is(err, ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if err := c.Call(ctx, "s.1", 1, "m", nil, nil); !errors.Is(err, ErrUnreachable) {
			t.Errorf("a context that had ended: %v", err)
		}
	})
	t.Run("after it was written, on both sides", func(t *testing.T) {
		server := listen(t, echo{}, quiet(), serveCalls)
		ended := make(chan error, 1)
		server.Handle("wait", func(ctx context.Context, _ string, _ uint16, _ []byte) (any, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		})
		c := newCaller(t, server.dial)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		// The other side's clock may be the first to run out.
		err := c.Call(ctx, "s.1", 1, "wait", nil, nil)
		var remote *RemoteError
		if !errors.As(err, &remote) && !(errors.Is(err, ErrLost) && errors.Is(err, context.DeadlineExceeded)) {
			t.Errorf("got %v", err)
		}
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the handler's context ended with %v", err)
		}
	})
}

func TestTooManyCallsAreRefused(t *testing.T) {
	server := listen(t, echo{}, quiet(), serveCalls)
	release, begun := make(chan struct{}), make(chan struct{}, maxCalls)
	server.Handle("wait", func(context.Context, string, uint16, []byte) (any, error) {
		begun <- struct{}{}
		<-release
		return nil, nil
	})
	c := newCaller(t, server.dial)
	var all sync.WaitGroup
	for range maxCalls {
		all.Go(func() {
			if err := c.Call(context.Background(), "s.1", 1, "wait", nil, nil); err != nil {
				t.Error(err)
			}
		})
	}
	for range maxCalls {
		<-begun
	}
	var remote *RemoteError
	if err := c.Call(t.Context(), "s.1", 1, "wait", nil, nil); !errors.As(err, &remote) || remote.Code != CodeBusy {
		t.Errorf("got %v", err)
	}
	close(release)
	all.Wait()
}

func TestPostsArriveInOrder(t *testing.T) {
	server := listen(t, echo{}, quiet(), serveCalls)
	type post struct {
		peer, text string
		group      uint16
		kind       byte
	}
	got := make(chan post, 100)
	server.HandlePosts(func(peer string, group uint16, kind byte, payload []byte) {
		got <- post{peer, string(payload), group, kind}
	})
	c := newCaller(t, server.dial)
	for i := range 100 {
		c.Post("s.1", 5, 9, fmt.Appendf(nil, "%d", i))
	}
	for i := range 100 {
		if p := <-got; p != (post{"client.1", fmt.Sprint(i), 5, 9}) {
			t.Fatalf("post %d: %+v", i, p)
		}
	}
	c.Post("s.1", 5, 9, nil)
	if p := <-got; p.text != "" {
		t.Errorf("got %+v", p)
	}
}

func TestOldestPostsMakeRoom(t *testing.T) {
	dialler := newPipe()
	dialler.hang.Store(true)
	c := newCaller(t, dialler.dial)
	for i := range maxPosts + 10 {
		c.Post("s.1", 1, 1, fmt.Appendf(nil, "%d", i))
	}
	l := c.line("s.1")
	l.mu.Lock()
	_, _, first, err := decodePost(l.posts[0][headerSize:])
	if len(l.posts) != maxPosts || err != nil || string(first) != "10" {
		t.Errorf("%d posts wait, the first is %q, %v", len(l.posts), first, err)
	}
	l.mu.Unlock()
	c.Post("s.1", 1, 1, make([]byte, maxPostBytes))
	l.mu.Lock()
	if len(l.posts) != 1 || l.postBytes != len(l.posts[0]) {
		t.Errorf("%d posts wait with %d bytes", len(l.posts), l.postBytes)
	}
	l.mu.Unlock()
}

func TestClosingCallerAndServer(t *testing.T) {
	server := listen(t, echo{}, quiet(), serveCalls)
	begun, release := make(chan struct{}), make(chan struct{})
	server.Handle("wait", func(context.Context, string, uint16, []byte) (any, error) {
		close(begun)
		<-release
		return "done", nil
	})
	c := newCaller(t, server.dial)
	got := make(chan error, 1)
	var reply string
	go func() { got <- c.Call(context.Background(), "s.1", 1, "wait", nil, &reply) }()
	<-begun
	closed := make(chan struct{})
	go func() { defer close(closed); server.Close(context.Background()) }()
	eventually(t, "it is closing", func() bool {
		server.mu.Lock()
		defer server.mu.Unlock()
		return server.closing != nil
	})
	close(release) // a call that was read is answered
	if err := <-got; err != nil || reply != "done" {
		t.Errorf("%q, %v", reply, err)
	}
	<-closed
	c.Close()
	if err := c.Call(t.Context(), "s.1", 1, "wait", nil, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	c.Post("s.1", 1, 1, nil)
	here, there := net.Pipe()
	defer here.Close()
	server.ServeCalls(there, "late.1") // returns at once
}

func TestMalformedCallEndsTheConnection(t *testing.T) {
	for name, bad := range map[string][]byte{
		"kind":   appendSign(nil, frameDraws),
		"call":   appendSign(nil, frameCall),
		"post":   appendSign(nil, framePost),
		"method": {0, 0, 0, 4, version, frameCall, 0, 0, 1, 1, 0, 200},
	} {
		log := &logBook{}
		s := NewServer(ServerOptions{Now: clock, Logger: slog.New(slog.NewTextHandler(log, nil))})
		here, there := net.Pipe()
		go func() { _, _ = here.Write(bad) }()
		s.ServeCalls(there, "client.1") // returns
		_ = here.Close()
		if !log.has("level=ERROR") || !log.has("client.1") {
			t.Errorf("bad %s: log: %s", name, log.text.String())
		}
	}
}
