package ledger

import "bytes"

// failer is what the checks need of *testing.T, *rapid.T and *testing.B.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// id returns a hash that looks like the keyed hash of n.
func id(n int) Hash { return Hash{mix(uint64(n)*2 + 1), mix(uint64(n)*2 + 2)} }

// req returns a request hash, distinct from every id.
func req(n int) Hash { return id(n + 1<<40) }

func entry(seq uint64, prize uint32, user, request int) Entry {
	return Entry{
		Seq:     seq,
		Prize:   prize,
		Day:     20_000 + int32(seq/1000),
		At:      1_790_000_000_000_000 + int64(seq)*37,
		User:    id(user),
		Request: req(request),
	}
}

func mustAppend(t failer, l *Ledger, entries ...Entry) {
	t.Helper()
	for _, e := range entries {
		if err := l.Append(e); err != nil {
			t.Fatalf("append %d: %v", e.Seq, err)
		}
	}
}

func mustVoid(t failer, l *Ledger, grant uint64, restock bool) {
	t.Helper()
	if err := l.AppendVoid(l.Last()+1, grant, restock); err != nil {
		t.Fatalf("void %d: %v", grant, err)
	}
}

func encoded(t failer, f *Frozen) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.Encode(&b); err != nil {
		t.Fatalf("encode: %v", err)
	}
	return b.Bytes()
}

// snapshot returns the encoding of the ledger as it is now.
func snapshot(t failer, l *Ledger) []byte {
	t.Helper()
	f := l.Freeze()
	defer f.Release()
	return encoded(t, f)
}

func mustDecode(t failer, b []byte) *Ledger {
	t.Helper()
	l, err := Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("decode: %v", err)
	}
	return l
}

// filled returns a ledger with n grants of prize 1 to as many users.
func filled(t failer, n int) *Ledger {
	t.Helper()
	l := New()
	for i := 1; i <= n; i++ {
		mustAppend(t, l, entry(uint64(i), 1, i, i))
	}
	return l
}

// model is a ledger without any cleverness: its grants in the order of their
// sequences.
type model struct {
	last   uint64
	grants []Grant
}

func (m *model) at(match func(Grant) bool) int {
	for i, g := range m.grants {
		if match(g) {
			return i
		}
	}
	return -1
}

type owner struct {
	prize uint32
	user  Hash
}

func ownerOf(g Grant) owner { return owner{g.Prize, g.User} }

// forget removes the newest grant of the prize's newest user, who is the
// one whose oldest grant is the newest.
func (m *model) forget(prize uint32, budget int) (done bool) {
	for {
		oldest := map[owner]bool{}
		var newestUser *Grant
		for i, g := range m.grants {
			if g.Prize == prize && !oldest[ownerOf(g)] {
				oldest[ownerOf(g)] = true
				newestUser = &m.grants[i]
			}
		}
		if newestUser == nil {
			return true
		}
		if budget <= 0 {
			return false
		}
		budget--
		who, newest := ownerOf(*newestUser), 0
		for i, g := range m.grants {
			if ownerOf(g) == who {
				newest = i
			}
		}
		m.grants = append(m.grants[:newest:newest], m.grants[newest+1:]...)
	}
}

// equal checks that the ledger answers everything as the model does.
func equal(t failer, l *Ledger, m *model) {
	t.Helper()
	counts := map[owner]uint32{}
	lists := map[owner][]Grant{}
	for _, g := range m.grants {
		if got, ok := l.Grant(g.Seq); !ok || got != g {
			t.Fatalf("Grant(%d) = %+v, %v; want %+v", g.Seq, got, ok, g)
		}
		if got, ok := l.Find(g.Request); ok != g.HasRequest() || ok && got != g {
			t.Fatalf("Find for %d = %+v, %v; want %+v", g.Seq, got, ok, g)
		}
		n := uint32(1)
		if g.Restocked {
			n = 0
		}
		counts[ownerOf(g)] += n
		lists[ownerOf(g)] = append(lists[ownerOf(g)], g)
	}
	if l.Last() != m.last || l.Len() != len(m.grants) || l.Users() != len(lists) {
		t.Fatalf("last %d, %d grants, %d users; want %d, %d, %d",
			l.Last(), l.Len(), l.Users(), m.last, len(m.grants), len(lists))
	}
	for who, want := range lists {
		if got := l.Count(who.prize, who.user); got != counts[who] {
			t.Fatalf("Count = %d, want %d", got, counts[who])
		}
		left := want
		l.EachOf(who.prize, who.user, func(g Grant) bool {
			if len(left) == 0 || g != left[len(left)-1] {
				t.Fatalf("EachOf: %+v is not next of %+v", g, left)
			}
			left = left[:len(left)-1]
			return true
		})
		if len(left) > 0 {
			t.Fatalf("EachOf left out %+v", left)
		}
	}
}
