package draws

import (
	"testing"
	"time"

	"tombola/allocator"
)

func needs(n int64) func(*allocator.Note) bool {
	return func(note *allocator.Note) bool { return note.Need == n }
}

func TestADrawThatMeetsAnEmptyPurseWaitsForTheBank(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(1))
	w.lead()
	d := w.submit("ada", "", patience)
	n := w.note("the ask", needs(1))
	if n.Slice != 1 || n.Prize != 1 || !n.Purse.IsStock() || n.Version != 1 || !n.Empty || n.Want == 0 {
		t.Fatalf("ask %+v", n)
	}
	w.note("the ask, again", needs(1))
	w.e.Hear([]allocator.Word{lot(1, 5)})
	if a := d.Wait(); a.Verdict != allocator.Granted {
		t.Fatalf("%+v", a)
	}
	w.note("that the lot has come", func(n *allocator.Note) bool { return n.Lots == 1 })
	if entries, _, _ := w.log.counts(); len(entries) != 1 || entries[0] != 2 {
		t.Fatalf("entries of %v commands, want the lot and the draw in one", entries)
	}
}

func TestParkedDrawsComeBeforeNewerOnes(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(1), prize(1, func(d *allocator.Definition) { d.No, d.ID = 2, "q" }),
		allocator.Word{Kind: allocator.WordLot, Prize: 2, N: 1, Tokens: 10})
	w.lead()
	var old []*Draw
	for i := range 5 {
		old = append(old, w.submit("ada", "", patience))
		w.parked(i + 1)
	}
	w.log.hold()
	busy := New(2, []byte("bob"), nil, Now()+int64(patience), nil)
	w.e.Submit(busy)
	w.arrived()
	w.e.Hear([]allocator.Word{lot(1, 3)})
	newer := w.submit("cyd", "", patience)
	w.let(fate{applied: true})
	for i, d := range old[:3] {
		if a := d.Wait(); a.Verdict != allocator.Granted || a.Seq != uint64(i+2) {
			t.Fatalf("parked draw %d: %+v", i, a)
		}
	}
	w.parked(3)
	w.note("what is needed still", needs(3))
	w.e.Hear([]allocator.Word{lot(2, 2)})
	for i, d := range old[3:] {
		if a := d.Wait(); a.Verdict != allocator.Granted || a.Seq != uint64(i+5) {
			t.Fatalf("parked draw %d: %+v", i+3, a)
		}
	}
	w.e.Hear([]allocator.Word{dry(1)})
	if a := newer.Wait(); a.Verdict != allocator.SoldOut {
		t.Fatalf("the newer draw: %+v", a)
	}
}

func TestALotThatIsRecalledAtOnceLeavesParkedDrawsTheirPlaces(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(1), lot(1, 2))
	w.lead()
	w.log.hold()
	first := w.submit("ada", "", patience)
	w.arrived()
	// Two tokens, of which one is promised; the recall takes the other one while
	// three draws compete for it.
	var late []*Draw
	for range 3 {
		late = append(late, w.submit("bob", "", patience))
	}
	w.e.Hear([]allocator.Word{{Kind: allocator.WordRecall, Prize: 1, Version: 1, Tokens: 1}})
	w.let(fate{applied: true})
	first.Wait()
	w.parked(3)
	w.note("the return", func(n *allocator.Note) bool { return n.Returns == 1 && n.Open == 1 && n.Empty && n.Need == 3 })
	w.e.Hear([]allocator.Word{lot(2, 3)})
	for i, d := range late {
		if a := d.Wait(); a.Seq != uint64(i+2) {
			t.Fatalf("draw %d: %+v", i, a)
		}
	}
}

func TestTheBanksWordEndsTheWait(t *testing.T) {
	for _, c := range []struct {
		name string
		word allocator.Word
		want allocator.Verdict
	}{
		{"dry", dry(1), allocator.SoldOut},
		{"paused", prize(2, func(d *allocator.Definition) { d.Status = allocator.StatusPaused }), allocator.Paused},
		{"ended", prize(2, func(d *allocator.Definition) { d.Status = allocator.StatusEnded }), allocator.Ended},
		{"paced", allocator.Word{Kind: allocator.WordPaced, Prize: 1, Version: 1, Until: 1 << 60}, allocator.NotReleased},
	} {
		w := newWorld(t)
		w.heard(prize(1))
		w.lead()
		all := []*Draw{w.submit("ada", "", patience), w.submit("bob", "", patience)}
		w.parked(2)
		w.e.Hear([]allocator.Word{c.word})
		for _, d := range all {
			if a := d.Wait(); a.Failure != NoFailure || a.Verdict != c.want {
				t.Fatalf("%s: %+v", c.name, a)
			}
			d.Release()
		}
		if _, verifies, _ := w.log.counts(); verifies == 0 {
			t.Fatalf("%s: refused without a verification", c.name)
		}
	}
}

func TestAWordAboutAnotherVersionEndsNothing(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(2))
	w.lead()
	d := w.submit("ada", "", patience)
	w.parked(1)
	w.e.Hear([]allocator.Word{dry(1), dry(3)})
	w.note("where the slice stands", func(n *allocator.Note) bool { return n.Version == 2 && !n.Dry })
	w.parked(1)
	w.e.Hear([]allocator.Word{lot(1, 1)})
	if a := d.Wait(); a.Verdict != allocator.Granted {
		t.Fatalf("%+v", a)
	}
}

