package allocator

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

// The decoders and Apply get arbitrary bytes. They never panic and never ask
// for much memory; what they accept survives being encoded and decoded again.

func FuzzDecodeEvent(f *testing.F) {
	f.Add(AppendEvent(nil, &Event{Seq: 7, Kind: EventGrant, Prize: 1, At: 99, Day: 20_000, User: []byte("u"), RequestID: []byte("r")}))
	f.Add(AppendEvent(nil, &Event{Seq: 8, Kind: EventVoid, Prize: 1, At: 99, Day: 20_000, Grant: 7, Restock: true}))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEvent(b)
		if !decoded(t, err) {
			return
		}
		back, err := DecodeEvent(AppendEvent(nil, &e))
		if err != nil || !reflect.DeepEqual(back, e) {
			t.Fatalf("%+v came back as %+v, %v", e, back, err)
		}
	})
}

func FuzzDecodeNotes(f *testing.F) {
	f.Add(AppendNotes(nil, []Note{{Slice: 1, Prize: 2, Purse: Purse{20_000, 3}, Version: 4, Lots: 5, Need: 6}, {
		Slice: 2, Prize: 1, Version: 1, Empty: true, Before: []DayCount{{20_000, 3}},
	}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		notes, err := DecodeNotes(b)
		if !decoded(t, err) {
			return
		}
		back, err := DecodeNotes(AppendNotes(nil, notes))
		if err != nil || !reflect.DeepEqual(back, notes) {
			t.Fatalf("%+v came back as %+v, %v", notes, back, err)
		}
	})
}

func FuzzDecodeWords(f *testing.F) {
	def := fuzzDefinition()
	f.Add(AppendWords(nil, []Word{
		{Kind: WordDefine, Prize: def.No, Version: def.Version, Define: def},
		{Kind: WordLot, Prize: 1, Version: 1, N: 1, Tokens: 5}, {Kind: WordPaced, Prize: 1, Version: 2, Until: 77},
	}))
	f.Fuzz(func(t *testing.T, b []byte) {
		words, err := DecodeWords(b)
		if !decoded(t, err) {
			return
		}
		back, err := DecodeWords(AppendWords(nil, words))
		if err != nil || !reflect.DeepEqual(back, words) {
			t.Fatalf("%+v came back as %+v, %v", words, back, err)
		}
	})
}

func FuzzDecodeSlice(f *testing.F) {
	w := fuzzWorld(f)
	cfg := w.sites[0].slice.cfg
	f.Add(sliceImage(f, w.sites[0].slice))
	f.Add(sliceImage(f, NewSlice(cfg)))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeSlice(bytes.NewReader(b), cfg)
		if err != nil {
			return
		}
		image := sliceImage(t, s)
		back, err := DecodeSlice(bytes.NewReader(image), cfg)
		if err != nil || !bytes.Equal(sliceImage(t, back), image) {
			t.Fatalf("the image changes: %v", err)
		}
		// Whatever was accepted can be worked with.
		for _, no := range s.Prizes() {
			s.State(no)
			s.Look(no, []byte("u"), nil, 20_000*dayLength, []Day{20_000})
		}
		var ew EntryWriter
		ew.Begin(nil, 20_000*dayLength, []Day{20_000})
		ew.Draw(1, []byte("u"), nil)
		ew.Void(1, true)
		ew.Return(1, Purse{}, 1)
		var res Result
		_ = s.Apply(ew.Bytes(), &res)
	})
}

func FuzzDecodeBank(f *testing.F) {
	w := fuzzWorld(f)
	f.Add(bankImage(f, w.bank))
	f.Add(bankImage(f, NewBank(w.bank.cfg)))
	f.Fuzz(func(t *testing.T, b []byte) {
		bank, err := DecodeBank(bytes.NewReader(b), w.bank.cfg)
		if err != nil {
			return
		}
		image := bankImage(t, bank)
		back, err := DecodeBank(bytes.NewReader(image), w.bank.cfg)
		if err != nil || !bytes.Equal(bankImage(t, back), image) {
			t.Fatalf("the image changes: %v", err)
		}
		for _, no := range bank.Busy() {
			bank.Words(no, nil)
		}
		var bw BankWriter
		bw.Begin(nil, 20_000*dayLength)
		bw.Note(&Note{Slice: 1, Prize: 1, Version: 1, Need: 5})
		bw.Change(&Change{Prize: "p", Set: FieldTotal, To: Definition{Total: 4}})
		var res BankResult
		_ = bank.Apply(bw.Bytes(), &res)
	})
}

