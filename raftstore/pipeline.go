package raftstore

import (
	"sync"

	"github.com/hashicorp/raft"
)

// AppendEntriesPipeline implements raft.Transport.
func (t *transport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	inner, err := t.NetworkTransport.AppendEntriesPipeline(id, target)
	if err != nil {
		return nil, err
	}
	return newPipeline(inner), nil
}

// pipeline takes answers off Raft's own pipeline as they come. Raft reads them
// no longer once a follower has refused an entry; if it is just sending another
// one then, for which the pipeline has no room, neither would ever go on: the
// follower would be sent nothing any more while this server leads, and Raft
// could not be shut down.
type pipeline struct {
	raft.AppendPipeline
	answers chan raft.AppendFuture
	over    chan struct{}
	once    sync.Once
}

func newPipeline(inner raft.AppendPipeline) *pipeline {
	p := &pipeline{AppendPipeline: inner, answers: make(chan raft.AppendFuture), over: make(chan struct{})}
	go p.run()
	return p
}

// run passes answers on until Close. No more of them wait than were sent, which
// Raft stops doing when it reads none.
func (p *pipeline) run() {
	var waiting []raft.AppendFuture
	for {
		var out chan<- raft.AppendFuture
		var next raft.AppendFuture
		if len(waiting) > 0 {
			out, next = p.answers, waiting[0]
		}
		select {
		case a := <-p.AppendPipeline.Consumer():
			waiting = append(waiting, a)
		case out <- next:
			waiting = waiting[1:]
		case <-p.over:
			return
		}
	}
}

// Consumer implements raft.AppendPipeline.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.answers }

// Close implements raft.AppendPipeline.
func (p *pipeline) Close() error {
	p.once.Do(func() { close(p.over) })
	return p.AppendPipeline.Close()
}
