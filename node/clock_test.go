package node

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"tombola/allocator"
	"tombola/httpapi"
	"tombola/httpapi/wire"
)

// Three servers whose clocks were an hour ahead together have granted. Once
// their clocks are right nothing is decided for an hour, unless an operator says
// that time may go back.
func TestAGroupAheadOfTheTimeWaitsForItOrForAnOperator(t *testing.T) {
	cfgs := three(t)
	file := filepath.Join(t.TempDir(), "clock")
	set := func(by time.Duration) {
		if err := os.WriteFile(file+".next", []byte(by.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".next", file); err != nil {
			t.Fatal(err)
		}
	}
	set(time.Hour)
	run := func(accept time.Time) (nodes []*Node) {
		for i := range cfgs {
			cfgs[i].ChaosClockFile, cfgs[i].Timing.AcceptClockBack = file, accept
			nodes = append(nodes, start(t, cfgs[i]))
		}
		for _, n := range nodes {
			ready(t, n)
		}
		return nodes
	}
	endAll := func(nodes []*Node) {
		for _, n := range nodes {
			end(t, n)
		}
	}
	// Users whose home slices cover all three; each draws with a request id.
	users := []string{"ada", "bob", "cid", "dan", "eve", "fay", "gus", "hal", "ivy", "joe"}
	try := func(n *Node, user, request string, wait time.Duration) httpapi.Draw {
		d := httpapi.Draw{Prize: []byte("tea"), User: []byte(user), RequestID: []byte(request), Timeout: wait}
		n.backend.Draw(&d)
		return d
	}

	nodes := run(time.Time{})
	spec := wire.PrizeSpec{Kind: wire.KindCounter, Total: 1000, Timezone: "UTC"}
	if _, _, err := nodes[0].backend.PutPrize(t.Context(), "tea", spec, wire.Change{Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	ahead := time.Now().Add(30 * time.Minute)
	for i, user := range users {
		if d := try(nodes[i%3], user, "1", patience); d.Outcome != wire.Granted || !wire.Time(d.GrantedAt).Time().After(ahead) {
			t.Fatalf("%v %v: granted at %s", d.Outcome, d.Problem, wire.Time(d.GrantedAt))
		}
	}
	set(0)
	await(t, "the servers have the right time", func() bool {
		for _, n := range nodes {
			if now, ok := n.guard.Now(); !ok || now.After(ahead) {
				return false
			}
		}
		return true
	})
	for i, user := range users {
		// Where the answer of another server comes too late, that is not known.
		if d := try(nodes[i%3], user, "2", 200*time.Millisecond); d.Problem != wire.CodeTimeout && d.Problem != wire.CodeUnknownOutcome {
			t.Fatalf("a draw comes to %v, %v: %s", d.Outcome, d.Problem, d.Detail)
		}
	}
	await(t, "it is said that a group is ahead, by ready servers", func() bool {
		said := false
		for _, n := range nodes {
			r := n.backend.Ready(t.Context())
			for _, c := range r.Checks {
				said = said || r.Ready && c.Name == "dated" && !c.OK && c.Detail != ""
			}
		}
		return said
	})
	endAll(nodes)

	nodes = run(time.Now().Add(time.Hour))
	await(t, "no group is ahead any more, drawn or not", func() bool {
		for _, n := range nodes {
			last := allocator.Micros(0)
			n.bank.Machine.Read(func(s *allocator.Bank) { last = s.Now() })
			for _, slice := range n.slices {
				slice.Machine.Read(func(s *allocator.Slice) { last = max(last, s.Now()) })
			}
			if last.Time().After(ahead) {
				return false
			}
		}
		return true
	})
	for i, user := range users {
		d := try(nodes[i%3], user, "2", patience)
		if at := wire.Time(d.GrantedAt).Time(); d.Outcome != wire.Granted || d.Repeat || at.After(ahead) {
			t.Fatalf("%v, %v: granted at %s", d.Outcome, d.Problem, at)
		}
		if d := try(nodes[i%3], user, "1", patience); d.Outcome != wire.Granted || !d.Repeat {
			t.Fatalf("%v, %v: repeat %t", d.Outcome, d.Problem, d.Repeat)
		}
	}
	endAll(nodes)

	// What was granted since is dated right: nobody has to say it again.
	nodes = run(time.Time{})
	for i, user := range users {
		if d := try(nodes[i%3], user, "3", patience); d.Outcome != wire.Granted {
			t.Fatalf("%v, %v: %s", d.Outcome, d.Problem, d.Detail)
		}
	}
	verified(t, nodes[0])
	endAll(nodes)
}
