package forward

import (
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tombola/allocator"
	"tombola/node/draws"
)

func TestDrawsComeBackWithTheirOwnAnswers(t *testing.T) {
	p := newPool(t, listen(t, echo{}, quiet(), serveDraws).dial, 0)
	const senders, each = 16, 2000
	var all sync.WaitGroup
	var wrong atomic.Int64
	for s := range senders {
		all.Go(func() {
			sent := make([]*draws.Draw, 0, 50)
			for i := 0; i < each; i += cap(sent) {
				sent = sent[:0]
				for k := range cap(sent) {
					sent = append(sent, send(p, uint16(s), s*each+i+k, 5*time.Second))
				}
				for k, d := range sent {
					a := d.Wait()
					if a.Failure != 0 || a.Verdict != allocator.Granted || a.Seq != uint64(s*each+i+k) ||
						int(a.Slice) != s || int(a.At) != len(d.User()) || a.Repeat {
						wrong.Add(1)
					}
					d.Release()
				}
			}
		})
	}
	all.Wait()
	if n := wrong.Load(); n > 0 {
		t.Errorf("%d of %d draws came back wrong", n, senders*each)
	}
	if unwritten, unanswered := p.Link("s.1").Waiting(); unwritten+unanswered != 0 {
		t.Errorf("%d and %d draws are left", unwritten, unanswered)
	}
}

func TestHopsAreCounted(t *testing.T) {
	p := newPool(t, listen(t, echo{}, quiet(), serveDraws).dial, 0)
	d := draws.New(1, []byte("u"), nil, in(time.Second), nil)
	d.Hops = 1
	p.Send("s.1", 1, d)
	if a := d.Wait(); !a.Repeat { // how echo tells of more than one hop
		t.Errorf("got %+v", a)
	}
}

func TestUnreachableServerMeansNoLeader(t *testing.T) {
	dialler := newPipe()
	dialler.fail.Store(true)
	p := newPool(t, dialler.dial, 0)
	for range 3 {
		wantFailure(t, send(p, 1, 1, time.Minute), draws.NoLeader)
	}
}

func TestDrawsDoNotWaitLongForAConnection(t *testing.T) {
	dialler := newPipe()
	dialler.hang.Store(true)
	p := newPool(t, dialler.dial, 0)
	start := time.Now()
	wantFailure(t, send(p, 1, 1, time.Minute), draws.NoLeader)
	if waited := time.Since(start); waited < freshDial || waited > dialTimeout {
		t.Errorf("it waited for %v", waited)
	}
	wantFailure(t, send(p, 1, 1, time.Minute), draws.NoLeader)
}

func TestWrittenDrawOfALostConnectionIsUnknown(t *testing.T) {
	dialler := newPipe()
	p := newPool(t, dialler.dial, 0)
	written := send(p, 1, 1, time.Minute)
	server := <-dialler.ends
	frames := newFrameReader(server, maxBatchBytes)
	if _, err := frames.next(); err != nil {
		t.Fatal(err)
	}
	_ = server.Close()
	wantFailure(t, written, draws.UnknownOutcome)
}

func TestHalfWrittenDrawIsUnknown(t *testing.T) {
	dialler := newPipe()
	p := newPool(t, dialler.dial, 0)
	d := send(p, 1, 1, time.Minute)
	server := <-dialler.ends
	if _, err := server.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	// The writer is stuck in the middle of this frame, so the next draw is
	// certainly not written. It goes out on the next connection.
	next := send(p, 1, 2, time.Minute)
	_ = server.Close()
	wantFailure(t, d, draws.UnknownOutcome)
	again := <-dialler.ends
	f, err := newFrameReader(again, maxBatchBytes).next()
	if err != nil {
		t.Fatal(err)
	}
	items, err := decodeDraws(f, nil)
	if err != nil || len(items) != 1 || items[0].prize != 2 {
		t.Fatalf("got %+v, %v", items, err)
	}
	_ = again.Close()
	wantFailure(t, next, draws.UnknownOutcome)
}

func TestUnwrittenDrawsOfALostServerAreNotDone(t *testing.T) {
	dialler := newPipe()
	p := newPool(t, dialler.dial, 0)
	d := send(p, 1, 1, time.Minute)
	server := <-dialler.ends
	eventually(t, "the first draw is being written", func() bool { _, n := p.Link("s.1").Waiting(); return n == 1 })
	unwritten := send(p, 1, 2, time.Minute)
	dialler.fail.Store(true)
	_ = server.Close()
	wantFailure(t, d, draws.UnknownOutcome)
	wantFailure(t, unwritten, draws.NoLeader)
}

func TestWindowBoundsWhatALinkHolds(t *testing.T) {
	router := &shelf{}
	p := newPool(t, listen(t, router, quiet(), serveDraws).dial, 8)
	var held []*draws.Draw
	for i := range 8 {
		held = append(held, send(p, 1, i, time.Minute))
	}
	wantFailure(t, send(p, 1, 8, time.Minute), draws.Overloaded)
	eventually(t, "all have arrived", func() bool { return router.count() == 8 })
	wantFailure(t, send(p, 1, 9, time.Minute), draws.Overloaded)
	router.answerAll()
	for _, d := range held {
		wantFailure(t, d, draws.NoFailure)
	}
	d := send(p, 1, 10, time.Minute)
	eventually(t, "it has arrived", func() bool { return router.count() == 1 })
	router.answerAll()
	wantFailure(t, d, draws.NoFailure)
}

