package machine

import (
	"bytes"
	"testing"

	"tombola/allocator"
)

func changes(t *testing.T, names ...string) [][]byte {
	t.Helper()
	var log [][]byte
	for i, name := range names {
		var w allocator.BankWriter
		w.Begin(nil, allocator.Micros(i+1))
		w.Change(&allocator.Change{
			Prize: name, Actor: "test", Create: true, Set: allocator.FieldsAll,
			To: allocator.Definition{Kind: allocator.KindCounter, Status: allocator.StatusActive, Total: 10, Zone: "UTC"},
		})
		log = append(log, w.Bytes())
	}
	return log
}

func TestTheBankAppliesRestoresAndTellsWhatChanged(t *testing.T) {
	bankCfg := allocator.BankConfig{Slices: 2}
	var told [][]allocator.PrizeNo
	m := NewBank(bankCfg, func(_ *allocator.Bank, touched []allocator.PrizeNo) {
		told = append(told, append([]allocator.PrizeNo(nil), touched...))
	})
	log := changes(t, "tea", "milk")
	apply(t, m, log[:1])
	var mine allocator.BankResult
	if err := m.Apply(log[1], &mine); err != nil {
		t.Fatal(err)
	}
	if len(mine.Changes) != 1 || mine.Changes[0].Prize != 2 {
		t.Fatalf("%+v", mine)
	}
	if len(told) != 2 || told[0][0] != 1 || told[1][0] != 2 {
		t.Fatalf("told %v", told)
	}
	heard := 0
	late := NewBank(bankCfg, func(_ *allocator.Bank, touched []allocator.PrizeNo) {
		if touched == nil {
			heard++
		}
	})
	if err := late.Restore(bytes.NewReader(image(t, m))); err != nil {
		t.Fatal(err)
	}
	if heard != 1 {
		t.Fatalf("told %d times that all may have changed", heard)
	}
	late.Read(func(b *allocator.Bank) {
		if no, ok := b.Lookup("milk"); !ok || no != 2 {
			t.Fatalf("milk is %d, %v", no, ok)
		}
	})
	if !bytes.Equal(image(t, m), image(t, late)) {
		t.Fatal("the images differ")
	}
}

func TestTheBankRefusesWhatIsNotIts(t *testing.T) {
	m := NewBank(allocator.BankConfig{Slices: 2}, nil)
	if err := m.Apply([]byte{99}, nil); err == nil {
		t.Fatal("applied")
	}
	if err := m.Restore(bytes.NewReader([]byte("no image"))); err == nil {
		t.Fatal("restored")
	}
	other := NewBank(allocator.BankConfig{Slices: 3}, nil)
	if err := other.Restore(bytes.NewReader(image(t, NewBank(allocator.BankConfig{Slices: 2}, nil)))); err == nil {
		t.Fatal("restored another cluster's bank")
	}
}
