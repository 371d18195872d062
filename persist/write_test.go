package persist_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"tombola/allocator"
	"tombola/persist"
)

func TestOfTwoWritersOneIsFencedAndEachEventIsThereOnce(t *testing.T) {
	onEach(t, func(t *testing.T, db *database) {
		const last = 600
		var writers sync.WaitGroup
		for range 3 {
			s := db.open(t)
			writers.Go(func() {
				at, err := s.Checkpoint(t.Context(), 1)
				for err == nil && at < last {
					err = s.Write(t.Context(), 1, at, events(at, min(25, int(last-at))))
					var fenced *persist.FencedError
					if errors.As(err, &fenced) {
						if fenced.Found <= at || fenced.Want != at || fenced.Stream != 1 {
							t.Errorf("at %d: %+v", at, fenced)
						}
						at, err = s.Checkpoint(t.Context(), 1)
					} else {
						at += 25
					}
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		writers.Wait()
		expectPrefix(t, db.open(t), 1, last)
	})
}

func TestALostReplyIsResolvedByWritingAgain(t *testing.T) {
	onEach(t, func(t *testing.T, db *database) {
		s := db.open(t)
		must(t, s.Write(t.Context(), 1, 0, events(0, 40)))
		err := s.Write(t.Context(), 1, 0, events(0, 40))
		var fenced *persist.FencedError
		if !errors.As(err, &fenced) || !errors.Is(err, persist.ErrFenced) || fenced.Found != 40 {
			t.Fatalf("want to be fenced by the first write, got %v", err)
		}
		expectPrefix(t, s, 1, 40)
	})
}

func TestAWriterAheadOfTheDatabaseIsFenced(t *testing.T) {
	onEach(t, func(t *testing.T, db *database) {
		s := db.open(t)
		for _, before := range []uint64{0, 10} {
			err := s.Write(t.Context(), 1, 20, events(20, 5))
			var fenced *persist.FencedError
			if !errors.As(err, &fenced) || fenced.Found != before || fenced.Want != 20 {
				t.Errorf("at %d: got %v", before, err)
			}
			expectPrefix(t, s, 1, before)
			if before == 0 {
				must(t, s.Write(t.Context(), 1, 0, events(0, 10)))
			}
		}
	})
}

func TestWrongBatchesAreRefusedAndChangeNothing(t *testing.T) {
	good := func() []persist.Row { return events(10, 5) }
	with := func(change func(rows []persist.Row)) []persist.Row {
		rows := good()
		change(rows)
		return rows
	}
	cases := map[string]struct {
		stream uint16
		rows   []persist.Row
	}{
		"none":            {1, nil},
		"a gap":           {1, append(good()[:2], good()[3:]...)},
		"a repeat":        {1, append(good()[:2], good()[1:]...)},
		"a late start":    {1, good()[1:]},
		"the bank":        {0, good()},
		"no such slice":   {allocator.MaxSlices + 1, good()},
		"no prize":        {1, with(func(r []persist.Row) { r[1].Prize = "" })},
		"a long prize":    {1, with(func(r []persist.Row) { r[1].Prize = strings.Repeat("p", 65) })},
		"no user":         {1, with(func(r []persist.Row) { r[1].Event.User = nil })},
		"a long user":     {1, with(func(r []persist.Row) { r[1].Event.User = make([]byte, 129) })},
		"a long request":  {1, with(func(r []persist.Row) { r[1].Event.RequestID = make([]byte, 65) })},
		"no day":          {1, with(func(r []persist.Row) { r[1].Event.Day = 0 })},
		"a far day":       {1, with(func(r []persist.Row) { r[1].Event.Day = 1 << 30 })},
		"a far instant":   {1, with(func(r []persist.Row) { r[1].Event.At = 1 << 60 })},
		"no kind":         {1, with(func(r []persist.Row) { r[1].Event.Kind = 0 })},
		"void of later":   {1, with(func(r []persist.Row) { r[1] = void(12, event(13)) })},
		"void of nothing": {1, with(func(r []persist.Row) { r[1] = void(12, persist.Row{Prize: "tv", Event: allocator.Event{Day: 1}}) })},
		"void twice":      {1, with(func(r []persist.Row) { r[1], r[2] = void(12, event(11)), void(13, event(11)) })},
	}
	onEach(t, func(t *testing.T, db *database) {
		s := db.open(t)
		must(t, s.Write(t.Context(), 1, 0, events(0, 10)))
		for name, c := range cases {
			if err := s.Write(t.Context(), c.stream, 10, c.rows); !errors.Is(err, persist.ErrBatch) {
				t.Errorf("%s: want ErrBatch, got %v", name, err)
			}
		}
		expectPrefix(t, s, 1, 10)
		must(t, s.Write(t.Context(), 1, 10, good()))
	})
}

func TestADuplicateIsAnAlarmAndChangesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, db *database) {
		s := db.open(t)
		must(t, s.Write(t.Context(), 1, 0, events(0, 20)))
		_, err := db.raw.Exec("UPDATE sink_checkpoint SET last_seq = 10 WHERE stream = 1")
		must(t, err)
		if err := s.Write(t.Context(), 1, 10, events(10, 3)); !errors.Is(err, persist.ErrDuplicate) {
			t.Errorf("want ErrDuplicate, got %v", err)
		}
		if n := db.int(t, "SELECT last_seq FROM sink_checkpoint WHERE stream = 1"); n != 10 {
			t.Errorf("the checkpoint moved to %d", n)
		}
		expectBalanced(t, s)
	})
}

func TestAVoidWithoutItsGrantIsAnAlarmAndChangesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, db *database) {
		s := db.open(t)
		must(t, s.Write(t.Context(), 1, 0, []persist.Row{grant(1), grant(2), grant(3), void(4, grant(1))}))
		_, err := db.raw.Exec("DELETE FROM send_log WHERE user_id = 'u2'")
		must(t, err)
		for _, of := range []uint64{1, 2, 4} { // voided before, missing, never a grant
			err := s.Write(t.Context(), 1, 4, []persist.Row{grant(5), void(6, grant(of)), void(7, grant(3))})
			if !errors.Is(err, persist.ErrVoid) {
				t.Errorf("void of %d: want ErrVoid, got %v", of, err)
			}
		}
		if last, counts, err := countsOf(t, s, 1); err != nil || last != 4 || counts["tv"] != (persist.Counts{Rows: 2, Voided: 1}) {
			t.Errorf("the stream is at %d with %v (%v)", last, counts, err)
		}
	})
}