func TestLateAndDuplicateAnswersAreDropped(t *testing.T) {
	dialler := newPipe()
	p := newPool(t, dialler.dial, 0)
	late := send(p, 1, 1, 60*time.Millisecond)
	server := <-dialler.ends
	defer server.Close()
	frames := newFrameReader(server, maxBatchBytes)
	read := func() uint64 {
		f, err := frames.next()
		if err != nil {
			t.Fatal(err)
		}
		items, err := decodeDraws(f, nil)
		if err != nil || len(items) != 1 {
			t.Fatalf("%v, %v", items, err)
		}
		return items[0].id
	}
	lateID := read()
	wantFailure(t, late, draws.UnknownOutcome)

	// The next draw takes the same slot. Neither the late answer nor one for
	// a slot that never was may reach it.
	second := send(p, 1, 2, time.Minute)
	secondID := read()
	if secondID == lateID {
		t.Fatal("an id was used twice")
	}
	answers := batch{kind: frameAnswers}
	for _, a := range []struct {
		id  uint64
		seq uint64
	}{{lateID, 1}, {1 << 60, 1}, {12345, 1}, {secondID, 42}, {secondID, 43}} {
		answers.room()
		answers.buf = appendAnswer(answers.buf, a.id, &draws.Answer{Outcome: allocator.Outcome{Seq: a.seq}})
		answers.added()
	}
	answers.seal()
	if _, err := server.Write(answers.buf); err != nil {
		t.Fatal(err)
	}
	if a := second.Wait(); a.Failure != 0 || a.Seq != 42 {
		t.Errorf("got %+v", a)
	}
}

func TestDeadlines(t *testing.T) {
	t.Run("passed before it is sent: certainly not done", func(t *testing.T) {
		p := newPool(t, listen(t, echo{}, quiet(), serveDraws).dial, 0)
		wantFailure(t, send(p, 1, 1, -time.Second), draws.Timeout)
	})
	t.Run("passed while it waits to be written: certainly not done", func(t *testing.T) {
		dialler := newPipe()
		p := newPool(t, dialler.dial, 0)
		first := send(p, 1, 1, time.Minute)
		server := <-dialler.ends // and reads nothing
		eventually(t, "the first draw is being written", func() bool { _, n := p.Link("s.1").Waiting(); return n == 1 })
		wantFailure(t, send(p, 1, 2, 30*time.Millisecond), draws.Timeout)
		_ = server.Close()
		wantFailure(t, first, draws.UnknownOutcome)
	})
	t.Run("passed without an answer: unknown", func(t *testing.T) {
		router := &shelf{}
		p := newPool(t, listen(t, router, quiet(), serveDraws).dial, 0)
		wantFailure(t, send(p, 1, 1, 50*time.Millisecond), draws.UnknownOutcome)
		router.answerAll() // late
		d := send(p, 1, 2, time.Minute)
		eventually(t, "it has arrived", func() bool { return router.count() == 1 })
		router.answerAll()
		wantFailure(t, d, draws.NoFailure)
	})
	t.Run("the other side's is earlier", func(t *testing.T) {
		router := &shelf{}
		p := newPool(t, listen(t, router, quiet(), serveDraws).dial, 0)
		d := send(p, 1, 1, time.Minute)
		eventually(t, "it has arrived", func() bool { return router.count() == 1 })
		if there := router.draws[0].Deadline; there >= d.Deadline || there < d.Deadline-int64(time.Second) {
			t.Errorf("%d ns between the deadlines", d.Deadline-there)
		}
		router.answerAll()
		wantFailure(t, d, draws.NoFailure)
	})
}

func TestCutFrameHasNoEffectAndWholeOnesDo(t *testing.T) {
	router := &shelf{}
	s := NewServer(ServerOptions{Router: router, Now: clock, Logger: quiet()})
	here, there := net.Pipe()
	served := make(chan struct{})
	go func() { defer close(served); s.ServeDraws(there, "client.1") }()
	whole := oneDraw(7)
	if _, err := here.Write(append(whole, oneDraw(8)[:12]...)); err != nil {
		t.Fatal(err)
	}
	_ = here.Close()
	<-served
	if router.count() != 1 || router.draws[0].Prize != 7 {
		t.Errorf("%d draws were routed", router.count())
	}
	router.answerAll() // nobody is there: must do no harm
}

func oneDraw(prize int) []byte {
	d := draws.New(allocator.PrizeNo(prize), []byte("u"), nil, 0, nil)
	defer d.Release()
	b := batch{kind: frameDraws}
	b.room()
	b.buf = appendDraw(b.buf, uint64(prize), 1, d, 1000)
	b.added()
	b.seal()
	return b.buf
}

func TestMalformedFrameEndsTheConnectionWithALogLine(t *testing.T) {
	badVersion, badKind, trailing, tooLong := oneDraw(1), oneDraw(1), append(oneDraw(1), 0), oneDraw(1)
	badVersion[4], badKind[5] = 9, frameAnswers
	trailing[3]++
	tooLong[0] = 0x7f
	for name, bad := range map[string][]byte{"version": badVersion, "kind": badKind, "trailing": trailing, "length": tooLong} {
		router, log := &shelf{}, &logBook{}
		s := NewServer(ServerOptions{Router: router, Now: clock, Logger: slog.New(slog.NewTextHandler(log, nil))})
		here, there := net.Pipe()
		served := make(chan struct{})
		go func() { defer close(served); s.ServeDraws(there, "client.1") }()
		go func() { _, _ = here.Write(bad) }()
		<-served
		_ = here.Close()
		if router.count() != 0 || !log.has("level=ERROR") || !log.has("client.1") {
			t.Errorf("bad %s: %d draws routed; log: %s", name, router.count(), log.text.String())
		}
	}
}