func TestAPrizeThatTheSliceHasNotHeardOfIsWaitedFor(t *testing.T) {
	w := newWorld(t).lead()
	d := w.submit("ada", "", patience)
	w.parked(1)
	w.e.Hear([]allocator.Word{prize(1)})
	w.note("the ask", needs(1))
	w.e.Hear([]allocator.Word{lot(1, 1)})
	if a := d.Wait(); a.Verdict != allocator.Granted {
		t.Fatalf("%+v", a)
	}
}

func TestTokensOfAnEntryThatTheLeaderLostSightOfAreFound(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(1))
	w.lead()
	d := w.submit("ada", "", patience)
	w.parked(1)
	w.heard(lot(1, 1)) // applied, but not by this leader's loop
	if a := d.Wait(); a.Verdict != allocator.Granted {
		t.Fatalf("%+v", a)
	}
}

func TestAParkedDrawHearsThatItsPrizeHasEndedByTheClock(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	w.setClock(now)
	w.heard(prize(1, func(d *allocator.Definition) { d.EndsAt = allocator.MicrosOf(now.Add(time.Hour)) }))
	w.lead()
	d := w.submit("ada", "", patience)
	w.parked(1)
	w.setClock(now.Add(time.Hour))
	if a := d.Wait(); a.Verdict != allocator.Ended {
		t.Fatalf("%+v", a)
	}
}

func TestStockAndDayTokensHaveToMeet(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(1, func(d *allocator.Definition) { d.DailyLimit, d.DayEpoch = 5, 1 }))
	w.lead()
	d := w.submit("ada", "", patience)
	today := w.note("the ask for a day token", func(n *allocator.Note) bool { return !n.Purse.IsStock() && n.Need == 1 }).Purse
	w.note("the ask for a stock token", func(n *allocator.Note) bool { return n.Purse.IsStock() && n.Need == 1 })
	w.e.Hear([]allocator.Word{lot(1, 1)})
	w.note("that a day token is missing still", func(n *allocator.Note) bool { return n.Purse == today && n.Need == 1 })
	w.parked(1)
	day := lot(1, 1)
	day.Purse = today
	w.e.Hear([]allocator.Word{day})
	if a := d.Wait(); a.Verdict != allocator.Granted {
		t.Fatalf("%+v", a)
	}
}

func TestARecallIsAnsweredByAReturnAndAnEmptyPurseByANote(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(1), lot(1, 100))
	w.lead()
	recall := allocator.Word{Kind: allocator.WordRecall, Prize: 1, Version: 1, Tokens: 10}
	w.e.Hear([]allocator.Word{recall, recall})
	// Nobody draws here, so all of it can go.
	back := allocator.RecallSize(100, 10, 0)
	n := w.note("the return", func(n *allocator.Note) bool { return n.Returns == 1 })
	if n.Open != back || !n.Empty || n.Lots != 1 {
		t.Fatalf("return %+v, want one of %d", n, back)
	}
	w.note("the return, again, until the bank has it", func(n *allocator.Note) bool { return n.Returns == 1 && n.Open == back })
	w.e.Hear([]allocator.Word{{Kind: allocator.WordReceived, Prize: 1, Version: 1, N: 1}})
	w.note("that it knows", func(n *allocator.Note) bool { return n.Returns == 1 && n.Open == 0 })
	entries, _, _ := w.log.counts()
	w.e.Hear([]allocator.Word{recall})
	w.note("that the purse is empty", func(n *allocator.Note) bool { return n.Empty && n.Open == 0 && n.Lots == 1 && n.Returns == 1 })
	if after, _, _ := w.log.counts(); len(after) != len(entries) {
		t.Fatalf("%d entries to say that a purse is empty", len(after)-len(entries))
	}
}

func TestWhatIsKnownAlreadyNeedsNoEntry(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(1), lot(1, 100))
	w.lead()
	w.e.Hear([]allocator.Word{prize(1), lot(1, 100), dry(1)})
	w.note("where the slice stands", func(n *allocator.Note) bool { return n.Version == 1 && n.Lots == 1 && !n.Dry })
	if entries, _, _ := w.log.counts(); len(entries) != 0 {
		t.Fatalf("entries of %v", entries)
	}
}

func TestADrawThatComesWithALotNeedNotWaitForTheNextCount(t *testing.T) {
	w := newWorld(t)
	w.heard(prize(1), prize(1, func(d *allocator.Definition) { d.No, d.ID = 2, "q" }),
		allocator.Word{Kind: allocator.WordLot, Prize: 2, N: 1, Tokens: 10})
	w.e.now = func() int64 { return 0 } // time stands still: nothing is counted
	w.lead()
	w.log.hold()
	busy := New(2, []byte("bob"), nil, Now()+int64(patience), nil)
	w.e.Submit(busy)
	w.arrived()
	// The draw meets an empty purse in the very round that brings tokens.
	w.e.Hear([]allocator.Word{lot(1, 3)})
	d := w.submit("ada", "", patience/10)
	w.let(fate{applied: true})
	if a := d.Wait(); a.Verdict != allocator.Granted {
		t.Fatalf("%+v", a)
	}
}

func TestAGrantsDateIsThatOfItsInstant(t *testing.T) {
	w := newWorld(t)
	// The last leader's clock was a second ahead, and past midnight.
	midnight := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	w.setClock(midnight.Add(time.Second / 2))
	w.heard(prize(1), lot(1, 3))
	w.setClock(midnight.Add(-time.Second / 2))
	w.lead()
	a := w.draw("ada", "")
	var g allocator.Grant
	w.state.Read(func(s *allocator.Slice) { g, _ = s.Grant(a.Seq) })
	if a.Verdict != allocator.Granted || g.Day != allocator.DayOf(g.At.Time()) {
		t.Fatalf("%+v: granted on %s, at %s", a, g.Day, g.At.Time())
	}
}
