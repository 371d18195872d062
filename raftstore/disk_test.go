package raftstore

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// stuck is a log file on a disk that hangs until it is let go.
type stuck struct {
	backing
	release chan struct{}
}

func (s stuck) StoreLogs(entries []*raft.Log) error {
	<-s.release
	return s.backing.StoreLogs(entries)
}

func (s stuck) SetUint64(key []byte, value uint64) error {
	<-s.release
	return s.backing.SetUint64(key, value)
}

func TestAWriteThatNeverReturnsIsFatal(t *testing.T) {
	for what, write := range map[string]func(*store) error{
		"append": func(s *store) error { return s.StoreLog(&raft.Log{Index: 1, Term: 1}) },
		"set":    func(s *store) error { return s.SetUint64([]byte("CurrentTerm"), 7) },
	} {
		t.Run(what, func(t *testing.T) {
			reported := make(chan error, 1)
			f := &fault{group: 3, report: func(err error) { reported <- err }} // not armed: Open itself may hang
			s, err := openStore(t.TempDir(), f.fail, watchdog{limit: 100 * time.Millisecond, fail: f.hang})
			if err != nil {
				t.Fatal(err)
			}
			release := make(chan struct{})
			s.bolt = stuck{s.bolt, release}
			done := make(chan error)
			go func() { done <- write(s) }()
			want := "group 3: log store: " + what + " has not returned for 100ms: the disk hangs"
			select {
			case err := <-reported:
				if !strings.HasSuffix(err.Error(), want) {
					t.Errorf("%v, want %s", err, want)
				}
			case <-time.After(20 * time.Second):
				t.Error("nothing was reported")
			}
			close(release)
			if err := <-done; err != nil {
				t.Error(err)
			}
			f.arm()
			if len(reported) > 0 {
				t.Error("reported twice")
			}
			if err := s.close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestASlowWriteIsNotFatal(t *testing.T) {
	fired := make(chan error, 1)
	dog := watchdog{limit: 8 * time.Second, fail: func(err error) { fired <- err }}
	w := dog.begin("append")
	w.end()
	watchdog{fail: dog.fail}.begin("append").end() // 0 is never
	// Ticks that are left over find the work done.
	dog.limit = 8 * time.Millisecond
	dog.tick(w, "append", 1)
	last := make(chan struct{})
	time.AfterFunc(4*time.Millisecond, func() { close(last) })
	<-last
	if len(fired) > 0 {
		t.Error(<-fired)
	}
}

// hung is a machine whose disk hangs.
type hung struct {
	*register
	release chan struct{}
}

func (h hung) Apply(entry []byte, into any) error {
	<-h.release
	return h.register.Apply(entry, into)
}

func TestAnApplyThatNeverReturnsIsFatal(t *testing.T) {
	release := make(chan struct{})
	c := newCluster(t, 4, func(o *Options) {
		o.Machine, o.DiskStall = hung{o.Machine.(*register), release}, 200*time.Millisecond
	})
	leader := c.leader()
	proposed := make(chan error)
	go func() { proposed <- leader.group.Propose(entry("x"), nil) }()
	select {
	case err := <-leader.fatal:
		if !strings.Contains(err.Error(), "group 4: state machine: apply has not returned for 200ms: the disk hangs") {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("nothing was reported")
	}
	close(release)
	if err := <-proposed; err != nil && !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
}

func TestAServerWithoutRoomIsAFollowerThatCatchesUp(t *testing.T) {
	var full [3]atomic.Bool
	opened := 0
	c := newCluster(t, 5, func(o *Options) {
		room := &full[opened%3]
		opened++
		o.Room = func() bool { return !room.Load() }
	})
	c.propose("before")
	c.agree([]string{"before"})
	leader, poor := c.leader(), c.followers()[0]
	for i, s := range c.servers {
		full[i].Store(s == poor)
	}
	was, term := poor.group.Status().LastIndex, leader.group.Status().Term
	want := append([]string{"before"}, texts("x", trailingEntries+50)...)
	for _, text := range want[1:] {
		c.propose(text)
	}
	// Nothing is taken, and yet it hears from the leader and is no candidate.
	for heard := poor.group.Status().LastContact; ; {
		now := poor.group.Status()
		if now.LastContact.Sub(heard) > 2*testElection {
			break
		}
		if now.LastIndex != was {
			t.Fatalf("the log went from %d to %d without room", was, now.LastIndex)
		}
		<-time.After(5 * time.Millisecond)
	}
	if s := leader.group.Status(); s.Term != term || !s.Leading {
		t.Errorf("the leader of term %d is now %s of term %d", term, s.State, s.Term)
	}
	// It needs a snapshot by now, which is refused as well.
	if err := leader.group.Snapshot(); err != nil {
		t.Fatal(err)
	}
	if got := poor.group.Status(); got.Installs != 0 || got.LastIndex != was {
		t.Errorf("without room: %+v", got)
	}
	if err := poor.group.Snapshot(); !hasNoRoom(err) {
		t.Errorf("a snapshot of its own, without room: %v", err)
	}
	for i := range full {
		full[i].Store(false)
	}
	c.agree(want)
	if got := poor.group.Status().Installs; got != 1 {
		t.Errorf("%d snapshots were counted, want 1", got)
	}
	eventually(t, "the leader counts it too", func() bool { return leader.group.Status().Sent == 1 })
	c.noFatal()
}

func TestWithoutRoomEntriesAndSnapshotsAreRefused(t *testing.T) {
	var room atomic.Bool
	stop, in, done := make(chan struct{}), make(chan raft.RPC), make(chan struct{})
	g := newRoomGate(room.Load, stop, testLogger(t))
	go func() { defer close(done); g.run(in) }()
	send := func(command any, rest io.Reader) <-chan raft.RPCResponse {
		answer := make(chan raft.RPCResponse, 1)
		in <- raft.RPC{Command: command, Reader: rest, RespChan: answer}
		return answer
	}
	entries := &raft.AppendEntriesRequest{Entries: []*raft.Log{{Index: 1}}}
	if a := <-send(entries, nil); !errors.Is(a.Error, errNoRoom) {
		t.Errorf("entries: %+v", a)
	}
	rest := strings.NewReader("snapshot, and the next message")
	if a := <-send(&raft.InstallSnapshotRequest{Size: 8}, rest); !errors.Is(a.Error, errNoRoom) || rest.Len() != 22 {
		t.Errorf("snapshot: %+v, %d bytes are left", a, rest.Len())
	}
	for _, command := range []any{&raft.AppendEntriesRequest{}, &raft.RequestVoteRequest{}, &raft.TimeoutNowRequest{}} {
		send(command, nil)
		if rpc := <-g.out; rpc.Command != command {
			t.Errorf("%T became %T", command, rpc.Command)
		}
	}
	room.Store(true)
	send(entries, nil)
	if rpc := <-g.out; rpc.Command != any(entries) {
		t.Error("refused with room")
	}
	close(stop)
	<-done
}

func TestRepeatedSnapshotsRaiseAnAlarm(t *testing.T) {
	var out strings.Builder
	i := newInstalls(slog.New(slog.NewTextHandler(&out, nil)))
	start := time.Now()
	for n := range 4 {
		i.happened("", start.Add(time.Duration(n)*3*time.Minute)) // two in any five minutes
		i.happened("b", start)
		i.happened("c", start)
		if n == 1 && out.Len() > 0 {
			t.Errorf("after two each: %s", out.String())
		}
	}
	i.happened("", start.Add(10*time.Minute))
	text := out.String()
	if strings.Count(text, "to=b sent=3") != 1 || strings.Count(text, "level=ERROR") != 5 ||
		!strings.Contains(text, "installed here again and again") {
		t.Errorf("logged:\n%s", text)
	}
	if n := i.total.Load(); n != 13 {
		t.Errorf("%d counted", n)
	}
}
