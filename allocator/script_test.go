package allocator

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestScripts runs the scenarios in testdata: one per rule of the design. A
// scenario is a list of commands, each block followed by what it shows:
//
//	slices N                     a new world
//	create ID field=value…       and change ID field=value…
//	draw A ID user[/request]…    at slice A's leader
//	cut A · mend                 what is sent to and by slice A is lost
//	leave A                      the draws that wait at A give up
//	return A ID N [day]          slice A gives N tokens back unasked
//	void A SEQ [restock]
//	sunk A · archive ID · forget A ID
//	deliver TEXT                 the first message on its way whose label has TEXT
//	redeliver TEXT               the newest message ever sent that has it, once more
//	lose TEXT                    every message on its way that has it
//	net                          what is on its way
//	settle                       delivers until all is quiet
//	repeat                       leaders say again what was not confirmed
//	pass MILLISECONDS · day N    time goes on; today is day N
//	off A DAYS · dates A DAYS    A's leader has a clock, or a calendar, that is days off
//	show ID                      the prize as the bank sees it
//
// With TOMBOLA_REWRITE=1 in the environment the files are written anew.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runFile(t, file) })
	}
}

func runFile(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	var sc *script
	for i, block := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
		if i > 0 {
			out.WriteString("\n")
		}
		input, _, _ := strings.Cut(block+"\n", "----\n")
		out.WriteString(input)
		if sc == nil {
			sc = newScript(t)
		}
		before := out.Len()
		for _, line := range strings.Split(strings.TrimSpace(input), "\n") {
			if line != "" && !strings.HasPrefix(line, "#") {
				sc.out = sc.out[:0]
				sc.run(strings.Fields(line))
				for _, o := range sc.out {
					if out.Len() == before {
						out.WriteString("----\n")
					}
					out.WriteString(o + "\n")
				}
			}
		}
	}
	if out.String() == string(text) {
		return
	}
	if os.Getenv("TOMBOLA_REWRITE") != "" {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, got := strings.Split(string(text), "\n"), strings.Split(out.String(), "\n")
	for i := range got {
		if i >= len(want) || want[i] != got[i] {
			t.Fatalf("%s:%d: got %q\n%s", file, i+1, got[i], out.String())
		}
	}
	t.Fatalf("%s: shorter than expected:\n%s", file, out.String())
}

type script struct {
	t   *testing.T
	w   *world
	out []string
}

func newScript(t *testing.T) *script {
	sc := &script{t: t}
	sc.reset(2)
	return sc
}

func (sc *script) reset(n int) {
	sc.w = newWorld(sc.t, n)
	sc.w.keep = true
	sc.w.trace = sc.say
}

func (sc *script) say(format string, args ...any) {
	sc.out = append(sc.out, fmt.Sprintf(format, args...))
}

func (sc *script) number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		sc.t.Fatalf("not a number: %q", s)
	}
	return n
}

func (sc *script) site(name string) *site { return sc.w.sites[name[0]-'A'] }

func (sc *script) prize(id string) PrizeNo {
	no, ok := sc.w.bank.Lookup(id)
	if !ok {
		return 99
	}
	return no
}

func (sc *script) run(f []string) {
	w := sc.w
	switch f[0] {
	case "slices":
		sc.reset(int(sc.number(f[1])))
	case "create", "change":
		sc.change(f[0] == "create", f[1], f[2:])
	case "draw":
		sc.draw(f)
	case "return", "void", "sunk", "forget":
		sc.order(f)
	case "cut":
		w.cut = sc.site(f[1]).no
	case "mend":
		w.cut = 0
	case "leave":
		sc.site(f[1]).parked = nil
	case "archive":
		w.bankEntry(func(bw *BankWriter) { bw.Archive(sc.prize(f[1])) }, nil)
	case "deliver", "redeliver", "lose":
		sc.message(f[0], strings.Join(f[1:], " "))
	case "net":
		for _, p := range w.net {
			sc.say("%s", p.label)
		}
	case "settle":
		w.trace = sc.quiet
		w.quiesce()
		w.trace = sc.say
	case "repeat":
		w.repeat()
	case "pass":
		w.now += Micros(sc.number(f[1]) * 1000)
	case "day":
		w.turn(Day(sc.number(f[1])))
	case "off":
		sc.site(f[1]).off = Day(sc.number(f[2]))
	case "dates":
		sc.site(f[1]).misdated = Day(sc.number(f[2]))
	case "show":
		sc.show(sc.prize(f[1]))
	default:
		sc.t.Fatalf("no such command: %v", f)
	}
}

// quiet shows what draws come to, but no messages.
func (sc *script) quiet(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !strings.Contains(text, "→") {
		sc.out = append(sc.out, text)
	}
}

