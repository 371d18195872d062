package draws

import (
	"context"
	"testing"
	"time"

	"tombola/allocator"
)

// While the clock can't be trusted nothing is proposed, and nothing refused: a
// refusal may come from the clock as well. What waits is certainly not done.
func TestNothingIsDecidedByAClockThatCannotBeTrusted(t *testing.T) {
	w := newWorld(t)
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	w.setClock(now)
	w.heard(prize(1, func(d *allocator.Definition) { d.EndsAt = allocator.MicrosOf(now.Add(time.Hour)) }), lot(1, 3))
	w.setClock(now.Add(25 * time.Hour)) // the prize would have ended
	w.setOff(true)
	w.lead()
	w.e.Hear([]allocator.Word{lot(2, 5)})
	d := w.submit("ada", "", 20*time.Millisecond)
	if a := d.Wait(); a.Failure != Timeout {
		t.Fatalf("%+v", a)
	}
	if entries, verifies, attempts := w.log.counts(); len(entries)+verifies+attempts > 0 {
		t.Fatalf("entries of %v, %d verifications, %d attempts", entries, verifies, attempts)
	}
	w.setClock(now)
	w.setOff(false)
	if a := w.draw("bob", ""); a.Verdict != allocator.Granted {
		t.Fatalf("%+v", a)
	}
}

func TestDrawsOutliveADoubtAboutTheClock(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(1), lot(1, 3))
	w.setOff(true)
	w.lead()
	late := w.submit("ada", "", 10*time.Millisecond)
	if a := late.Wait(); a.Failure != Timeout {
		t.Fatalf("%+v", a)
	}
	d := w.submit("bob", "", patience)
	if _, _, attempts := w.log.counts(); attempts > 0 {
		t.Fatal("the log was asked for something")
	}
	w.setOff(false)
	if a := d.Wait(); a.Verdict != allocator.Granted {
		t.Fatalf("%+v", a)
	}
	w.setOff(true)
	d = w.submit("cid", "", patience)
	w.stop() // the leadership is handed over
	if got := <-w.rerouted; got != d {
		t.Fatalf("%p is rerouted, want %p", got, d)
	}
}

func TestAnOrderThatIsGivenUpDoesNotStayInTheQueue(t *testing.T) {
	w := newWorld(t)
	w.setOff(true)
	w.lead()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	if _, err := w.e.Order(ctx, func(e *allocator.EntryWriter) { e.Sunk(1) }); err == nil {
		t.Fatal("decided")
	}
	w.e.mu.Lock()
	defer w.e.mu.Unlock()
	if n := len(w.e.orders); n > 0 {
		t.Fatalf("%d orders wait", n)
	}
}
