package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"
	"testing"
	"testing/iotest"
)

// busy returns a ledger with everything in it: gaps, reused slots, voids, grants
// without request, a prize that is half forgotten.
func busy(t failer) *Ledger {
	t.Helper()
	l := New()
	for i := range 2500 {
		e := entry(l.Last()+1, uint32(1+i%4), i%600, i)
		if i%7 == 0 {
			e.Request = Hash{}
		}
		mustAppend(t, l, e)
		if i%5 == 0 {
			mustVoid(t, l, e.Seq, i%2 == 0)
		}
		if i == 2000 {
			l.Forget(1, math.MaxInt)
		}
	}
	l.Forget(2, 300)
	return l
}

func TestASnapshotOfARestoredLedgerIsTheSame(t *testing.T) {
	for name, l := range map[string]*Ledger{"empty": New(), "busy": busy(t), "many frames": filled(t, 5000)} {
		b := snapshot(t, l)
		if again := snapshot(t, mustDecode(t, b)); !bytes.Equal(again, b) {
			t.Errorf("%s: the second snapshot differs", name)
		}
	}
}

func TestARestoredLedgerForgetsInTheSameOrderAndReusesTheSameSlots(t *testing.T) {
	a := busy(t)
	b := mustDecode(t, snapshot(t, a))
	for step := 0; a.Len() > 0; step++ {
		prize := uint32(1 + step%4)
		if x, y := a.Forget(prize, 17), b.Forget(prize, 17); x != y {
			t.Fatalf("step %d: done %v and %v", step, x, y)
		}
		if step%3 == 0 && step < 100 {
			for _, l := range []*Ledger{a, b} {
				mustAppend(t, l, entry(l.Last()+1, prize, step, 1_000_000+step))
			}
		}
		if !bytes.Equal(snapshot(t, a), snapshot(t, b)) {
			t.Fatalf("step %d: they differ", step)
		}
	}
}

func TestDecodeReadsNoFurtherThanTheSnapshot(t *testing.T) {
	r := bytes.NewReader(append(snapshot(t, busy(t)), "what follows"...))
	if _, err := Decode(iotest.OneByteReader(r)); err != nil {
		t.Fatal(err)
	}
	if rest, _ := io.ReadAll(r); string(rest) != "what follows" {
		t.Errorf("%q is left", rest)
	}
}

func TestEveryDamageIsNoticed(t *testing.T) {
	l := filled(t, 20)
	mustVoid(t, l, 3, true)
	good := snapshot(t, l)
	for i := range good {
		if _, err := Decode(bytes.NewReader(good[:i])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut at %d: %v", i, err)
		}
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			if _, err := Decode(bytes.NewReader(bad)); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
				t.Fatalf("bit %d of byte %d: %v", bit, i, err)
			}
		}
	}
}

func TestAReadersOrWritersErrorIsPassedOn(t *testing.T) {
	broken := errors.New("broken")
	if _, err := Decode(iotest.ErrReader(broken)); !errors.Is(err, broken) || errors.Is(err, ErrCorrupt) {
		t.Errorf("decode: %v", err)
	}
	f := busy(t).Freeze()
	for room := range 5 { // magic, head, users, grants, end
		if err := f.Encode(&failingWriter{room, broken}); !errors.Is(err, broken) {
			t.Errorf("encode with room for %d writes: %v", room, err)
		}
	}
}

type failingWriter struct {
	room int
	err  error
}

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.room == 0 {
		return 0, w.err
	}
	w.room--
	return len(p), nil
}

