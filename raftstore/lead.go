package raftstore

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// leadership turns Raft's notices of won and lost leadership into terms that
// begin after their barrier and one after the other.
//
// Raft blocks on a notice until it is read, and wins nothing before it has
// said what it lost. So a barrier that succeeds while the term's context is
// alive belongs to that term.
type leadership struct {
	lead    func(ctx context.Context, term uint64) // may be nil
	won     func()                                 // told first
	barrier func() error
	current func() uint64 // Raft's term
	retry   time.Duration
	logger  *slog.Logger

	mu     sync.Mutex
	closed bool
	cancel context.CancelFunc // of the running term, or nil
	last   chan struct{}      // closed once the last term's goroutine is done
	term   uint64             // 0 unless leading, after the barrier
	since  time.Time
}

// watch reads notices until stop is closed.
func (l *leadership) watch(notices <-chan bool, stop <-chan struct{}) {
	for {
		select {
		case won := <-notices:
			if won {
				l.won()
				l.begin(l.current())
			} else {
				l.end()
			}
		case <-stop:
			return
		}
	}
}

func (l *leadership) begin(term uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if l.cancel != nil {
		l.cancel()
	}
	ctx, cancel := context.WithCancel(context.Background())
	before, done := l.last, make(chan struct{})
	l.cancel, l.last, l.term = cancel, done, 0
	go func() {
		defer close(done)
		defer cancel()
		if before != nil {
			<-before
		}
		l.run(ctx, term)
	}()
}

func (l *leadership) run(ctx context.Context, term uint64) {
	for ctx.Err() == nil {
		err := l.barrier()
		if err == nil {
			break
		}
		if !errors.Is(err, raft.ErrEnqueueTimeout) && !errors.Is(err, raft.ErrLeadershipTransferInProgress) {
			l.logger.Debug("lost the leadership before it began", "term", term, "error", err)
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(l.retry):
		}
	}
	if !l.ready(ctx, term) {
		return
	}
	l.logger.Info("leading", "term", term)
	if l.lead != nil {
		l.lead(ctx, term)
	}
	<-ctx.Done()
	l.logger.Info("no longer leading", "term", term)
}

// ready publishes the term unless it is over.
func (l *leadership) ready(ctx context.Context, term uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	l.term, l.since = term, time.Now()
	return true
}

func (l *leadership) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.term = 0
	if l.cancel != nil {
		l.cancel()
		l.cancel = nil
	}
}

// close ends the running term for good and returns a channel that is closed
// once its Lead has returned.
func (l *leadership) close() <-chan struct{} {
	l.end()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.last == nil {
		l.last = make(chan struct{})
		close(l.last)
	}
	return l.last
}

// leading returns the term in which this server leads and since when, or false.
func (l *leadership) leading() (term uint64, since time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.term, l.since, l.term != 0
}

// Leading returns the term in which this server leads the group, if it does
// and the Machine has applied everything from before that term. It may lag
// behind a loss that this server hasn't noticed yet; Verify doesn't.
func (g *Group) Leading() (term uint64, ok bool) {
	term, _, ok = g.lead.leading()
	return term, ok
}

// Leader returns the server that leads as far as this one knows.
func (g *Group) Leader() (server string, ok bool) {
	_, id := g.raft.LeaderWithID()
	return string(id), id != ""
}
