package ledger

import (
	"bytes"
	"testing"
)

// TestResetIsAsGoodAsNew compares the snapshots of a ledger that was used and
// emptied with those of a new one, through the same later history.
func TestResetIsAsGoodAsNew(t *testing.T) {
	used, fresh := New(), New()
	for round := range 3 {
		for seq := uint64(1); seq <= 700; seq++ {
			e := Entry{Seq: seq, Prize: 1 + uint32(seq%3), User: Hash{seq % 40, 7}, Request: Hash{seq, uint64(round) + 1}}
			if err := used.Append(e); err != nil {
				t.Fatal(err)
			}
		}
		used.Forget(2, 50)
		used.Reset()
	}
	for _, l := range []*Ledger{used, fresh} {
		if err := l.Append(Entry{Seq: 1, Prize: 1, User: Hash{1, 7}, Request: Hash{1, 3}}); err != nil {
			t.Fatal(err)
		}
		if err := l.AppendVoid(2, 1, true); err != nil {
			t.Fatal(err)
		}
	}
	var a, b bytes.Buffer
	for l, w := range map[*Ledger]*bytes.Buffer{used: &a, fresh: &b} {
		f := l.Freeze()
		if err := f.Encode(w); err != nil {
			t.Fatal(err)
		}
		f.Release()
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Fatal("a ledger that was reset differs from a new one")
	}
}
