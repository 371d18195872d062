package ledger

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// machine drives a ledger, a twin that is replaced by its own snapshot again and
// again, and the model through the same steps.
type machine struct {
	l, twin *Ledger
	m       model
	views   []view
	next    int // number of the next new request or user
}

// view is an open view with what it must hold.
type view struct {
	f     *Frozen
	model model
	bytes []byte
}

func (x *machine) both(t *rapid.T, what string, want error, do func(*Ledger) error) {
	for _, l := range []*Ledger{x.l, x.twin} {
		if err := do(l); !errors.Is(err, want) {
			t.Fatalf("%s: %v, want %v", what, err, want)
		}
	}
}

func (x *machine) append(t *rapid.T, e Entry) {
	var want error
	switch {
	case e.Seq != x.m.last+1:
		want = ErrSequence
	case e.hasRequestIn(&x.m):
		want = ErrRequestUsed
	}
	x.both(t, "append", want, func(l *Ledger) error { return l.Append(e) })
	if want == nil {
		x.m.last++
		x.m.grants = append(x.m.grants, Grant{Entry: e})
	}
}

// hasRequestIn reports whether the model retains a grant with e's request.
func (e Entry) hasRequestIn(m *model) bool {
	return !e.Request.IsZero() && m.at(func(g Grant) bool { return g.Request == e.Request }) >= 0
}

func (x *machine) seq(t *rapid.T) uint64 {
	if rapid.IntRange(0, 19).Draw(t, "wrong") == 0 {
		return rapid.Uint64().Draw(t, "seq")
	}
	return x.m.last + 1
}

func (x *machine) Append(t *rapid.T) {
	e := Entry{
		Seq:   x.seq(t),
		Prize: rapid.SampledFrom([]uint32{1, 2, math.MaxUint32}).Draw(t, "prize"),
		Day:   rapid.Int32().Draw(t, "day"),
		At:    rapid.Int64().Draw(t, "at"),
		User:  id(rapid.IntRange(0, 9).Draw(t, "user")),
	}
	if n := rapid.IntRange(-2, 20).Draw(t, "request"); n >= 0 {
		e.Request = req(n)
	}
	x.append(t, e)
}

// AppendMany spreads items over several chunks.
func (x *machine) AppendMany(t *rapid.T) {
	prize := rapid.Uint32Range(1, 3).Draw(t, "prize")
	for range rapid.IntRange(1, 700).Draw(t, "n") {
		x.next++
		e := entry(x.m.last+1, prize, 100+x.next%800, 100+x.next)
		x.m.last++
		x.m.grants = append(x.m.grants, Grant{Entry: e})
		mustAppend(t, x.l, e)
		mustAppend(t, x.twin, e)
	}
}

func (x *machine) Void(t *rapid.T) {
	target := rapid.Uint64Range(0, x.m.last+1).Draw(t, "grant")
	seq, restock := x.seq(t), rapid.Bool().Draw(t, "restock")
	at := x.m.at(func(g Grant) bool { return g.Seq == target })
	var want error
	switch {
	case seq != x.m.last+1:
		want = ErrSequence
	case at < 0:
		want = ErrNoGrant
	case x.m.grants[at].Voided:
		want = ErrVoided
	}
	x.both(t, "void", want, func(l *Ledger) error { return l.AppendVoid(seq, target, restock) })
	if want == nil {
		x.m.last++
		x.m.grants[at].Voided, x.m.grants[at].Restocked = true, restock
	}
}

func (x *machine) Forget(t *rapid.T) {
	prize := rapid.Uint32Range(1, 3).Draw(t, "prize")
	budget := rapid.IntRange(0, 40).Draw(t, "budget")
	want := x.m.forget(prize, budget)
	if a, b := x.l.Forget(prize, budget), x.twin.Forget(prize, budget); a != want || b != want {
		t.Fatalf("forget: done %v and %v, want %v", a, b, want)
	}
}

func (x *machine) ForgetAll(t *rapid.T) {
	prize := rapid.Uint32Range(1, 3).Draw(t, "prize")
	for _, l := range []*Ledger{x.l, x.twin} {
		if !l.Forget(prize, math.MaxInt) {
			t.Fatalf("not done")
		}
	}
	x.m.grants = slices.DeleteFunc(x.m.grants, func(g Grant) bool { return g.Prize == prize })
}

func (x *machine) Freeze(t *rapid.T) {
	if len(x.views) == 3 {
		t.Skip("enough views")
	}
	f := x.l.Freeze()
	x.views = append(x.views, view{
		f:     f,
		model: model{last: x.m.last, grants: slices.Clone(x.m.grants)},
		bytes: encoded(t, f),
	})
}

func (x *machine) CheckView(t *rapid.T) {
	if len(x.views) == 0 {
		t.Skip("no view")
	}
	i := rapid.IntRange(0, len(x.views)-1).Draw(t, "view")
	v := x.views[i]
	x.views = slices.Delete(x.views, i, i+1)
	b := encoded(t, v.f)
	v.f.Release()
	if !bytes.Equal(b, v.bytes) {
		t.Fatalf("a view changed")
	}
	equal(t, mustDecode(t, b), &v.model)
}

func (x *machine) RestoreTwin(t *rapid.T) {
	x.twin = mustDecode(t, snapshot(t, x.twin))
}

func (x *machine) CheckAll(t *rapid.T) {
	equal(t, x.l, &x.m)
	equal(t, x.twin, &x.m)
	if !bytes.Equal(snapshot(t, x.l), snapshot(t, x.twin)) {
		t.Fatalf("the restored ledger has become another one")
	}
}

// Check runs after every step.
func (x *machine) Check(t *rapid.T) {
	for _, l := range []*Ledger{x.l, x.twin} {
		if l.Last() != x.m.last || l.Len() != len(x.m.grants) {
			t.Fatalf("last %d with %d grants, want %d with %d", l.Last(), l.Len(), x.m.last, len(x.m.grants))
		}
	}
}

func TestALedgerBehavesAsTheNaiveModelWhateverItsHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := &machine{l: New(), twin: New()}
		actions := rapid.StateMachineActions(x)
		actions["AppendAgain"] = x.Append // more often than the rest
		actions["VoidAgain"] = x.Void
		t.Repeat(actions)
		x.CheckAll(t)
		for len(x.views) > 0 {
			x.CheckView(t)
		}
	})
}