func TestABatchLargerThanAPacketIsOneTransaction(t *testing.T) {
	onEach(t, func(t *testing.T, db *database) {
		if db.cfg.Driver == persist.DriverMySQL {
			before := db.int(t, "SELECT @@GLOBAL.max_allowed_packet")
			t.Cleanup(func() { _, _ = db.raw.Exec("SET GLOBAL max_allowed_packet = ?", before) })
			_, err := db.raw.Exec("SET GLOBAL max_allowed_packet = ?", 64<<10)
			must(t, err)
		}
		s := db.open(t)
		rows := make([]persist.Row, 6000)
		for i := range rows {
			rows[i] = grant(uint64(i) + 1)
			rows[i].Prize = fmt.Sprintf("prize-%058d", i%1500)
			rows[i].Event.User = []byte(strings.Repeat(`'`, 128)) // each byte takes two
			rows[i].Event.RequestID = []byte(strings.Repeat(`\`, 64))
		}
		for i := 1; i < len(rows); i += 8 {
			rows[i] = void(uint64(i)+1, rows[i-1])
		}
		must(t, s.Write(t.Context(), 1, 0, rows))
		if n := db.int(t, "SELECT COUNT(*) FROM send_log WHERE LENGTH(user_id) = 128 AND LENGTH(request_id) = 64"); n != 5250 {
			t.Errorf("%d rows", n)
		}
		expectBalanced(t, s)
	})
}

// However writers are cut off, at any moment a reader sees an exact prefix.
func TestAReaderAlwaysSeesAnExactPrefix(t *testing.T) {
	onEach(t, func(t *testing.T, db *database) {
		const last = 700
		var writers sync.WaitGroup
		for range 2 {
			s := db.open(t)
			writers.Go(func() {
				at := uint64(0)
				for at < last {
					n := min(1+rand.IntN(60), int(last-at))
					mortal := rand.IntN(2) == 0
					ctx, cancel := context.WithCancel(t.Context())
					// Half of the batches are cut off wherever they happen to be.
					cut := time.AfterFunc(rand.N(8*time.Millisecond), func() {
						if mortal {
							cancel()
						}
					})
					err := s.Write(ctx, 1, at, events(at, n))
					cut.Stop()
					cancel()
					if err != nil && !errors.Is(err, persist.ErrFenced) && !errors.Is(err, context.Canceled) {
						t.Errorf("write after %d: %v", at, err)
						return
					}
					if at, err = s.Checkpoint(t.Context(), 1); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		reader := db.open(t)
		for seen := uint64(0); seen < last && !t.Failed(); {
			at, _, err := countsOf(t, reader, 1)
			must(t, err)
			if at < seen {
				t.Errorf("the checkpoint went from %d to %d", seen, at)
			}
			seen = at
			expectSomePrefix(t, reader)
		}
		writers.Wait()
		expectPrefix(t, reader, 1, last)
	})
}

func expectSomePrefix(t *testing.T, s *persist.Store) {
	t.Helper()
	at, counts, err := countsOf(t, s, 1)
	must(t, err)
	want := countsAt(at)
	for prize, c := range want {
		if counts[prize] != c {
			t.Errorf("at %d: %s has %+v, want %+v", at, prize, counts[prize], c)
		}
	}
	if len(counts) != len(want) {
		t.Errorf("at %d: %v, want %v", at, counts, want)
	}
	expectBalanced(t, s)
}
