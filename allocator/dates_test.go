package allocator

import "testing"

func TestADateIsNearWhereverItMayBeToday(t *testing.T) {
	const today Day = 20_000
	begin := Micros(today) * dayLength // of the date in UTC
	for m := begin - 14*dayLength/24; m <= begin+dayLength+12*dayLength/24; m += dayLength / 48 {
		if !m.near(today) {
			t.Errorf("%v is a date somewhere at %v, and does not count", today, m.Time())
		}
		if m.longAfter(today) {
			t.Errorf("%v counts as long over at %v", today, m.Time())
		}
	}
	near := 0
	for d := today - 30; d < today+30; d++ {
		if (begin + dayLength/2).near(d) {
			near++
		}
	}
	if near >= keptDays {
		t.Errorf("%d dates are near at once, and %d are kept", near, keptDays)
	}
	if !(begin + 4*dayLength).longAfter(today) {
		t.Errorf("%v never goes", today)
	}
}

// Entries that are in logs already have the rules that they were written under:
// dates far from their time count, and the oldest goes for a ninth.
func TestEntriesOfVersion1KeepTheirRules(t *testing.T) {
	for version, want := range map[byte]struct {
		verdict Verdict
		kept    Day // the first date that is
	}{1: {Granted, 20_001}, entryVersion: {Again, 20_000}} {
		s := NewSlice(SliceConfig{Slice: 1, Slices: 1, Key: testKey()})
		b := NewBank(BankConfig{Slices: 1})
		def := Definition{No: 1, ID: "p", Version: 1, Kind: KindCounter, Status: StatusActive, Total: 100, DailyLimit: 5, DayEpoch: 1, Zone: "UTC"}
		now := Micros(20_000)*dayLength + 1
		entry := func(day Day, write func(*EntryWriter)) Outcome {
			t.Helper()
			var w EntryWriter
			w.Begin(nil, now, []Day{day})
			write(&w)
			w.Bytes()[0] = version
			var res Result
			if err := s.Apply(w.Bytes(), &res); err != nil {
				t.Fatal(err)
			}
			return res.Outcomes[len(res.Outcomes)-1]
		}
		entry(20_000, func(w *EntryWriter) {
			w.Word(&Word{Kind: WordDefine, Define: def})
			w.Word(&Word{Kind: WordLot, Prize: 1, N: 1, Tokens: 50})
			w.Word(&Word{Kind: WordLot, Prize: 1, Purse: Purse{Day: 20_000, Epoch: 1}, N: 1, Tokens: 5})
		})
		var last Outcome
		for day := Day(20_008); day < 20_016; day++ {
			last = entry(day, func(w *EntryWriter) {
				w.Word(&Word{Kind: WordLot, Prize: 1, Purse: Purse{Day: day, Epoch: 1}, N: 1, Tokens: 5})
				w.Draw(1, []byte("u"), nil)
			})
			var w BankWriter
			w.Begin(nil, now)
			if day == 20_008 {
				w.Change(&Change{Prize: "p", Create: true, Set: FieldsAll, To: Definition{Kind: KindCounter, Status: StatusActive, Total: 100, DailyLimit: 5, Zone: "UTC"}})
				w.Note(&Note{Slice: 1, Prize: 1, Version: 1, Empty: true})
				w.Note(&Note{Slice: 1, Prize: 1, Version: 1, Purse: Purse{Day: 20_000, Epoch: 1}, Empty: true})
			}
			w.Note(&Note{Slice: 1, Prize: 1, Version: 1, Purse: Purse{Day: day, Epoch: 1}, Empty: true})
			w.Bytes()[0] = version
			if err := b.Apply(w.Bytes(), &BankResult{}); err != nil {
				t.Fatal(err)
			}
		}
		if last.Verdict != want.verdict {
			t.Errorf("version %d: a draw on a far date comes to %v", version, verdictText(last.Verdict))
		}
		if got := max(s.prize(1).closed, 20_000); got != want.kept {
			t.Errorf("version %d: the slice has closed the dates before %v", version, got)
		}
		if got := max(b.vault(1).closed, 20_000); got != want.kept {
			t.Errorf("version %d: the bank has closed the dates before %v", version, got)
		}
	}
}
