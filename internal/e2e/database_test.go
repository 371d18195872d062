package e2e_test

import (
	"bufio"
	"context"
	"database/sql"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tombola/httpapi/wire"
	"tombola/internal/testcluster"
)

var (
	away     = flag.Duration("away", 3*time.Second, "how long the database is away in each way")
	drawRate = flag.Int("away-rate", 600, "draws a second meanwhile; 0 for as many as 200 connections make")
)

// TestTheDatabaseAway has the database killed, frozen and made read-only under
// load. No draw may notice; every grant is in the database in the end, once.
//
// What a node keeps of each grant in memory grows with the grants, whatever the
// database does. So what it grew by with the database there, for each grant, is
// taken off what it grew by without.
func TestTheDatabaseAway(t *testing.T) {
	maria := testcluster.StartMariaDB(t, t.TempDir())
	db, err := sql.Open("mysql", maria.Root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	c := testcluster.Start(t, testcluster.Options{MySQL: maria.DSN, Election: 3 * time.Second})
	create(t, c, "away", counter(50_000_000))
	s := startStream(t, c, "away")

	s.pass(*away) // warm
	before := s.measure(func() { s.pass(*away) })
	t.Logf("with the database: %s", before)
	for _, way := range []struct {
		name        string
		leave, mend func(context.Context) error
	}{
		{"killed", func(context.Context) error { maria.Kill(); return nil }, maria.Restart},
		{"frozen", func(context.Context) error { return maria.Freeze() }, func(context.Context) error { return maria.Thaw() }},
		{"read-only", func(ctx context.Context) error { return maria.Exec(ctx, "SET GLOBAL read_only = 1") },
			func(ctx context.Context) error { return maria.Exec(ctx, "SET GLOBAL read_only = 0") }},
	} {
		m := s.measure(func() {
			if err := way.leave(within(t)); err != nil {
				t.Fatal(err)
			}
			s.pass(*away)
			if way.name == "read-only" {
				s.told("read-only")
			}
			if way.name == "killed" {
				s.told("slice")
			}
		})
		if err := way.mend(within(t)); err != nil {
			t.Fatal(err)
		}
		mended := time.Now()
		behind := s.behind()
		after := s.measure(s.caughtUp)
		took := time.Since(mended)
		t.Logf("%s for %s: %s; after: %s; %.1f s behind when it was back, under 1 s after %s",
			way.name, m.took.Round(time.Second/10), m, after, behind, took.Round(time.Second/10))
		if limit := 2*m.took + patience/4; took > limit {
			t.Errorf("%s: the backlog took %s to drain", way.name, took)
		}
		for i, grown := range m.grown {
			usual := int64(float64(before.grown[i]) / float64(max(1, before.granted)) * float64(m.granted))
			if spare := grown - max(0, usual); spare > 64<<10 {
				t.Errorf("%s: %s grew by %d KiB, of which %d are usual", way.name, c.Nodes[i].ID, grown, usual)
			}
		}
	}
	grants := s.end()
	sunk(t, c)
	rows, distinct := 0, 0
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*), COUNT(DISTINCT user_id) FROM send_log WHERE prize_id = 'away'").Scan(&rows, &distinct); err != nil {
		t.Fatal(err)
	}
	sent, daily := totals(t, db, "away")
	if rows != grants || distinct != grants || sent != int64(grants) || daily != sent {
		t.Errorf("%d grants, %d rows of %d users, totals %d and %d", grants, rows, distinct, sent, daily)
	}
	verified(t, c)
}

// stream draws all the time, each draw for a user of its own.
type stream struct {
	t       testing.TB
	c       *testcluster.Cluster
	granted atomic.Int64
	bad     atomic.Int64
	slowest atomic.Int64 // of the period, in microseconds
	stop    context.CancelFunc
	workers sync.WaitGroup
}

func startStream(t testing.TB, c *testcluster.Cluster, prize string) *stream {
	s := &stream{t: t, c: c}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	t.Cleanup(func() { stop(); s.workers.Wait() })
	workers := 200
	pace := make(<-chan time.Time)
	if *drawRate > 0 {
		workers = 30
		ticker := time.NewTicker(time.Second * time.Duration(workers) / time.Duration(*drawRate) / time.Duration(workers))
		t.Cleanup(ticker.Stop)
		pace = ticker.C
	}
	var users atomic.Int64
	clients := c.Clients()
	for w := range workers {
		client := clients[w%len(clients)]
		s.workers.Go(func() {
			for ctx.Err() == nil {
				if *drawRate > 0 {
					select {
					case <-ctx.Done():
						return
					case <-pace:
					}
				}
				id := user(int(users.Add(1)))
				began := time.Now()
				r, err := client.Draw(context.WithoutCancel(ctx), prize, id, id)
				took := time.Since(began).Microseconds()
				for old := s.slowest.Load(); took > old && !s.slowest.CompareAndSwap(old, took); old = s.slowest.Load() {
				}
				if err != nil || r.Outcome != wire.Granted {
					if s.bad.Add(1) <= 5 {
						t.Errorf("draw of %s: %s, %v", id, r.Outcome, err)
					}
					continue
				}
				s.granted.Add(1)
			}
		})
	}
	return s
}

