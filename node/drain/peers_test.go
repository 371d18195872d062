package drain

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"tombola/allocator"
)

// peer is another server's outbox: events 1 to n, some at a time.
type peer struct{ first, last, atMost uint64 }

func (p peer) events(_ context.Context, from, to uint64) ([][]byte, error) {
	if from < p.first || from > p.last {
		return nil, errors.New("not kept here")
	}
	var payloads [][]byte
	for seq := from; seq <= min(to, p.last, from+p.atMost-1); seq++ {
		payloads = append(payloads, allocator.AppendEvent(nil, &allocator.Event{
			Seq: seq, Kind: allocator.EventGrant, Prize: 1, At: 1, Day: 1, User: fmt.Appendf(nil, "user-%d", seq),
		}))
	}
	return payloads, nil
}

// restored is a world whose outbox begins with event 101, and a sink at 10: the
// replica was restored from a snapshot, and the database failed over to an
// older state than that.
func restored(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, 10).run()
	w.exactly(10)
	w.stop()
	<-w.done
	if err := w.box.Reset(101); err != nil {
		t.Fatal(err)
	}
	w.grant(5)
	return w
}

func TestEventsThatAreNotKeptHereComeFromAnotherServer(t *testing.T) {
	w := restored(t)
	w.d.cfg.Peers = peer{first: 1, last: 105, atMost: 7}.events
	w.run()
	w.exactly(105)
	w.await("all is well", func() bool { return w.d.Status() == Status{Seq: 105} })
	w.grant(5)
	w.exactly(110)
}

func TestAReplyLostWhileCatchingUpIsFoundInTheCheckpoint(t *testing.T) {
	w := restored(t)
	w.d.cfg.Peers = peer{first: 1, last: 105, atMost: 7}.events
	lost := 0
	w.sink.after = func() error {
		if lost++; lost%3 == 1 {
			return errAway
		}
		return nil
	}
	w.run()
	w.exactly(105)
}

func TestEventsThatNobodyKeepsAreAnAlarm(t *testing.T) {
	w := restored(t)
	w.d.cfg.Peers = peer{first: 50, last: 105, atMost: 7}.events
	w.run()
	w.await("it shows", func() bool { return errors.Is(w.d.Status().Err, ErrBehind) })
	if w.logged("events 11 to 100") == 0 {
		t.Fatalf("the log does not name what is missing: %s", w.log.String())
	}
	if at := w.sink.at(); at != 10 {
		t.Fatalf("the sink is at %d", at)
	}
}

func TestAPeersWrongEventsAreNotWritten(t *testing.T) {
	w := restored(t)
	w.d.cfg.Peers = func(ctx context.Context, from, to uint64) ([][]byte, error) {
		return peer{first: 1, last: 105, atMost: 7}.events(ctx, from+1, to)
	}
	w.run()
	w.await("it shows", func() bool { return errors.Is(w.d.Status().Err, ErrBehind) })
	if at := w.sink.at(); at != 10 {
		t.Fatalf("the sink is at %d", at)
	}
}
