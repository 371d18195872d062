package raftstore

import (
	"testing"

	"github.com/hashicorp/raft"
)

// fakePipeline hands over answers, each only when it is taken.
type fakePipeline struct {
	raft.AppendPipeline
	answers chan raft.AppendFuture
}

func (f fakePipeline) Consumer() <-chan raft.AppendFuture { return f.answers }

func (fakePipeline) Close() error { return nil }

type fakeAnswer struct {
	raft.AppendFuture
	number int
}

func TestAnswersOfAPipelineAreTakenThoughNobodyReadsThem(t *testing.T) {
	inner := fakePipeline{answers: make(chan raft.AppendFuture)}
	p := newPipeline(inner)
	for i := range 5 {
		inner.answers <- fakeAnswer{number: i} // hangs unless it is taken
	}
	for i := range 5 {
		if a := (<-p.Consumer()).(fakeAnswer); a.number != i {
			t.Errorf("answer %d came as number %d", a.number, i)
		}
	}
	inner.answers <- fakeAnswer{} // left, and no goroutine with it
	for range 2 {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}
