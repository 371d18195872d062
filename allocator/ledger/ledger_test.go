package ledger

import (
	"errors"
	"math"
	"testing"
	"unsafe"
)

func TestAGrantIsFoundByItsRequestAndItsSequence(t *testing.T) {
	l := New()
	e := entry(1, 7, 1, 1)
	mustAppend(t, l, e)

	want := Grant{Entry: e}
	if got, ok := l.Find(req(1)); !ok || got != want {
		t.Errorf("Find = %+v, %v; want %+v", got, ok, want)
	}
	if got, ok := l.Grant(1); !ok || got != want {
		t.Errorf("Grant = %+v, %v; want %+v", got, ok, want)
	}
	if _, ok := l.Find(req(2)); ok {
		t.Error("a request that was never granted is found")
	}
	if _, ok := l.Grant(2); ok {
		t.Error("a grant that never was is found")
	}
}

func TestAGrantWithoutRequestIsFoundBySequenceOnly(t *testing.T) {
	l := New()
	e := entry(1, 7, 1, 1)
	e.Request = Hash{}
	mustAppend(t, l, e)

	if got, ok := l.Grant(1); !ok || got.HasRequest() {
		t.Errorf("Grant = %+v, %v", got, ok)
	}
	if got, ok := l.Find(Hash{}); ok {
		t.Errorf("the zero hash finds %+v", got)
	}
}

func TestUsersAreCountedForEachPrizeAlone(t *testing.T) {
	l := New()
	mustAppend(t, l, entry(1, 7, 1, 1), entry(2, 7, 1, 2), entry(3, 8, 1, 3), entry(4, 7, 2, 4))

	for _, c := range []struct {
		prize uint32
		user  int
		want  uint32
	}{{7, 1, 2}, {8, 1, 1}, {7, 2, 1}, {8, 2, 0}, {9, 1, 0}} {
		if got := l.Count(c.prize, id(c.user)); got != c.want {
			t.Errorf("prize %d, user %d: %d, want %d", c.prize, c.user, got, c.want)
		}
	}
	if l.Len() != 4 || l.Users() != 3 {
		t.Errorf("%d grants of %d users", l.Len(), l.Users())
	}
}

func TestAUsersGrantsComeNewestFirstUntilYieldHasEnough(t *testing.T) {
	l := New()
	mustAppend(t, l, entry(1, 7, 1, 1), entry(2, 7, 2, 2), entry(3, 7, 1, 3), entry(4, 7, 1, 4))

	var got []uint64
	l.EachOf(7, id(1), func(g Grant) bool {
		got = append(got, g.Seq)
		return len(got) < 2
	})
	if len(got) != 2 || got[0] != 4 || got[1] != 3 {
		t.Errorf("got %v, want [4 3]", got)
	}
}

func TestAVoidMarksItsGrantAndOnlyRestockGivesTheCountBack(t *testing.T) {
	l := New()
	mustAppend(t, l, entry(1, 7, 1, 1), entry(2, 7, 1, 2))

	mustVoid(t, l, 1, false)
	if g, _ := l.Find(req(1)); !g.Voided || g.Restocked {
		t.Errorf("after a void without restock: %+v", g)
	}
	if n := l.Count(7, id(1)); n != 2 {
		t.Errorf("a void without restock leaves %d, want 2", n)
	}

	mustVoid(t, l, 2, true)
	if g, _ := l.Find(req(2)); !g.Voided || !g.Restocked {
		t.Errorf("after a void with restock: %+v", g)
	}
	if n := l.Count(7, id(1)); n != 1 {
		t.Errorf("a void with restock leaves %d, want 1", n)
	}
	if l.Last() != 4 || l.Len() != 2 {
		t.Errorf("last %d with %d grants, want 4 with 2: voids are events, not grants", l.Last(), l.Len())
	}
	if _, ok := l.Grant(3); ok {
		t.Error("a void is found as a grant")
	}
}

