package node

import (
	"testing"

	"tombola/allocator"
	"tombola/node/backend"
	"tombola/raftstore/outbox"
)

func TestAServerAnswersWithTheEventsThatItKeeps(t *testing.T) {
	box, err := outbox.Open(outbox.Options{Dir: t.TempDir(), Tag: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	if err := box.Reset(11); err != nil {
		t.Fatal(err)
	}
	if err := box.Append(11, [][]byte{[]byte("a"), []byte("b"), []byte("c")}); err != nil {
		t.Fatal(err)
	}
	n := &Node{slices: map[allocator.SliceNo]*backend.Slice{1: {No: 1, Outbox: box}}}
	ask := func(slice allocator.SliceNo, from, to uint64) (string, error) {
		r, err := n.answerEvents(t.Context(), uint16(slice), eventsRequest{Slice: slice, From: from, To: to})
		text := ""
		for _, e := range r.Events {
			text += string(e)
		}
		return text, err
	}
	if got, err := ask(1, 11, 12); got != "ab" || err != nil {
		t.Errorf("events 11 and 12: %q, %v", got, err)
	}
	if got, err := ask(1, 12, 99); got != "bc" || err != nil {
		t.Errorf("events from 12 on: %q, %v", got, err)
	}
	for _, r := range []struct {
		slice    allocator.SliceNo
		from, to uint64
	}{{1, 10, 12}, {1, 14, 20}, {1, 12, 11}, {2, 11, 12}} {
		if got, err := ask(r.slice, r.from, r.to); err == nil {
			t.Errorf("events %d to %d of slice %d: %q", r.from, r.to, r.slice, got)
		}
	}
}
