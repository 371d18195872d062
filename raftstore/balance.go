package raftstore

import (
	"log/slog"
	"sync"
	"time"
)

// Measures of patience, in election timeouts: long enough that a leadership
// that moves by itself is left to settle, short enough that a restarted
// server has its share back within seconds.
const (
	balanceSettle = 8   // led that long before it is given away
	balanceRetry  = 8   // between the first attempts, then doubling
	balanceCalm   = 128 // the longest wait between attempts
)

// Prefer names the server that should lead the group; "" leaves it to
// elections. While another server leads, that one hands over once it has led
// for a few seconds and the preferred one answers and is up to date. Only the
// leader's own preference counts; attempts become rare when the leadership
// keeps coming back, so servers that disagree don't pass it to and fro.
func (g *Group) Prefer(server string) { g.balance.prefer(server) }

// balance gives the leadership to the preferred server.
type balance struct {
	local    string
	election time.Duration
	leading  func() (term uint64, since time.Time, ok bool)
	ready    func(server string) bool // it answers, is up to date and may lead
	transfer func(server string) error
	logger   *slog.Logger

	mu        sync.Mutex
	preferred string

	// The rest belongs to step's goroutine.
	wait time.Duration // before the attempt after the next
	next time.Time     // no attempt before this
	idle time.Time     // since when this server hasn't led; zero while it does
}

func (b *balance) prefer(server string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.preferred = server
}

func (b *balance) run(stop <-chan struct{}) {
	ticker := time.NewTicker(b.election)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case now := <-ticker.C:
			b.step(now)
		}
	}
}

// step tries a transfer if one is due.
func (b *balance) step(now time.Time) {
	b.mu.Lock()
	to := b.preferred
	b.mu.Unlock()
	term, since, leads := b.leading()
	if !leads {
		if b.idle.IsZero() {
			b.idle = now
		}
		if now.Sub(b.idle) >= balanceCalm*b.election {
			b.wait = 0 // the last transfer has held
		}
		return
	}
	b.idle = time.Time{}
	if to == "" || to == b.local || now.Before(b.next) ||
		now.Sub(since) < balanceSettle*b.election || !b.ready(to) {
		return
	}
	b.wait = min(max(2*b.wait, balanceRetry*b.election), balanceCalm*b.election)
	b.next = now.Add(b.wait)
	b.logger.Info("handing the leadership to the preferred server", "to", to, "term", term)
	if err := b.transfer(to); err != nil {
		b.logger.Warn("handing over the leadership failed", "to", to, "error", err, "retry_in", b.wait)
	}
}
