package forward

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tombola/node/draws"
)

func TestLinkReconnects(t *testing.T) {
	var mu sync.Mutex
	var conns []net.Conn
	server := listen(t, echo{}, quiet(), func(s *Server, conn net.Conn) {
		mu.Lock()
		conns = append(conns, conn)
		mu.Unlock()
		s.ServeDraws(conn, "client.1")
	})
	p := newPool(t, server.dial, 0)
	wantFailure(t, send(p, 1, 1, time.Minute), draws.NoFailure)
	mu.Lock()
	_ = conns[0].Close()
	mu.Unlock()
	eventually(t, "the link notices", func() bool { return !p.Link("s.1").Connected() })
	wantFailure(t, send(p, 1, 2, time.Minute), draws.NoFailure)
}

func TestSilentConnectionIsGivenUp(t *testing.T) {
	dialler := newPipe()
	p := newPool(t, dialler.dial, 0)
	d := send(p, 1, 1, time.Minute)
	server := <-dialler.ends
	defer server.Close()
	frames := newFrameReader(server, maxBatchBytes)
	counts := []int{}
	for { // the other side reads and says nothing
		f, err := frames.next()
		if err != nil {
			break
		}
		counts = append(counts, f.count)
	}
	wantFailure(t, d, draws.UnknownOutcome)
	if len(counts) != 2 || counts[1] != 0 {
		t.Errorf("frames of %v draws, want one with the draw and one that asks for a sign of life", counts)
	}
}

func TestIdleConnectionStaysUp(t *testing.T) {
	router := &shelf{}
	server := listen(t, router, quiet(), serveDraws)
	p := newPool(t, server.dial, 0)
	d := send(p, 1, 1, time.Minute)
	l := p.Link("s.1")
	eventually(t, "it has arrived", func() bool { return router.count() == 1 })
	// Longer than a connection may be silent: each time the server answers
	// when it is asked for a sign of life.
	for range 4 {
		eventually(t, "the link hears nothing", func() bool { return l.quiet.Load() > 40 })
		eventually(t, "the link hears something", func() bool { return l.quiet.Load() < 10 })
	}
	router.answerAll()
	wantFailure(t, d, draws.NoFailure)
	if n := server.accepted.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestClosingPool(t *testing.T) {
	dialler := newPipe()
	p := newPool(t, dialler.dial, 0)
	written := send(p, 1, 1, time.Minute)
	server := <-dialler.ends
	defer server.Close()
	eventually(t, "it is being written", func() bool { _, n := p.Link("s.1").Waiting(); return n == 1 })
	waiting := send(p, 1, 2, time.Minute)
	p.Close()
	wantFailure(t, written, draws.UnknownOutcome)
	wantFailure(t, waiting, draws.Draining)
	wantFailure(t, send(p, 1, 3, time.Minute), draws.Draining)
	other := draws.New(1, []byte("u"), nil, in(time.Minute), nil)
	p.Send("other.1", 1, other)
	wantFailure(t, other, draws.Draining)
}

func TestClosingServerAnswersWhatItRead(t *testing.T) {
	router := &shelf{}
	server := listen(t, router, quiet(), serveDraws)
	p := newPool(t, server.dial, 0)
	d := send(p, 1, 1, time.Minute)
	eventually(t, "it has arrived", func() bool { return router.count() == 1 })
	closed := make(chan struct{})
	go func() { defer close(closed); server.Close(context.Background()) }()
	eventually(t, "it is closing", func() bool {
		server.mu.Lock()
		defer server.mu.Unlock()
		return server.closing != nil
	})
	router.answerAll()
	<-closed
	wantFailure(t, d, draws.NoFailure)
}

func TestManyDrawsWhileConnectionsBreak(t *testing.T) {
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	server := listen(t, echo{}, quiet(), func(s *Server, conn net.Conn) {
		mu.Lock()
		conns[conn] = true
		mu.Unlock()
		s.ServeDraws(conn, "client.1")
	})
	p := newPool(t, server.dial, 4096)
	stop := make(chan struct{})
	var all sync.WaitGroup
	var granted, failed atomic.Int64
	for s := range 8 {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				d := send(p, uint16(s), i+1, 2*time.Second)
				switch a := d.Wait(); {
				case a.Failure == 0 && a.Seq == uint64(i+1) && int(a.Slice) == s:
					granted.Add(1)
				case a.Failure == draws.UnknownOutcome || a.Failure == draws.NoLeader:
					failed.Add(1)
				default:
					t.Errorf("got %+v for draw %d of %d", a, i+1, s)
				}
				d.Release()
			}
		})
	}
	for range 20 {
		before := granted.Load()
		eventually(t, "draws are granted", func() bool { return granted.Load() > before+200 })
		mu.Lock()
		for c := range conns {
			_ = c.Close()
		}
		clear(conns)
		mu.Unlock()
	}
	close(stop)
	all.Wait()
	if failed.Load() == 0 {
		t.Error("no draw was lost, so that nothing was tried here")
	}
}
