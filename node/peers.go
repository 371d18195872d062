package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tombola/allocator"
	"tombola/node/ask"
	"tombola/raftstore/outbox"
)

// askEvents asks a server that keeps a slice, leading it or not, for events of
// its outbox.
const askEvents = "slice/events"

// Bounds on one answer.
const (
	peerEvents = 4000
	peerBytes  = 512 << 10
	peerWait   = 3 * time.Second // for one server
)

type eventsRequest struct {
	Slice    allocator.SliceNo `json:"slice"`
	From, To uint64
}

type eventsResponse struct {
	Events [][]byte `json:"events"`
}

// answerEvents reads what another server's outbox does not keep any more.
func (n *Node) answerEvents(_ context.Context, _ uint16, r eventsRequest) (eventsResponse, error) {
	s := n.slices[r.Slice]
	if s == nil {
		return eventsResponse{}, fmt.Errorf("node: slice %d is not kept here", r.Slice)
	}
	if r.To < r.From || r.From > s.Outbox.Last() {
		return eventsResponse{}, fmt.Errorf("node: slice %d: events %d to %d are not here", r.Slice, r.From, r.To)
	}
	var b outbox.Batch
	err := s.Outbox.Read(r.From, int(min(r.To-r.From+1, peerEvents)), peerBytes, &b)
	return eventsResponse{Events: b.Payloads}, err
}

// peers asks the slice's other servers, one after the other, for events that
// this one does not keep.
func (n *Node) peers(no allocator.SliceNo, servers []string) func(context.Context, uint64, uint64) ([][]byte, error) {
	return func(ctx context.Context, from, to uint64) ([][]byte, error) {
		errs := []error{errors.New("no other server keeps them")}
		for _, server := range servers {
			if server == n.members.ServerID() {
				continue
			}
			events, err := n.eventsOf(ctx, server, eventsRequest{Slice: no, From: from, To: to})
			if err == nil && len(events) > 0 {
				return events, nil
			}
			if err != nil {
				errs = append(errs, err)
			}
		}
		return nil, errors.Join(errs...)
	}
}

func (n *Node) eventsOf(ctx context.Context, server string, r eventsRequest) ([][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, peerWait)
	defer cancel()
	var answer eventsResponse
	err := n.caller.Call(ctx, server, uint16(r.Slice), askEvents, r, &answer)
	return answer.Events, err
}

// servePeers registers the answer.
func (n *Node) servePeers(asker *ask.Asker) { ask.Handle(asker, askEvents, n.answerEvents) }