// end stops drawing and returns how many were granted.
func (s *stream) end() int {
	s.stop()
	s.workers.Wait()
	if n := s.bad.Load(); n > 0 {
		s.t.Errorf("%d draws were not granted", n)
	}
	return int(s.granted.Load())
}

// pass returns when so much time has passed, and draws were granted in it.
func (s *stream) pass(d time.Duration) {
	s.t.Helper()
	from, end := s.granted.Load(), time.Now().Add(d)
	err := testcluster.Until(within(s.t), func(context.Context) error {
		if s.granted.Load() == from || time.Now().Before(end) {
			return fmt.Errorf("%d grants", s.granted.Load()-from)
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// measured is a period under load.
type measured struct {
	took    time.Duration
	granted int64
	slowest time.Duration
	grown   []int64 // resident memory of each node, in KiB
	memory  []int64
}

func (m measured) String() string {
	return fmt.Sprintf("%.0f grants/s, slowest %s, RSS %d KiB, grown by %d", float64(m.granted)/m.took.Seconds(),
		m.slowest.Round(time.Millisecond), m.memory, m.grown)
}

func (s *stream) measure(period func()) (m measured) {
	s.slowest.Store(0)
	granted, began, memory := s.granted.Load(), time.Now(), s.memory()
	period()
	m.took, m.granted, m.memory = time.Since(began), s.granted.Load()-granted, s.memory()
	m.slowest = time.Duration(s.slowest.Load()) * time.Microsecond
	for i := range memory {
		m.grown = append(m.grown, m.memory[i]-memory[i])
	}
	return m
}

// memory returns the nodes' resident memory in KiB.
func (s *stream) memory() (all []int64) {
	s.t.Helper()
	for _, n := range s.c.Nodes {
		f, err := os.Open(fmt.Sprintf("/proc/%d/status", n.Process().PID()))
		if err != nil {
			s.t.Fatal(err)
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if fields := strings.Fields(lines.Text()); fields[0] == "VmRSS:" {
				kib, _ := strconv.ParseInt(fields[1], 10, 64)
				all = append(all, kib)
			}
		}
		_ = f.Close()
	}
	return all
}

// behind returns the longest that a slice is behind, in seconds, by the nodes'
// metrics.
func (s *stream) behind() (most float64) {
	s.t.Helper()
	for i := range s.c.Nodes {
		a, err := s.c.Client(i).Do(within(s.t), http.MethodGet, "/metrics", nil, nil)
		if err != nil {
			s.t.Fatal(err)
		}
		for line := range strings.Lines(string(a.Body)) {
			if strings.HasPrefix(line, "tombola_sink_lag_seconds{") {
				v, err := strconv.ParseFloat(strings.Fields(line)[1], 64)
				if err != nil {
					s.t.Fatal(err)
				}
				most = max(most, v)
			}
		}
	}
	return most
}

// caughtUp waits until no slice is a second behind.
func (s *stream) caughtUp() {
	s.t.Helper()
	err := testcluster.Until(within(s.t), func(context.Context) error {
		if lag := s.behind(); lag >= 1 {
			return fmt.Errorf("%.1f s behind", lag)
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// told waits until readyz, which is well otherwise, quotes the database on some
// node.
func (s *stream) told(words string) {
	s.t.Helper()
	err := testcluster.Until(within(s.t), func(ctx context.Context) error {
		for i := range s.c.Nodes {
			a, err := s.c.Client(i).Do(ctx, http.MethodGet, "/readyz?verbose", nil, nil)
			if err != nil {
				return err
			}
			if a.Status != http.StatusOK {
				s.t.Errorf("%s is not ready while its sink is away: %s", s.c.Nodes[i].ID, a.Body)
			}
			if strings.Contains(string(a.Body), "behind") && strings.Contains(string(a.Body), words) {
				return nil
			}
		}
		return fmt.Errorf("readyz does not say %q", words)
	})
	if err != nil {
		s.t.Fatal(err)
	}
}
