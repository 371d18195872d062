package draws

import (
	"errors"
	"sync"
	"testing"
	"time"

	"tombola/allocator"
)

func TestADrawWhoseTimeIsUpWhileItIsParkedWasCertainlyNotDone(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(1))
	w.lead()
	d := w.submit("ada", "", 2*tick)
	if a := d.Wait(); a.Failure != Timeout {
		t.Fatalf("%+v", a)
	}
	d.Release()
	if _, parked := w.e.Waiting(); parked != 0 {
		t.Fatalf("%d are parked still", parked)
	}
	w.e.Hear([]allocator.Word{lot(1, 1)})
	w.note("that the lot has come", func(n *allocator.Note) bool { return n.Lots == 1 })
	if a := w.draw("bob", ""); a.Seq != 1 {
		t.Fatalf("the token was used for nobody: %+v", a)
	}
}

func TestADrawWhoseTimeIsUpBehindAnEntryWasCertainlyNotDone(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(1), lot(1, 10))
	w.lead()
	w.log.hold()
	first := w.submit("ada", "", patience)
	w.arrived()
	if a := w.submit("bob", "", 2*tick).Wait(); a.Failure != Timeout {
		t.Fatalf("%+v", a)
	}
	w.let(fate{applied: true})
	first.Wait()
	if a := w.draw("cyd", ""); a.Seq != 2 {
		t.Fatalf("%+v", a)
	}
}

func TestARefusalThatCantBeVerifiedInTimeWasCertainlyNotDone(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(1), dry(1))
	w.lead()
	w.log.hold()
	d := w.submit("ada", "", 2*tick)
	w.arrived()
	if a := d.Wait(); a.Failure != Timeout {
		t.Fatalf("%+v", a)
	}
	w.let(fate{applied: true})
}

// TestALateOutcomeTouchesNobody releases draws that timed out in an entry and
// uses them again at once, as the pool does. The race detector looks on.
func TestALateOutcomeTouchesNobody(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(1), lot(1, 1000))
	w.lead()
	for range 5 {
		w.log.hold()
		var late []*Draw
		late = append(late, w.submit("ada", "", 2*tick))
		w.arrived()
		for _, d := range late {
			if a := d.Wait(); a.Failure != UnknownOutcome {
				t.Fatalf("%+v", a)
			}
			d.Release()
		}
		var again []*Draw
		for range 100 {
			again = append(again, New(1, []byte("bob"), []byte("r"), 1, nil))
		}
		w.let(fate{applied: true})
		w.draw("cyd", "") // the loop is done with the late entry
		for _, d := range again {
			if d.Answer != (Answer{}) || len(d.wake) != 0 || string(d.User()) != "bob" {
				t.Fatalf("a draw that was not submitted got %+v", d.Answer)
			}
			d.Release()
		}
	}
}

func TestWhoStopsLeadingGivesAllThatWaitsToTheRouter(t *testing.T) {
	for _, c := range []struct {
		name string
		fate fate
		done bool // the entry under way may have been done
	}{
		{"not the leader", fate{err: errNotLeader}, false},
		{"unknown, not applied", fate{err: errUnknown}, true},
		{"unknown, applied", fate{applied: true, err: errUnknown}, true},
	} {
		w := newWorld(t)
		w.heard(prize(1), lot(1, 1), prize(1, func(d *allocator.Definition) { d.No, d.ID = 2, "q" }))
		w.lead()
		parked := New(2, []byte("ada"), nil, Now()+int64(patience), nil)
		w.e.Submit(parked)
		w.parked(1)
		w.log.hold()
		under := w.submit("bob", "", patience)
		w.arrived()
		queued := w.submit("cyd", "", patience)
		ordered := make(chan error, 1)
		go func() {
			_, err := w.e.Order(t.Context(), func(e *allocator.EntryWriter) { e.Sunk(1) })
			ordered <- err
		}()
		w.await("the order waits", func() bool {
			w.e.mu.Lock()
			defer w.e.mu.Unlock()
			return len(w.e.orders) == 1
		})
		w.stop()
		w.let(c.fate)
		<-w.ended
		if err := <-ordered; !errors.Is(err, ErrNotLeading) {
			t.Fatalf("%s: order: %v", c.name, err)
		}
		want := map[*Draw]bool{parked: true, queued: true}
		if c.done {
			if a := under.Wait(); a.Failure != UnknownOutcome {
				t.Fatalf("%s: under way: %+v", c.name, a)
			}
		} else {
			want[under] = true
		}
		for range len(want) {
			d := w.sentBack()
			if !want[d] {
				t.Fatalf("%s: a draw was rerouted that should not be, or twice", c.name)
			}
			delete(want, d)
		}
		late := w.submit("dan", "", patience)
		if d := w.sentBack(); d != late || len(w.rerouted) != 0 {
			t.Fatalf("%s: rerouted another draw than the one that came afterwards", c.name)
		}
		if q, p := w.e.Waiting(); q != 0 || p != 0 || w.e.Leading() {
			t.Fatalf("%s: %d queued, %d parked", c.name, q, p)
		}
	}
}

func TestALeaderMayComeBack(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(1), lot(1, 10))
	w.lead()
	w.draw("ada", "")
	w.stop()
	<-w.ended
	w.lead()
	if a := w.draw("bob", ""); a.Seq != 2 {
		t.Fatalf("%+v", a)
	}
}

// owner counts answers: it is the notifier of draws that nobody waits for.
type owner struct {
	t        *testing.T
	mu       sync.Mutex
	answered map[*Draw]bool
	granted  int
	all      sync.WaitGroup
}

func (o *owner) Answered(d *Draw) {
	o.mu.Lock()
	if o.answered[d] {
		o.t.Error("a draw was answered twice")
	}
	o.answered[d] = true
	if d.Answer.Verdict == allocator.Granted {
		o.granted++
	}
	o.mu.Unlock()
	o.all.Done()
}

// TestEveryDrawIsAnsweredOnce submits draws with short deadlines from many
// goroutines while the log changes its mind and the leadership comes and goes.
func TestEveryDrawIsAnsweredOnce(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxQueued, c.MaxParked = 64, 16 })
	w.heard(prize(1), lot(1, 500))
	w.back = func(d *Draw) { d.Fail(NoLeader) }
	w.lead()
	o := &owner{t: t, answered: make(map[*Draw]bool)}
	const clients, each = 8, 300
	o.all.Add(clients * each)
	var submitting sync.WaitGroup
	for range clients {
		submitting.Go(func() {
			for i := range each {
				w.e.Submit(New(1, []byte("ada"), nil, Now()+int64(i%7)*int64(5*time.Millisecond), o))
				if i%16 == 0 {
					<-time.After(time.Millisecond)
				}
			}
		})
	}
	errs := []error{nil, errNotLeader, nil, errUnknown}
	for i := range 40 {
		w.log.fail(errs[i%len(errs)])
		<-time.After(time.Millisecond)
		if i%10 == 9 {
			w.stop()
			<-w.ended
			w.lead()
		}
	}
	w.log.fail(nil)
	submitting.Wait()
	o.all.Wait()
	var granted int64
	w.state.Read(func(s *allocator.Slice) {
		st, _ := s.State(1)
		granted = st.Granted
	})
	if int64(o.granted) > granted || granted > 500 {
		t.Fatalf("%d draws were told that they were granted, %d were", o.granted, granted)
	}
}
