package allocator

import (
	"strings"
	"testing"
)

// settled reports whether a change can be answered.
func settled(w *world, out ChangeOutcome) bool {
	st, _ := w.bank.State(out.Prize)
	return st.Settled(&out)
}

func TestAPrizeThatIsEndedInThePastIsRetainedFromThenOn(t *testing.T) {
	const hour = Micros(3_600_000_000)
	w := newWorld(t, 1)
	w.change(Change{Prize: "p", Create: true, Set: FieldsAll, To: Definition{Kind: KindCounter, Total: 10}})
	w.change(Change{Prize: "p", Set: FieldEndsAt, To: Definition{EndsAt: w.now - 48*hour}})
	if over := w.bank.Over(w.now - 24*hour); len(over) > 0 {
		t.Fatal("its users and request ids can be forgotten at once")
	}
	if over := w.bank.Over(w.now); len(over) != 1 {
		t.Fatal("it is not over")
	}
	w.change(Change{Prize: "p", Set: FieldEndsAt, To: Definition{EndsAt: w.now + hour}})
	if over := w.bank.Over(w.now); len(over) > 0 {
		t.Fatal("it is over although its end lies ahead")
	}
}

func TestAChangeIsNotAnsweredBecauseALaterOneFailed(t *testing.T) {
	w := newWorld(t, 2)
	w.change(Change{Prize: "p", Create: true, Set: FieldsAll, To: Definition{Kind: KindCounter, Total: 2}})
	w.quiesce()
	w.draw(1, &ask{prize: 1, user: "a"}, &ask{prize: 1, user: "b"})
	w.quiesce()
	w.draw(2, &ask{prize: 1, user: "c"}) // finds that all are gone
	w.quiesce()
	w.sites[1].parked = nil
	w.cut = 2 // from here on slice 2 can't be reached
	pause := w.change(Change{Prize: "p", Set: FieldStatus, To: Definition{Status: StatusPaused}})
	smaller := w.change(Change{Prize: "p", Set: FieldTotal, To: Definition{Total: 1}})
	w.quiesce()
	if st, _ := w.bank.State(1); st.Operation.State != OperationBelowGranted || !settled(w, smaller) {
		t.Fatalf("the smaller total: %+v", st.Operation)
	}
	if settled(w, pause) {
		t.Fatal("the pause is answered, and slice 2 does not know of it")
	}
	w.cut = 0
	w.repeat()
	w.quiesce()
	if !settled(w, pause) {
		t.Fatal("the pause is not answered although all slices have it")
	}
}

func TestASmallerTotalIsNotAnsweredBecauseALaterChangeIsDone(t *testing.T) {
	st := VaultState{Operation: Operation{Number: 3, State: OperationDone}, Target: 5}
	if st.Settled(&ChangeOutcome{Operation: 2}) {
		t.Fatal("answered while its tokens are being recalled")
	}
	if !st.Settled(&ChangeOutcome{Operation: 3}) {
		t.Fatal("the later change is not answered")
	}
}

func TestAPrizeThatMustNotBeThereIsCreatedOnce(t *testing.T) {
	w := newWorld(t, 1)
	create := Change{Prize: "p", Create: true, Set: FieldsAll, To: Definition{Kind: KindCounter, Total: 10}, If: Absent}
	if out := w.change(create); out.Verdict != ChangeCreated {
		t.Fatalf("the first: %v", out.Verdict)
	}
	create.To.Total = 20
	if out := w.change(create); out.Verdict != ChangeWrongIf {
		t.Errorf("the second: %v", out.Verdict)
	}
	if out := w.change(Change{Prize: "q", Set: FieldTotal, To: Definition{Total: 1}, If: Absent}); out.Verdict != ChangeUnknown {
		t.Errorf("a change of no prize: %v", out.Verdict)
	}
	if st, _ := w.bank.State(1); st.Def.Total != 10 || st.Def.Version != 1 {
		t.Errorf("afterwards: %+v", st.Def)
	}
}

func TestWhatALogCouldNotGiveBackIsNotReadable(t *testing.T) {
	good := func() Change {
		return Change{Prize: "p", Actor: "a", Set: FieldTotal, To: Definition{Kind: KindCounter, Total: 1, Zone: "UTC"}, If: Absent}
	}
	c := good()
	if !c.Readable() {
		t.Fatal("a good change is not readable")
	}
	for name, spoil := range map[string]func(c *Change){
		"a version beyond all": func(c *Change) { c.If = Absent + 1 },
		"a long id":            func(c *Change) { c.Prize = strings.Repeat("p", maxText+1) },
		"a long actor":         func(c *Change) { c.Actor = strings.Repeat("p", maxText+1) },
		"a long remark":        func(c *Change) { c.Remark = strings.Repeat("p", maxAction+1) },
	} {
		c := good()
		if spoil(&c); c.Readable() {
			t.Errorf("%s is readable", name)
		}
	}
}