func TestWhatIsRefusedChangesNothing(t *testing.T) {
	l := New()
	mustAppend(t, l, entry(1, 7, 1, 1), entry(2, 7, 2, 2))
	mustVoid(t, l, 2, false)
	before := string(snapshot(t, l))

	for name, c := range map[string]struct {
		err, want error
	}{
		"a grant that skips an event":   {l.Append(entry(5, 7, 3, 3)), ErrSequence},
		"a grant that was there":        {l.Append(entry(3, 7, 3, 3)), ErrSequence},
		"a request that was used":       {l.Append(entry(4, 7, 3, 2)), ErrRequestUsed},
		"a void that skips an event":    {l.AppendVoid(5, 1, true), ErrSequence},
		"a void of a grant never given": {l.AppendVoid(4, 9, true), ErrNoGrant},
		"a void of a void":              {l.AppendVoid(4, 3, true), ErrNoGrant},
		"a second void":                 {l.AppendVoid(4, 2, true), ErrVoided},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
	if string(snapshot(t, l)) != before {
		t.Error("the ledger has changed")
	}
}

func TestSequencesEndWhereAGrantIdHasNoMoreRoom(t *testing.T) {
	l := New()
	l.last = MaxSeq - 1
	mustAppend(t, l, entry(MaxSeq, 7, 1, 1))
	if err := l.Append(entry(MaxSeq+1, 7, 1, 2)); !errors.Is(err, ErrSequence) {
		t.Errorf("got %v", err)
	}
	if g, ok := mustDecode(t, snapshot(t, l)).Find(req(1)); !ok || g.Seq != MaxSeq {
		t.Errorf("restored: %+v, %v", g, ok)
	}
}

func TestExtremeTimesAndDaysSurviveASnapshot(t *testing.T) {
	l := New()
	m := &model{}
	for i, at := range []int64{math.MaxInt64, math.MinInt64, 0, math.MaxInt64, -1} {
		for _, day := range []int32{math.MaxInt32, math.MinInt32, 0} {
			m.last++
			e := entry(m.last, math.MaxUint32-uint32(i), int(m.last), int(m.last))
			e.At, e.Day = at, day
			mustAppend(t, l, e)
			m.grants = append(m.grants, Grant{Entry: e})
		}
	}
	equal(t, mustDecode(t, snapshot(t, l)), m)
}

func TestItemsKeepTheSizeThatTheMemoryPromiseRestsOn(t *testing.T) {
	if g, u := unsafe.Sizeof(grant{}), unsafe.Sizeof(user{}); g != 48 || u != 32 {
		t.Errorf("a grant has %d bytes and a user %d, want 48 and 32", g, u)
	}
}

func TestForgettingAPrizeLeavesTheOthers(t *testing.T) {
	l := New()
	m := &model{}
	for i := range 3000 {
		m.last++
		e := entry(m.last, uint32(1+i%3), i%700, i)
		mustAppend(t, l, e)
		m.grants = append(m.grants, Grant{Entry: e})
	}
	calls := 1
	for ; !l.Forget(2, 64); calls++ {
		if l.Len() != 3000-64*calls {
			t.Fatalf("%d left after %d calls", l.Len(), calls)
		}
	}
	if calls != 1000/64+1 {
		t.Errorf("took %d calls", calls)
	}
	var kept []Grant
	for _, g := range m.grants {
		if g.Prize != 2 {
			kept = append(kept, g)
			continue
		}
		if _, ok := l.Find(g.Request); ok {
			t.Fatalf("the request of grant %d is still known", g.Seq)
		}
		if _, ok := l.Grant(g.Seq); ok || l.Count(2, g.User) != 0 {
			t.Fatalf("grant %d is still known", g.Seq)
		}
	}
	m.grants = kept
	equal(t, l, m)
	if !l.Forget(2, 0) || !l.Forget(99, 0) {
		t.Error("a prize of which nothing is left is not done")
	}
}

func TestAUserWhoIsHalfForgottenIsCountedByWhatIsLeft(t *testing.T) {
	l := New()
	for n := 1; n <= 4; n++ {
		mustAppend(t, l, entry(uint64(n), 7, 1, n))
	}
	mustVoid(t, l, 4, true)  // no longer counts
	mustVoid(t, l, 3, false) // still counts

	// Newest first: grant 4, 3 and 2.
	for left, want := range []uint32{3, 2, 1} {
		if l.Forget(7, 1) {
			t.Fatal("done with grants left")
		}
		if got := l.Count(7, id(1)); got != want {
			t.Errorf("after %d calls the count is %d, want %d", left+1, got, want)
		}
	}
	if !l.Forget(7, 1) || l.Count(7, id(1)) != 0 || l.Users() != 0 {
		t.Error("the user is not forgotten with the last grant")
	}
}

func TestMemoryOfForgottenGrantsIsGivenBack(t *testing.T) {
	l := filled(t, 3*dirLen*chunkLen)
	mustAppend(t, l, entry(l.Last()+1, 2, 1, 1<<30))
	l.Forget(1, math.MaxInt)

	// What is left is the grant of prize 2, in the fourth dir.
	for name, dirs := range map[string]int{"grants": inUse(l.grants.dirs), "users": inUse(l.users.dirs)} {
		if dirs != 1 {
			t.Errorf("%s use %d dirs, want 1", name, dirs)
		}
	}
	for name, x := range map[string]*index{"request": l.byRequest, "seq": l.bySeq, "user": l.byUser} {
		if n := tables(x); n != 1 {
			t.Errorf("index by %s uses %d tables, want 1", name, n)
		}
	}
	mustAppend(t, l, entry(l.Last()+1, 3, 1, 1<<31))
	if _, ok := l.findSeq(l.Last()); !ok || !l.grants.has(0) {
		t.Error("the next grant does not use the lowest free slot")
	}
}

func inUse[T any](dirs []*dir[T]) (n int) {
	for _, d := range dirs {
		if d != nil {
			n++
		}
	}
	return n
}

func tables(x *index) (n int) {
	for _, t := range x.tables {
		if t.groups != nil {
			n++
		}
	}
	return n
}
