package raftstore

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

func TestVerificationsShareARoundThatStartsAfterThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started, finish := make(chan int), make(chan error)
		rounds := 0
		v := &verifier{check: func() error {
			rounds++
			started <- rounds
			return <-finish
		}}
		results := make(chan error, 100)
		ask := func() { results <- v.verify(context.Background()) }

		go ask()
		<-started // round 1 is under way
		for range 50 {
			go ask()
		}
		synctest.Wait() // all late ones wait for the next round
		finish <- nil
		if err := <-results; err != nil {
			t.Fatal(err)
		}
		if n := <-started; n != 2 {
			t.Fatalf("round %d", n)
		}
		refused := errors.New("refused")
		finish <- refused
		for range 50 {
			if err := <-results; !errors.Is(err, refused) {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if rounds != 2 {
			t.Errorf("%d rounds for 51 callers", rounds)
		}
	})
}

func TestAVerificationEndsWithItsContext(t *testing.T) {
	release := make(chan struct{})
	v := &verifier{check: func() error { <-release; return nil }}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := v.verify(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	close(release)
}

func TestManyVerifyARealGroup(t *testing.T) {
	c := newCluster(t, 1, nil)
	leader := c.leader()
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if err := leader.group.Verify(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestOnlyTheVeryEntryFindsItsProposer(t *testing.T) {
	w := newPending()
	mine := entry("text")
	p := w.add(mine, 7)
	if w.take(bytes.Clone(mine)) != nil {
		t.Error("another server's entry with the same number was taken for this one")
	}
	if w.settle(p) {
		t.Error("settled as applied")
	}
	if w.take(mine) != nil {
		t.Error("handed out after the proposer had gone")
	}
	p = w.add(mine, 8)
	if w.take(mine) != p || w.take(mine) != nil {
		t.Error("not handed out exactly once")
	}
	go p.finish(nil)
	if !w.settle(p) {
		t.Error("a proposal that was taken must be waited for")
	}
}

func TestAnInterruptedFirstStartIsFinished(t *testing.T) {
	members := []Server{{"b", "b:1"}, {"a", "a:1"}, {"c", "c:1"}}
	first := func(t *testing.T, term uint64, members []Server) raft.Log {
		dir := filepath.Join(t.TempDir(), "group")
		s, err := openStore(dir, func(err error) { t.Error(err) }, watchdog{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.close() }()
		if term > 0 {
			if err := s.SetUint64([]byte("CurrentTerm"), term); err != nil {
				t.Fatal(err)
			}
		}
		snaps, err := raft.NewFileSnapshotStoreWithLogger(dir, 1, newHCLogger(testLogger(t)))
		if err != nil {
			t.Fatal(err)
		}
		conf := raft.DefaultConfig()
		conf.LocalID = "a"
		for range 2 { // the second time does nothing
			if err := bootstrap(conf, s, snaps, nil, members); err != nil {
				t.Fatal(err)
			}
		}
		var log raft.Log
		if err := s.GetLog(1, &log); err != nil {
			t.Fatal(err)
		}
		if last, _ := s.LastIndex(); last != 1 {
			t.Fatalf("last index %d", last)
		}
		return log
	}
	want := first(t, 0, members)
	for term, listed := range map[uint64][]Server{0: {members[1], members[2], members[0]}, 1: members, 7: members} {
		got := first(t, term, listed)
		if got.Term != 1 || got.Type != raft.LogConfiguration || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("after term %d the first entry is %+v, want %+v", term, got, want)
		}
	}
}

func TestEveryNewDirectoryIsSynced(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "a", "b", "c")
	want := []string{dir, filepath.Dir(dir), filepath.Join(root, "a"), root}
	for _, want := range [][]string{want, want[:2]} { // the second time all are there
		if got, err := makeDir(dir); err != nil || !slices.Equal(got, want) {
			t.Errorf("touched %q, %v; want %q", got, err, want)
		}
	}
}

func TestUnfinishedSnapshotsAreRemoved(t *testing.T) {
	dir := t.TempDir()
	torn, whole := filepath.Join(dir, "snapshots", "1-2-3.tmp"), filepath.Join(dir, "snapshots", "1-2-3")
	for _, d := range []string{torn, whole} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := removeTorn(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(torn); !errors.Is(err, os.ErrNotExist) {
		t.Error("the unfinished one is still there")
	}
	if _, err := os.Stat(whole); err != nil {
		t.Error("a finished one is gone")
	}
}

func TestResolvedAddressesComeFirst(t *testing.T) {
	r := resolver{local: "a", advertise: "a:1", resolve: func(id string) (string, bool) {
		return "moved:2", id == "b"
	}}
	for id, want := range map[raft.ServerID]raft.ServerAddress{"a": "a:1", "b": "moved:2"} {
		if got, err := r.ServerAddr(id); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", id, got, err, want)
		}
	}
	if _, err := r.ServerAddr("c"); err == nil {
		t.Error("an unknown server has an address")
	}
}

func TestAMovedServerIsFound(t *testing.T) {
	var mu sync.Mutex
	moved := make(map[string]string)
	c := newCluster(t, 1, func(o *Options) {
		o.Resolve = func(server string) (string, bool) {
			mu.Lock()
			defer mu.Unlock()
			addr, ok := moved[server]
			return addr, ok
		}
	})
	c.propose("before")
	mover := c.followers()[0]
	c.stop(mover)
	c.listen(mover, "127.0.0.1:0")
	mu.Lock()
	moved[mover.id] = mover.addr
	mu.Unlock()
	c.open(mover)
	c.propose("after")
	c.agree([]string{"before", "after"})
}

func TestRaftsMessagesFindTheirLevel(t *testing.T) {
	var out bytes.Buffer
	l := newHCLogger(slog.New(slog.NewTextHandler(&out, nil)))
	lines := func(f func()) string { out.Reset(); f(); return strings.TrimSpace(out.String()) }

	if got := lines(func() { l.Info("entering follower state"); l.Debug("x"); l.Trace("x") }); got != "" {
		t.Errorf("detail came through: %s", got)
	}
	got := lines(func() {
		for range 10 {
			l.Named("net").With("peer", "b").Error("failed to heartbeat to", "error", "gone", "n", hclog.Fmt("%d!", 5))
		}
	})
	for _, want := range []string{"level=WARN", `"raft: net: failed to heartbeat to"`, "peer=b", "error=gone", "n=5!"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q lacks %s", got, want)
		}
	}
	if strings.Contains(got, "\n") {
		t.Errorf("repeated: %s", got)
	}
	if got := lines(func() { l.Error("peer has newer term, stopping replication") }); got != "" {
		t.Errorf("a handover is told as %s", got)
	}
	if got := lines(func() { l.Error("failed to commit logs") }); !strings.Contains(got, "level=ERROR") {
		t.Errorf("a real error became %q", got)
	}
	if !l.shared.due("failed to heartbeat to", time.Now().Add(repeatEvery)) {
		t.Error("never logged again")
	}
	if l.IsDebug() || !l.IsWarn() || l.GetLevel() != hclog.Warn {
		t.Errorf("level %v", l.GetLevel())
	}
	if got := lines(func() { l.quiet(); l.Error("failed to decode incoming command") }); got != "" {
		t.Errorf("not quiet: %s", got)
	}
}

func TestAnElectionIsNoWarning(t *testing.T) {
	var out strings.Builder
	log := newHCLogger(slog.New(slog.NewTextHandler(&out, nil)))
	log.Warn("heartbeat timeout reached, starting election", "last-leader-id", "")
	log.Warn("failed to contact quorum of nodes, stepping down")
	if text := out.String(); !strings.Contains(text, "level=INFO msg=\"raft: heartbeat") || !strings.Contains(text, "level=WARN msg=\"raft: failed to contact quorum") {
		t.Errorf("logged:\n%s", text)
	}
}