// Each case breaks one invariant of a ledger and has it encoded; the checksums
// are right, so that only the invariant's own check can notice.
func TestASnapshotThatContradictsItselfIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(l *Ledger){
		"a sequence after the last":           func(l *Ledger) { l.last = 2 },
		"a last event that is too large":      func(l *Ledger) { l.last = MaxSeq + 1 },
		"a sequence twice":                    func(l *Ledger) { l.grants.mut(1).seq = 1 },
		"a request twice":                     func(l *Ledger) { l.grants.mut(1).req = req(1) },
		"a state that there isn't":            func(l *Ledger) { l.grants.mut(1).state = 4 },
		"restocked but not voided":            func(l *Ledger) { l.grants.mut(1).state = stateRestocked },
		"a grant of nobody":                   func(l *Ledger) { l.grants.mut(1).user = 77 },
		"a grant on another user's list":      func(l *Ledger) { l.grants.mut(1).user = 2 },
		"a grant on no list":                  func(l *Ledger) { l.users.mut(0).newest = 1 },
		"a list that leads nowhere":           func(l *Ledger) { l.grants.mut(0).older = 78 },
		"a list in the wrong order":           func(l *Ledger) { l.users.mut(0).newest = 1; l.grants.mut(0).older = 4; l.grants.mut(3).older = 0 },
		"a list that goes round":              func(l *Ledger) { l.grants.mut(0).older = 4 },
		"a user whose list leads nowhere":     func(l *Ledger) { l.users.mut(1).newest = 78 },
		"a user twice":                        func(l *Ledger) { l.users.mut(1).hash = id(1) },
		"a prize with two lists":              func(l *Ledger) { l.users.mut(2).older = 0 },
		"users in a ring":                     func(l *Ledger) { l.users.mut(0).older = 3 },
		"users in a ring beside the list":     func(l *Ledger) { l.users.mut(2).older = 0; l.users.mut(0).older = 2 },
		"a list of users that leads nowhere":  func(l *Ledger) { l.users.mut(0).older = 78 },
		"a list of users of different prizes": func(l *Ledger) { l.users.mut(0).prize = 9 },
		"a user who is older than two":        func(l *Ledger) { l.users.mut(2).older = 1 },
		"more users than there are":           func(l *Ledger) { l.users.n++ },
		"fewer grants than there are":         func(l *Ledger) { l.grants.n-- },
	} {
		l := New()
		mustAppend(t, l, entry(1, 1, 1, 1), entry(2, 1, 2, 2), entry(3, 1, 3, 3), entry(4, 1, 1, 4))
		spoil(l)
		if _, err := Decode(bytes.NewReader(snapshot(t, l))); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnotherVersionIsRefusedAsSuch(t *testing.T) {
	b := snapshot(t, New())
	b[len(magic)-1]++
	if _, err := Decode(bytes.NewReader(b)); !errors.Is(err, ErrVersion) {
		t.Errorf("got %v", err)
	}
}

// sealed puts right checksums into whatever looks like frames, so that fuzzing
// reaches what lies behind them.
func sealed(b []byte) []byte {
	b = bytes.Clone(b)
	if len(b) < len(magic) {
		return b
	}
	copy(b, magic)
	sum := crc32.Checksum([]byte(magic), castagnoli())
	for rest := b[len(magic):]; len(rest) >= frameHead; {
		n := binary.LittleEndian.Uint32(rest)
		if n > frameMax || int(n) > len(rest)-frameHead {
			break
		}
		sum = crc32.Update(sum, castagnoli(), rest[frameHead:frameHead+n])
		binary.LittleEndian.PutUint32(rest[4:], sum)
		rest = rest[frameHead+n:]
	}
	return b
}

func FuzzDecode(f *testing.F) {
	small := New()
	mustAppend(f, small, entry(1, 1, 1, 1), entry(2, 1, 2, 2), entry(3, 1, 1, 3))
	mustVoid(f, small, 2, true)
	for _, l := range []*Ledger{New(), small, filled(f, 100)} {
		f.Add(snapshot(f, l))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, in := range [][]byte{b, sealed(b)} {
			l, err := Decode(bytes.NewReader(in))
			if err != nil {
				if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
					t.Fatalf("an error of no kind: %v", err)
				}
				continue
			}
			// What was accepted is a ledger: it answers, forgets and is saved.
			again := mustDecode(t, snapshot(t, l))
			prizes := map[uint32]bool{}
			for _, u := range l.users.all() {
				if u.newest == 0 {
					continue
				}
				prizes[u.prize] = true
				n := uint32(0)
				l.EachOf(u.prize, u.hash, func(g Grant) bool {
					if !g.Restocked {
						n++
					}
					return true
				})
				if n != l.Count(u.prize, u.hash) {
					t.Fatalf("count %d, want %d", l.Count(u.prize, u.hash), n)
				}
			}
			for prize := range prizes {
				l.Forget(prize, 1)
				again.Forget(prize, 1)
			}
			if !bytes.Equal(snapshot(t, l), snapshot(t, again)) {
				t.Fatal("restored, it became another ledger")
			}
			for prize := range prizes {
				l.Forget(prize, math.MaxInt)
			}
			if l.Len() != 0 || l.Users() != 0 {
				t.Fatalf("%d grants of %d users are never forgotten", l.Len(), l.Users())
			}
		}
	})
}