func (sc *script) change(create bool, id string, fields []string) {
	c := Change{Prize: id, Create: create, To: Definition{Kind: KindCounter}}
	if create {
		c.Set = FieldKind
	}
	names := []string{"kind", "status", "total", "daily", "user", "zone", "starts", "ends", "pace"}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		i := slices.Index(names, name)
		if i < 0 {
			sc.t.Fatalf("no such field: %s", name)
		}
		c.Set |= 1 << i
		switch name {
		case "status":
			c.To.Status = Status(slices.Index([]string{"", "active", "paused", "ended", "deleted"}, value))
		case "total":
			c.To.Total = sc.number(value)
		case "daily":
			c.To.DailyLimit = sc.number(value)
		case "user":
			c.To.PerUserLimit = sc.number(value)
		case "zone":
			c.To.Zone = value
		case "starts":
			c.To.StartsAt = sc.w.now + Micros(sc.number(value)*1000)
		case "ends":
			c.To.EndsAt = sc.w.now + Micros(sc.number(value)*1000)
		case "pace": // tokens a second
			c.To.Release = Release{PerSecondMilli: sc.number(value) * 1000, Burst: 1}
		}
	}
	out := sc.w.change(c)
	verdicts := []string{"", "created", "done", "unknown", "deleted", "kind", "zone", "archived", "wrong if", "bad values"}
	sc.say("%s: prize %d, version %d", verdicts[out.Verdict], out.Prize, out.Version)
}

func (sc *script) draw(f []string) {
	s, no := sc.site(f[1]), sc.prize(f[2])
	var asks []*ask
	for _, who := range f[3:] {
		user, id, _ := strings.Cut(who, "/")
		asks = append(asks, &ask{prize: no, user: user, id: id})
	}
	sc.w.draw(s.no, asks...)
	for _, a := range asks {
		if !a.final {
			sc.say("%s: %s waits", f[1], a.user)
		}
	}
}

func (sc *script) order(f []string) {
	s := sc.site(f[1])
	o := order{done: func(out Outcome) { sc.say("%s", verdictText(out.Verdict)) }}
	switch f[0] {
	case "return":
		word := Word{Prize: sc.prize(f[2])}
		if len(f) > 4 {
			word.Purse, _ = s.slice.DayPurse(word.Prize, sc.w.days(s))
		}
		o.write = func(ew *EntryWriter) { ew.Return(word.Prize, word.Purse, sc.number(f[3])) }
		o.done = func(out Outcome) { sc.w.gaveBack(s, &word, out) }
	case "void":
		o.write = func(ew *EntryWriter) { ew.Void(uint64(sc.number(f[2])), len(f) > 3) }
	case "sunk":
		o.write = func(ew *EntryWriter) { ew.Sunk(s.last) }
	case "forget":
		o.write = func(ew *EntryWriter) { ew.Forget(sc.prize(f[2]), 100) }
	}
	sc.w.sliceEntry(s, nil, nil, []order{o})
	for _, n := range s.slice.Open(nil) {
		sc.w.sendNote(s, n)
	}
}

func (sc *script) message(what, text string) {
	w := sc.w
	has := func(p parcel) bool { return strings.Contains(p.label, text) }
	switch what {
	case "deliver":
		i := slices.IndexFunc(w.net, has)
		if i < 0 {
			sc.t.Fatalf("nothing on its way has %q: %v", text, w.net)
		}
		w.deliver(w.take(i))
	case "redeliver":
		for _, p := range slices.Backward(w.sent) {
			if has(p) {
				w.deliver(p)
				return
			}
		}
		sc.t.Fatalf("nothing sent has %q", text)
	case "lose":
		w.net = slices.DeleteFunc(w.net, has)
	}
}

func (sc *script) show(no PrizeNo) {
	st, _ := sc.w.bank.State(no)
	states := []string{"", "pending", "done", "below granted", "strays"}
	sc.say("v%d total %d daily %d user %d, change %s", st.Def.Version, st.Def.Total, st.Def.DailyLimit,
		st.Def.PerUserLimit, states[st.Operation.State])
	for _, a := range st.Accounts {
		line := fmt.Sprintf("%v: size %d pool %d", a.Purse, a.Size, a.Pool)
		for _, part := range []struct {
			name string
			n    int64
		}{{"before", a.Before}, {"held", a.Held}, {"reserve", a.Reserve}} {
			if part.n > 0 {
				line += fmt.Sprintf(" %s %d", part.name, part.n)
			}
		}
		for _, l := range a.Lines {
			line += fmt.Sprintf(" %c %d", 'A'+rune(l.Slice-1), l.LotSum-l.RetSum)
		}
		if a.Dry {
			line += " dry"
		}
		sc.say("%s", line)
	}
	if len(st.Behind) > 0 {
		sc.say("behind: %v", st.Behind)
	}
}
