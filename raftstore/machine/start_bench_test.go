package machine

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"tombola/allocator"
	"tombola/raftstore"
	"tombola/raftstore/mux"
	"tombola/raftstore/outbox"
)

var grants = flag.Int("grants", 100_000, "how many retained grants BenchmarkStart loads")

// BenchmarkStart is how long a slice with many grants in its memory takes from
// its files to leading: outbox, snapshot with users and request ids, log behind
// it, election. Try -grants=10000000 -benchtime=1x.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	s := startSlice(b, dir)
	fill(b, s.group, *grants)
	if err := s.group.Snapshot(); err != nil {
		b.Fatal(err)
	}
	s.stop(b)
	b.ResetTimer()
	var open, lead time.Duration
	for range b.N {
		begin := time.Now()
		s := startSlice(b, dir)
		open += s.opened.Sub(begin)
		lead += time.Since(begin)
		b.StopTimer()
		s.m.Read(func(state *allocator.Slice) {
			if st, _ := state.State(1); int(st.Granted) != *grants {
				b.Errorf("%d grants are there, want %d", st.Granted, *grants)
			}
		})
		s.stop(b)
		b.StartTimer()
	}
	b.ReportMetric(open.Seconds()/float64(b.N), "s/open")
	b.ReportMetric(lead.Seconds()/float64(b.N), "s/lead")
}

// started is a group of one with a slice, which leads.
type started struct {
	mux    *mux.Mux
	box    *outbox.Outbox
	m      *Slice
	group  *raftstore.Group
	opened time.Time
}

func startSlice(b *testing.B, dir string) *started {
	b.Helper()
	logger := slog.New(slog.DiscardHandler)
	s := new(started)
	var err error
	if s.mux, err = mux.Listen(mux.Config{Addr: "127.0.0.1:0", Server: "n1", Logger: logger}); err != nil {
		b.Fatal(err)
	}
	if s.box, err = outbox.Open(outbox.Options{Dir: filepath.Join(dir, "outbox"), Tag: 1}); err != nil {
		b.Fatal(err)
	}
	s.m = NewSlice(cfg, s.box, nil)
	leading := make(chan struct{})
	s.group, err = raftstore.Open(raftstore.Options{
		Group: 1, Dir: filepath.Join(dir, "raft"), Local: "n1", Advertise: s.mux.Addr().String(), Layer: s.mux.StreamLayer(1),
		Machine: s.m, Bootstrap: []raftstore.Server{{ID: "n1", Addr: s.mux.Addr().String()}},
		SnapshotEvery: time.Hour, SnapshotBytes: 1 << 40, Logger: logger,
		Lead:  func(context.Context, uint64) { close(leading) },
		Fatal: func(err error) { b.Error(err) },
	})
	if err != nil {
		b.Fatal(err)
	}
	s.opened = time.Now()
	<-leading
	return s
}

func (s *started) stop(b *testing.B) {
	b.Helper()
	if err := s.group.Shutdown(context.Background()); err != nil {
		b.Error(err)
	}
	if err := s.box.Close(); err != nil {
		b.Error(err)
	}
	if err := s.mux.Close(); err != nil {
		b.Error(err)
	}
}

// fill grants n draws, each of another user and request, all of them in the
// sink by the time that it returns but for the last entry's.
func fill(b *testing.B, g *raftstore.Group, n int) {
	b.Helper()
	propose := func(now int, f func(*allocator.EntryWriter)) {
		var w allocator.EntryWriter
		w.Begin(make([]byte, raftstore.EntryHeadroom), allocator.Micros(1_000_000*now), []allocator.Day{20000})
		f(&w)
		var res allocator.Result
		if err := g.Propose(w.Bytes(), &res); err != nil {
			b.Fatal(err)
		}
	}
	def := allocator.Definition{
		No: 1, ID: "tea", Version: 1, Kind: allocator.KindCounter, Status: allocator.StatusActive, Total: int64(n), Zone: "UTC",
	}
	propose(1, func(w *allocator.EntryWriter) {
		w.Word(&allocator.Word{Kind: allocator.WordDefine, Prize: 1, Version: 1, Define: def})
		w.Word(&allocator.Word{Kind: allocator.WordLot, Prize: 1, Version: 1, N: 1, Tokens: int64(n)})
	})
	const together = 4096
	for i := 0; i < n; i += together {
		propose(i+2, func(w *allocator.EntryWriter) {
			for k := i; k < min(n, i+together); k++ {
				w.Draw(1, fmt.Appendf(nil, "user-%09d", k), fmt.Appendf(nil, "request-%09d", k))
			}
			if i > 0 {
				w.Sunk(uint64(i))
			}
		})
	}
}
