package allocator

import (
	"errors"
	"strings"
	"testing"
)

// Entries that no leader of ours writes are refused as a whole.
func TestBadSliceEntries(t *testing.T) {
	good := fuzzDefinition()
	define := func(change func(*Definition)) func(*EntryWriter) {
		return func(w *EntryWriter) {
			def := good
			change(&def)
			w.Word(&Word{Kind: WordDefine, Define: def})
		}
	}
	cases := map[string]func(*EntryWriter){
		"no prize":             define(func(d *Definition) { d.No = 0 }),
		"prize number":         define(func(d *Definition) { d.No = 1 << 31 }),
		"no version":           define(func(d *Definition) { d.Version = 0 }),
		"version":              define(func(d *Definition) { d.Version = 1 << 60 }),
		"epoch to come":        define(func(d *Definition) { d.DayEpoch = 10 }),
		"limit without epoch":  define(func(d *Definition) { d.DayEpoch = 0 }),
		"no id":                define(func(d *Definition) { d.ID = "" }),
		"id too long":          define(func(d *Definition) { d.ID = strings.Repeat("x", 257) }),
		"no zone":              define(func(d *Definition) { d.Zone = "" }),
		"status":               define(func(d *Definition) { d.Status = 9 }),
		"kind":                 define(func(d *Definition) { d.Kind = 7 }),
		"no total":             define(func(d *Definition) { d.Total = 0 }),
		"total":                define(func(d *Definition) { d.Total = MaxTotal + 1 }),
		"negative limit":       define(func(d *Definition) { d.DailyLimit = -1 }),
		"window":               define(func(d *Definition) { d.StartsAt, d.EndsAt = 10, 5 }),
		"pace without burst":   define(func(d *Definition) { d.Release.Burst = 0 }),
		"burst":                define(func(d *Definition) { d.Release.Burst = maxBurst + 1 }),
		"tokens of a lot":      func(w *EntryWriter) { w.Word(&Word{Kind: WordLot, Prize: 1, Tokens: MaxTotal + 1}) },
		"a lot's version":      func(w *EntryWriter) { w.Word(&Word{Kind: WordLot, Prize: 1, Version: 1 << 63}) },
		"kind of word":         func(w *EntryWriter) { w.Word(&Word{Kind: 99, Prize: 1}) },
		"tokens of a return":   func(w *EntryWriter) { w.Return(1, Purse{}, -1) },
		"user too long":        func(w *EntryWriter) { w.Draw(1, make([]byte, 257), nil) },
		"request id too long":  func(w *EntryWriter) { w.Draw(1, nil, make([]byte, 257)) },
		"unknown command":      func(w *EntryWriter) { w.add(77) },
		"bytes that are short": func(w *EntryWriter) { w.Draw(1, []byte("u"), nil); w.buf = w.buf[:len(w.buf)-1] },
		"time":                 func(w *EntryWriter) { w.Begin(nil, -1, nil) },
	}
	for name, write := range cases {
		var w EntryWriter
		w.Begin(nil, 1, []Day{20_000})
		write(&w)
		var res Result
		s := NewSlice(SliceConfig{Slice: 1, Slices: 1})
		if err := s.Apply(w.Bytes(), &res); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBadBankEntries(t *testing.T) {
	note := func(change func(*Note)) func(*BankWriter) {
		return func(w *BankWriter) {
			n := Note{Slice: 1, Prize: 1, Version: 1}
			change(&n)
			w.Note(&n)
		}
	}
	cases := map[string]func(*BankWriter){
		"no slice":             note(func(n *Note) { n.Slice = 0 }),
		"slice":                note(func(n *Note) { n.Slice = MaxSlices + 1 }),
		"no prize":             note(func(n *Note) { n.Prize = 0 }),
		"version":              note(func(n *Note) { n.Version = 1 << 60 }),
		"tokens":               note(func(n *Note) { n.Open = -1 }),
		"need":                 note(func(n *Note) { n.Need = MaxTotal + 1 }),
		"more dates than kept": note(func(n *Note) { n.Before = make([]DayCount, keptDays+1) }),
		"actor too long":       func(w *BankWriter) { w.Change(&Change{Prize: "p", Actor: strings.Repeat("x", 257)}) },
		"negative total":       func(w *BankWriter) { w.Change(&Change{Prize: "p", To: Definition{Total: -1}}) },
		"unknown command":      func(w *BankWriter) { w.buf = append(w.buf, 77) },
		"time":                 func(w *BankWriter) { w.Begin(nil, -1) },
		"prize to archive":     func(w *BankWriter) { w.Archive(0) },
	}
	for name, write := range cases {
		var w BankWriter
		w.Begin(nil, 1)
		write(&w)
		var res BankResult
		if err := NewBank(BankConfig{Slices: 2}).Apply(w.Bytes(), &res); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is well formed and can't be true changes no sum: a word or note of
// another group must not be able to stop this one for good.
func TestImpossibleQuotaIsIgnored(t *testing.T) {
	w := newWorld(t, 2)
	w.change(Change{Prize: "p", Create: true, Set: FieldsAll, To: Definition{Kind: KindCounter, Total: 5, Zone: "UTC"}})
	w.quiesce()
	w.draw(1, &ask{prize: 1, user: "u"})
	w.quiesce()
	before, _ := w.bank.State(1)
	w.bankEntry(func(bw *BankWriter) {
		bw.Note(&Note{Slice: 1, Prize: 1, Version: 1, Lots: 1, Returns: 1, Open: MaxTotal})
		bw.Note(&Note{Slice: 2, Prize: 1, Version: 1, Returns: 1, Open: 1})
		bw.Note(&Note{Slice: 3, Prize: 1, Version: 1, Returns: 1, Open: 1})
		bw.Note(&Note{Slice: 1, Prize: 2, Version: 1, Returns: 1, Open: 1})
	}, nil)
	if after, _ := w.bank.State(1); after.Accounts[0].Pool != before.Accounts[0].Pool {
		t.Fatalf("the pool went from %d to %d", before.Accounts[0].Pool, after.Accounts[0].Pool)
	}
	s := w.site(1).slice
	lot := Word{Kind: WordLot, Prize: 1, Version: 1, N: 2, Tokens: MaxTotal}
	s.prize(1).stock.tokens = 1
	if s.Learns(&lot) || s.hear(&lot).Verdict != Stale {
		t.Fatal("a purse took more than any prize can have")
	}
}

// Request ids that differ only in their last byte are different, however long.
func TestLongRequestIDs(t *testing.T) {
	w := newWorld(t, 1)
	w.change(Change{Prize: "p", Create: true, Set: FieldsAll, To: Definition{Kind: KindCounter, Total: 5, Zone: "UTC"}})
	w.quiesce()
	long := strings.Repeat("r", maxText-1)
	a, b := &ask{prize: 1, user: "u", id: long + "a"}, &ask{prize: 1, user: "u", id: long + "b"}
	w.draw(1, a, b)
	w.quiesce()
	if a.out.Seq == b.out.Seq || b.out.Repeat {
		t.Fatalf("two requests share a grant: %+v, %+v", a.out, b.out)
	}
}
