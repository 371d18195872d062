package ask

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tombola/httpapi/wire"
	"tombola/node/draws"
	"tombola/node/forward"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 10 * time.Second
	self     = "n1.00000001"
	other    = "n2.00000001"
)

// world is an asker whose peers answer as the test says.
type world struct {
	*Asker

	mu     sync.Mutex
	leader string
	asked  []string // servers, in order
	reply  func(server string, nth int) (any, error)
}

func (w *world) Leader(uint16) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.leader, w.leader != ""
}

func (w *world) Call(_ context.Context, server string, _ uint16, _ string, _, response any) error {
	w.mu.Lock()
	w.asked = append(w.asked, server)
	nth := len(w.asked)
	w.mu.Unlock()
	answer, err := w.reply(server, nth)
	if err != nil {
		return err
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, response)
}

func (w *world) lead(server string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leader = server
}

func newWorld(leader string, reply func(string, int) (any, error)) *world {
	w := &world{leader: leader, reply: reply}
	server := forward.NewServer(forward.ServerOptions{Now: draws.Now, Logger: slog.New(slog.DiscardHandler)})
	w.Asker = New(self, w, w, server)
	return w
}

func (w *world) ask(t *testing.T, timeout time.Duration, safe bool) (answer string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	err = w.Asker.Leader(ctx, 3, "greet", safe, "ada", &answer)
	return answer, err
}

func code(err error) wire.Code {
	var p *wire.Problem
	if errors.As(err, &p) {
		return p.Code
	}
	return 0
}

func TestTheLeaderIsAskedHereAndElsewhere(t *testing.T) {
	w := newWorld(self, func(string, int) (any, error) { return "elsewhere", nil })
	Handle(w.Asker, "greet", func(_ context.Context, group uint16, who string) (string, error) {
		return fmt.Sprintf("%s in %d", who, group), nil
	})
	if a, err := w.ask(t, patience, false); err != nil || a != "ada in 3" {
		t.Fatalf("%q, %v", a, err)
	}
	w.lead(other)
	if a, err := w.ask(t, patience, false); err != nil || a != "elsewhere" {
		t.Fatalf("%q, %v", a, err)
	}
}

func TestWhoeverLeadsNextIsAskedWhereNothingWasDone(t *testing.T) {
	for name, why := range map[string]error{
		"it does not lead": NotLeading(), "it was not reached": fmt.Errorf("dial: %w", forward.ErrUnreachable),
		"it is busy": &forward.RemoteError{Code: forward.CodeBusy},
	} {
		w := newWorld(other, nil)
		w.reply = func(_ string, nth int) (any, error) {
			if nth < 3 {
				return nil, why
			}
			return "done", nil
		}
		if a, err := w.ask(t, patience, false); err != nil || a != "done" {
			t.Fatalf("%s: %q, %v", name, a, err)
		}
	}
}

func TestALostReplyIsAskedForAgainOnlyIfThatDoesNoHarm(t *testing.T) {
	w := newWorld(other, func(_ string, nth int) (any, error) {
		if nth == 1 {
			return nil, fmt.Errorf("read: %w", forward.ErrLost)
		}
		return "done", nil
	})
	if _, err := w.ask(t, patience, false); code(err) != wire.CodeUnknownOutcome {
		t.Fatal(err)
	}
	w.asked = nil
	if a, err := w.ask(t, patience, true); err != nil || a != "done" || len(w.asked) != 2 {
		t.Fatalf("%q, %v, asked %v", a, err, w.asked)
	}
}

func TestAGroupWithoutALeaderIsNamed(t *testing.T) {
	w := newWorld("", nil)
	_, err := w.ask(t, 3*retryEvery, true)
	var p *wire.Problem
	if !errors.As(err, &p) || p.Code != wire.CodeNoLeader || !slices.Equal(p.Slices, []uint16{3}) {
		t.Fatalf("%v", err)
	}
	if len(w.asked) != 0 {
		t.Fatalf("asked %v", w.asked)
	}
}

func TestAProblemIsPassedOnAsItIs(t *testing.T) {
	granted := int64(7)
	problem := wire.NewProblem(wire.CodeBelowGranted, "%d are granted", granted)
	problem.Granted = &granted
	w := newWorld(self, func(string, int) (any, error) { return nil, encode(problem) })
	Handle(w.Asker, "greet", func(context.Context, uint16, string) (string, error) { return "", problem })
	for _, leader := range []string{self, other} {
		w.lead(leader)
		_, err := w.ask(t, patience, true)
		var got *wire.Problem
		if !errors.As(err, &got) || got.Code != problem.Code || got.Detail != problem.Detail || got.Granted == nil || *got.Granted != 7 {
			t.Fatalf("%s: %v", leader, err)
		}
	}
}

func TestOtherErrorsAreNotRepeated(t *testing.T) {
	w := newWorld(other, func(string, int) (any, error) {
		return nil, &forward.RemoteError{Code: forward.CodeInternal, Text: "no"}
	})
	if _, err := w.ask(t, patience, true); err == nil || len(w.asked) != 1 {
		t.Fatalf("%v, asked %v", err, w.asked)
	}
}
