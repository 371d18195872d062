package allocator

import "testing"

// TestAReturnOfADateLongOverIsNotRepeatedForEver: a daily limit came late, a
// grant from before it was voided with restock, and the slice could not reach the
// bank until the date had been over for days. The bank has no account for the date
// and opens none any more. (The simulation found it with seed 726.)
func TestAReturnOfADateLongOverIsNotRepeatedForEver(t *testing.T) {
	const day = Day(20_000)
	now := 20_004 * dayLength
	b := NewBank(BankConfig{Slices: 1})
	apply := func(write func(*BankWriter)) {
		t.Helper()
		var w BankWriter
		var res BankResult
		w.Begin(nil, now)
		write(&w)
		if err := b.Apply(w.Bytes(), &res); err != nil {
			t.Fatal(err)
		}
	}
	apply(func(w *BankWriter) {
		w.Change(&Change{Prize: "p", Create: true, Set: FieldsAll, To: Definition{
			Kind: KindCounter, Zone: "UTC", Total: 5, DailyLimit: 2,
		}})
		w.Note(&Note{Slice: 1, Prize: 1, Version: 1, Before: []DayCount{{day, 2}}})
	})
	n := Note{Slice: 1, Prize: 1, Purse: Purse{day, 1}, Version: 1, Returns: 1, Open: 1, Empty: true}
	if !b.Learns(&n, now) {
		t.Fatal("the bank has nothing to learn from the return")
	}
	apply(func(w *BankWriter) { w.Note(&n) })
	said := b.Answer(&n, nil)
	if len(said) != 1 || said[0].Word.Kind != WordReceived || said[0].Word.N != 1 {
		t.Fatalf("the return is answered with %+v", said)
	}
	if b.Learns(&n, now) {
		t.Fatal("the bank learns from it again and again")
	}
}