// FuzzSliceApply applies an arbitrary entry to a slice in use, and then a
// snapshot of what came of it can be taken and read.
func FuzzSliceApply(f *testing.F) {
	w := fuzzWorld(f)
	cfg, image := w.sites[0].slice.cfg, sliceImage(f, w.sites[0].slice)
	var ew EntryWriter
	ew.Begin(nil, w.now, []Day{20_000, 20_001})
	ew.Draw(1, []byte("u9"), []byte("r9"))
	ew.Word(&Word{Kind: WordLot, Prize: 1, Version: 1, N: 2, Tokens: MaxTotal})
	def := fuzzDefinition()
	ew.Word(&Word{Kind: WordDefine, Define: def})
	ew.Return(1, Purse{}, 3)
	ew.Void(1, true)
	ew.Sunk(1)
	ew.Forget(1, 10)
	f.Add(ew.Bytes())
	f.Fuzz(func(t *testing.T, entry []byte) {
		s, err := DecodeSlice(bytes.NewReader(image), cfg)
		if err != nil {
			t.Fatal(err)
		}
		var res Result
		if !decoded(t, s.Apply(entry, &res)) {
			return
		}
		if _, err := DecodeSlice(bytes.NewReader(sliceImage(t, s)), cfg); err != nil {
			t.Fatalf("an entry made a state that can't be read back: %v", err)
		}
	})
}

// FuzzBankApply does the same to the bank.
func FuzzBankApply(f *testing.F) {
	w := fuzzWorld(f)
	image := bankImage(f, w.bank)
	var bw BankWriter
	bw.Begin(nil, w.now)
	bw.Note(&Note{Slice: 1, Prize: 1, Version: 1, Lots: 1, Returns: 1, Open: MaxTotal, Need: 4})
	bw.Note(&Note{Slice: 2, Prize: 1, Purse: Purse{20_000, 1}, Version: 1, Empty: true, Before: []DayCount{{20_000, MaxTotal}}})
	bw.Change(&Change{Prize: "p", Actor: "a", Set: FieldsAll, To: fuzzDefinition()})
	bw.Change(&Change{Prize: "q", Create: true, Set: FieldsAll, To: fuzzDefinition()})
	bw.Archive(1)
	f.Add(bw.Bytes())
	f.Fuzz(func(t *testing.T, entry []byte) {
		b, err := DecodeBank(bytes.NewReader(image), w.bank.cfg)
		if err != nil {
			t.Fatal(err)
		}
		var res BankResult
		if !decoded(t, b.Apply(entry, &res)) {
			return
		}
		for _, no := range b.Busy() {
			b.Words(no, nil)
		}
		if _, err := DecodeBank(bytes.NewReader(bankImage(t, b)), w.bank.cfg); err != nil {
			t.Fatalf("an entry made a state that can't be read back: %v", err)
		}
	})
}

// decoded reports whether there was no error, which must be one of ours.
func decoded(t *testing.T, err error) bool {
	t.Helper()
	if err != nil && !errors.Is(err, ErrFormat) {
		t.Fatalf("not ErrFormat: %v", err)
	}
	return err == nil
}

func fuzzDefinition() Definition {
	return Definition{
		No: 1, ID: "p", Version: 9, Kind: KindCounter, Status: StatusActive, Total: 100, DailyLimit: 50, PerUserLimit: 3,
		Zone: "Asia/Shanghai", StartsAt: 5, EndsAt: 30_000 * dayLength, Release: Release{5000, 10}, DayEpoch: 2,
	}
}

// fuzzWorld is a world in which things have happened.
func fuzzWorld(f *testing.F) *world {
	w := newWorld(f, 2)
	w.change(Change{Prize: "p", Create: true, Set: FieldsAll, To: Definition{
		Kind: KindCounter, Total: 10, DailyLimit: 5, Zone: "UTC", Release: Release{1000, 4},
	}})
	w.quiesce()
	w.draw(1, &ask{prize: 1, user: "u1"}, &ask{prize: 1, user: "u2"})
	w.quiesce()
	w.draw(2, &ask{prize: 1, user: "u3"})
	w.sliceEntry(w.sites[0], nil, nil, []order{{func(ew *EntryWriter) { ew.Void(1, true) }, func(Outcome) {}}})
	w.change(Change{Prize: "p", Set: FieldTotal, To: Definition{Total: 3}})
	w.quiesce()
	return w
}
