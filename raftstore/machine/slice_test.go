package machine

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"tombola/allocator"
	"tombola/raftstore"
	"tombola/raftstore/outbox"
)

var cfg = allocator.SliceConfig{Slice: 1, Slices: 1}

func open(t *testing.T, dir string) *outbox.Outbox {
	t.Helper()
	box, err := outbox.Open(outbox.Options{Dir: dir, Tag: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	return box
}

// noon of the day that entries have.
const noon = allocator.Micros((20_000*24 + 12) * 3_600_000_000)

// entries is a slice's log: a prize, tokens, draws of five users, a void.
func entries() [][]byte {
	var log [][]byte
	add := func(f func(w *allocator.EntryWriter)) {
		var w allocator.EntryWriter
		w.Begin(nil, noon+allocator.Micros(1_000_000*int64(len(log)+1)), []allocator.Day{20000})
		f(&w)
		log = append(log, w.Bytes())
	}
	def := allocator.Definition{
		No: 1, ID: "tea", Version: 1, Kind: allocator.KindCounter, Status: allocator.StatusActive, Total: 100, Zone: "UTC",
	}
	add(func(w *allocator.EntryWriter) {
		w.Word(&allocator.Word{Kind: allocator.WordDefine, Prize: 1, Version: 1, Define: def})
		w.Word(&allocator.Word{Kind: allocator.WordLot, Prize: 1, Version: 1, N: 1, Tokens: 100})
	})
	for i := range 5 {
		add(func(w *allocator.EntryWriter) {
			for k := range 3 {
				w.Draw(1, fmt.Appendf(nil, "user-%d", i), fmt.Appendf(nil, "r-%d", k))
			}
		})
	}
	add(func(w *allocator.EntryWriter) { w.Void(2, true) })
	add(func(w *allocator.EntryWriter) { w.Sunk(4) })
	return log
}

const events = 16 // of that log: 15 grants and a void

func apply(t *testing.T, m raftstore.Machine, log [][]byte) {
	t.Helper()
	for i, entry := range log {
		if err := m.Apply(entry, nil); err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
	}
}

func image(t *testing.T, m raftstore.Machine) []byte {
	t.Helper()
	im, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer im.Release()
	var b bytes.Buffer
	if err := im.Persist(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func state(m *Slice) (st allocator.PrizeState) {
	m.Read(func(s *allocator.Slice) { st, _ = s.State(1) })
	return st
}

// payloads returns what an outbox keeps.
func payloads(t *testing.T, box *outbox.Outbox) [][]byte {
	t.Helper()
	var all [][]byte
	for seq := box.First(); seq <= box.Last(); seq++ {
		p, err := box.Get(seq)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func TestTheOutboxHoldsTheEventsOfEveryEntry(t *testing.T) {
	box := open(t, t.TempDir())
	m := NewSlice(cfg, box, nil)
	var want [][]byte
	for i, entry := range entries() {
		var res allocator.Result
		if err := m.Apply(entry, &res); err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		for k := range res.Events {
			want = append(want, allocator.AppendEvent(nil, &res.Events[k]))
		}
		if box.Last() != uint64(len(want)) {
			t.Fatalf("entry %d: the outbox ends at %d, want %d", i, box.Last(), len(want))
		}
	}
	got := payloads(t, box)
	if len(got) != events || len(want) != events {
		t.Fatalf("%d kept of %d events, want %d", len(got), len(want), events)
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("event %d differs", i+1)
		}
	}
}

func TestAProposersResultIsItsOwn(t *testing.T) {
	m := NewSlice(cfg, open(t, t.TempDir()), nil)
	log := entries()
	var mine allocator.Result
	for range 2 { // what it held before is gone
		mine.Outcomes = append(mine.Outcomes, allocator.Outcome{Verdict: allocator.Stale})
	}
	if err := m.Apply(log[0], &mine); err != nil {
		t.Fatal(err)
	}
	if len(mine.Outcomes) != 2 || mine.Outcomes[1].Verdict != allocator.Accepted {
		t.Fatalf("%+v", mine.Outcomes)
	}
	apply(t, m, log[1:])
	if len(mine.Outcomes) != 2 {
		t.Fatal("an entry that nobody waits for changed another's result")
	}
}

func TestReadersHearWhichPrizesTheBankSpokeOf(t *testing.T) {
	var heard [][]allocator.PrizeNo
	hear := func(s *allocator.Slice, touched []allocator.PrizeNo) {
		if _, ok := s.Definition(1); !ok {
			t.Error("told before it holds")
		}
		heard = append(heard, append([]allocator.PrizeNo(nil), touched...))
	}
	m := NewSlice(cfg, open(t, t.TempDir()), hear)
	apply(t, m, entries())
	if len(heard) != 1 || len(heard[0]) != 2 || heard[0][0] != 1 {
		t.Fatalf("heard %v", heard)
	}
	if err := m.Restore(bytes.NewReader(image(t, m))); err != nil {
		t.Fatal(err)
	}
	if len(heard) != 2 || heard[1] != nil {
		t.Fatalf("after a restore: %v", heard[1:])
	}
}

func TestARestartAppliesTheLogAgain(t *testing.T) {
	dir := t.TempDir()
	log := entries()
	box := open(t, dir)
	m := NewSlice(cfg, box, nil)
	apply(t, m, log[:3])
	snapshot := image(t, m)
	apply(t, m, log[3:])
	want, wantState := payloads(t, box), state(m)
	if err := box.Close(); err != nil {
		t.Fatal(err)
	}

	box = open(t, dir)
	m = NewSlice(cfg, box, nil)
	if err := m.Restore(bytes.NewReader(snapshot)); err != nil {
		t.Fatal(err)
	}
	if last := box.Last(); last != events {
		t.Fatalf("the outbox ends at %d after an older snapshot, want %d", last, events)
	}
	apply(t, m, log[3:])
	if got := state(m); fmt.Sprint(got) != fmt.Sprint(wantState) {
		t.Fatalf("state %+v, want %+v", got, wantState)
	}
	got := payloads(t, box)
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d", len(got), len(want))
	}
}

func TestAnEmptyReplicaIsCaughtUpWithTheEventsThatTheSinkLacks(t *testing.T) {
	m := NewSlice(cfg, open(t, t.TempDir()), nil)
	apply(t, m, entries())
	box := open(t, t.TempDir())
	late := NewSlice(cfg, box, nil)
	if err := late.Restore(bytes.NewReader(image(t, m))); err != nil {
		t.Fatal(err)
	}
	// The sink has confirmed four events: it will not ask for those again.
	if box.First() != 5 || box.Last() != events {
		t.Fatalf("outbox from %d to %d, want 5 to %d", box.First(), box.Last(), events)
	}
	if fmt.Sprint(state(late)) != fmt.Sprint(state(m)) {
		t.Fatal("the states differ")
	}
	// Both go on alike.
	var w allocator.EntryWriter
	w.Begin(nil, noon+1<<30, []allocator.Day{20000})
	w.Draw(1, []byte("new"), nil)
	apply(t, m, [][]byte{w.Bytes()})
	apply(t, late, [][]byte{w.Bytes()})
	if box.Last() != events+1 || !bytes.Equal(image(t, m), image(t, late)) {
		t.Fatal("they part")
	}
}

func TestAReplicaWithASinkOfItsOwnIsGivenAllEvents(t *testing.T) {
	m := NewSlice(cfg, open(t, t.TempDir()), nil)
	m.CarryAll()
	apply(t, m, entries())
	box := open(t, t.TempDir())
	late := NewSlice(cfg, box, nil)
	if err := late.Restore(bytes.NewReader(image(t, m))); err != nil {
		t.Fatal(err)
	}
	// Another server's sink has confirmed four events: this one's has none.
	if box.First() != 1 || box.Last() != events {
		t.Fatalf("outbox from %d to %d, want 1 to %d", box.First(), box.Last(), events)
	}
}

func TestAnImageIsOfTheMomentItWasTaken(t *testing.T) {
	m := NewSlice(cfg, open(t, t.TempDir()), nil)
	log := entries()
	apply(t, m, log[:4])
	im, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	apply(t, m, log[4:])
	var b bytes.Buffer
	if err := im.Persist(&b); err != nil {
		t.Fatal(err)
	}
	im.Release()
	box := open(t, t.TempDir())
	late := NewSlice(cfg, box, nil)
	if err := late.Restore(&b); err != nil {
		t.Fatal(err)
	}
	if granted := state(late).Granted; granted != 9 || box.Last() != 9 {
		t.Fatalf("%d granted, outbox to %d, want 9", granted, box.Last())
	}
	apply(t, late, log[4:])
	if !bytes.Equal(image(t, m), image(t, late)) {
		t.Fatal("they part")
	}
}

func TestAnImageCanBeWrittenAlthoughItsEventsWereTrimmedMeanwhile(t *testing.T) {
	box, err := outbox.Open(outbox.Options{Dir: t.TempDir(), Tag: 1, SegmentBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	m := NewSlice(cfg, box, nil)
	log := entries()
	apply(t, m, log[:3])
	im, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer im.Release()
	apply(t, m, log[3:])
	if err := box.Trim(events); err != nil {
		t.Fatal(err)
	}
	if box.First() <= 7 {
		t.Fatalf("nothing was trimmed: first is %d", box.First())
	}
	var b bytes.Buffer
	if err := im.Persist(&b); err != nil {
		t.Fatal(err)
	}
	late := NewSlice(cfg, open(t, t.TempDir()), nil)
	if err := late.Restore(&b); err != nil {
		t.Fatal(err)
	}
	apply(t, late, log[3:])
}

func TestWhatIsNoEntryOfOursIsFatal(t *testing.T) {
	m := NewSlice(cfg, open(t, t.TempDir()), nil)
	for _, entry := range [][]byte{nil, {99}, []byte("not an entry")} {
		if err := m.Apply(entry, nil); err == nil {
			t.Fatalf("%q was applied", entry)
		}
	}
}

func TestAnOutboxThatTakesNothingIsFatal(t *testing.T) {
	box := open(t, t.TempDir())
	m := NewSlice(cfg, box, nil)
	log := entries()
	apply(t, m, log[:1])
	if err := box.Close(); err != nil {
		t.Fatal(err)
	}
	if err := m.Apply(log[1], nil); !errors.Is(err, outbox.ErrClosed) {
		t.Fatal(err)
	}
}

func TestAHistoryThatDiffersIsFatal(t *testing.T) {
	box := open(t, t.TempDir())
	if err := box.Append(1, [][]byte{[]byte("another history")}); err != nil {
		t.Fatal(err)
	}
	m := NewSlice(cfg, box, nil)
	log := entries()
	apply(t, m, log[:1])
	if err := m.Apply(log[1], nil); !errors.Is(err, outbox.ErrCorrupt) {
		t.Fatal(err)
	}
}

func TestAnImageOfAnotherSliceOrATornOneIsRefused(t *testing.T) {
	m := NewSlice(cfg, open(t, t.TempDir()), nil)
	apply(t, m, entries())
	whole := image(t, m)
	for _, n := range []int{0, 1, len(whole) / 2, len(whole) - 1} {
		late := NewSlice(cfg, open(t, t.TempDir()), nil)
		if err := late.Restore(bytes.NewReader(whole[:n])); err == nil {
			t.Fatalf("%d bytes of %d were restored", n, len(whole))
		}
		if st := state(late); st.Granted != 0 {
			t.Fatal("a part of a torn image shows")
		}
	}
	other := NewSlice(allocator.SliceConfig{Slice: 2, Slices: 2}, open(t, t.TempDir()), nil)
	if err := other.Restore(bytes.NewReader(whole)); !errors.Is(err, allocator.ErrFormat) {
		t.Fatal(err)
	}
}
