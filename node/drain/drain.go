// Package drain is the way from a slice's outbox to the sink. It runs where the
// slice is led; the sink's checkpoint keeps two from writing at once.
package drain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tombola/allocator"
	"tombola/persist"
	"tombola/raftstore/outbox"
)

// Source is a slice's outbox.
type Source interface {
	First() uint64
	Last() uint64
	Wait(ctx context.Context, after uint64) error
	Read(from uint64, maxRecords, maxBytes int, b *outbox.Batch) error
}

// Sink is where events go. Its methods fail while it is away.
type Sink interface {
	Checkpoint(ctx context.Context, stream uint16) (uint64, error)
	Write(ctx context.Context, stream uint16, after uint64, rows []persist.Row) error
}

// Config is what a Drain is made of.
type Config struct {
	Slice   allocator.SliceNo
	Source  Source
	Sink    Sink
	PrizeID func(allocator.PrizeNo) (string, bool)
	// Sunk tells the slice how far the sink is, so that whoever leads next and
	// whoever trims the outbox know.
	Sunk func(ctx context.Context, seq uint64) error
	// Confirmed returns how far the slice knows the sink to be. It is what a
	// drain goes by until it has heard from the sink itself; may be nil.
	Confirmed func() uint64
	// Peers returns events from a sequence on, as encoded in the outbox, at
	// least one and none above to, from another server that keeps the slice.
	// Nil where there is none to ask.
	Peers func(ctx context.Context, from, to uint64) ([][]byte, error)
	// LookEvery is how often the sink's checkpoint is looked at while there is
	// nothing to write; 0 for ten seconds.
	LookEvery time.Duration
	Logger    *slog.Logger
}

// Sizes and times of draining.
const (
	maxRows     = 4000
	maxBytes    = 1 << 20
	linger      = 100 * time.Millisecond // gathers rows for a batch while it is not full: a transaction costs as much as many rows
	confirm     = time.Second            // how often the slice is told, and told again if that failed
	backoff     = 50 * time.Millisecond  // after a failure, doubled up to
	maxBackoff  = 2 * time.Second
	answerWait  = 10 * time.Second // for the checkpoint and for peers
	lookEvery   = 10 * time.Second
	remindEvery = 30 * time.Second // how often a failure that goes on is logged
)

// ErrAhead means that the sink's checkpoint is beyond the slice's last event:
// one of the two was restored from the wrong thing, and nothing is written.
var ErrAhead = errors.New("drain: the sink is ahead of the slice")

// ErrBehind means that the sink misses events that the outbox does not keep any
// more: it was restored to an older state than the retention covers.
var ErrBehind = errors.New("drain: the sink misses events that are not kept any more")

// Drain writes one slice's events to the sink. Run is for one goroutine, Status
// for anybody.
type Drain struct {
	cfg Config

	mu     sync.Mutex
	status Status
	logged time.Time
	said   bool // that the sink is away, since it last took all
}

// Status is how far a drain is.
type Status struct {
	Seq uint64 // the last event that the sink is known to have
	Err error  // what keeps it, nil while all is well
	// Since is when Err began, with whatever errors came after it.
	Since time.Time
}

// New returns a drain that does not run yet.
func New(cfg Config) *Drain {
	if cfg.LookEvery == 0 {
		cfg.LookEvery = lookEvery
	}
	return &Drain{cfg: cfg}
}

// Status returns how far the drain is.
func (d *Drain) Status() Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.status
}

// Run drains until ctx ends.
func (d *Drain) Run(ctx context.Context) {
	wait := backoff
	var ahead uint64
	d.begin()
	defer d.end()
	for ctx.Err() == nil {
		before := d.Status().Seq
		err := d.session(ctx, &ahead)
		if ctx.Err() != nil {
			return
		}
		if d.Status().Seq > before {
			wait = backoff
		}
		d.report(err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, maxBackoff)
	}
}

// begin forgets what an earlier leadership knew of the sink.
func (d *Drain) begin() {
	var seq uint64
	if d.cfg.Confirmed != nil {
		seq = d.cfg.Confirmed()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status, d.said = Status{Seq: seq}, false
}

// end leaves the sink's state to whoever leads next.
func (d *Drain) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status.Err, d.status.Since = nil, time.Time{}
}

// session drains from the sink's checkpoint on until something fails. ahead is
// a checkpoint that was beyond the last event, 0 for none: what lies behind it
// is not this slice's history, so that it is no better once the slice has
// granted as much. Only a checkpoint that somebody set back is.
func (d *Drain) session(ctx context.Context, ahead *uint64) error {
	at, err := d.checkpoint(ctx)
	if err != nil {
		return err
	}
	last := d.cfg.Source.Last()
	if at > last {
		*ahead = at
	}
	if *ahead > 0 && at >= *ahead {
		return fmt.Errorf("%w: checkpoint %d, last event %d", ErrAhead, at, last)
	}
	if at, err = d.catchUp(ctx, at); err != nil {
		return err
	}
	d.progress(at)
	var told time.Time
	looked := time.Now()
	var confirmed uint64
	var batch outbox.Batch
	var rows []persist.Row
	for {
		if d.cfg.Source.Last() == at {
			d.reached(at)
		}
		if confirmed < at && time.Since(told) >= confirm {
			if err := d.cfg.Sunk(ctx, at); err == nil {
				confirmed = at
			}
			told = time.Now()
		}
		patience := d.cfg.LookEvery
		if confirmed < at {
			patience = min(patience, confirm) // then the slice is told again
		}
		if more, err := d.gather(ctx, at, patience); err != nil {
			return err
		} else if !more {
			if time.Since(looked) >= d.cfg.LookEvery {
				if err := d.look(ctx, at); err != nil {
					return err
				}
				looked = time.Now()
			}
			continue
		}
		if err := d.cfg.Source.Read(at+1, maxRows, maxBytes, &batch); err != nil {
			return err
		}
		if rows, err = d.rows(&batch, rows[:0]); err != nil {
			return err
		}
		if len(rows) == 0 {
			continue
		}
		if err := d.cfg.Sink.Write(ctx, uint16(d.cfg.Slice), at, rows); err != nil {
			return err // a lost reply shows at the next session's checkpoint
		}
		at = batch.Next() - 1
		d.reached(at)
		looked = time.Now()
	}
}

// look finds out whether the sink is still where it was left: with nothing to
// write, nothing else would tell that it went away, or back to an older state.
func (d *Drain) look(ctx context.Context, at uint64) error {
	found, err := d.checkpoint(ctx)
	if err == nil && found != at {
		err = &persist.FencedError{Stream: uint16(d.cfg.Slice), Want: at, Found: found}
	}
	return err
}

// progress notes that the sink holds all events up to seq, be it that it takes
// no more.
func (d *Drain) progress(seq uint64) {
	d.mu.Lock()
	d.status.Seq = seq
	d.mu.Unlock()
}

// checkpoint asks the sink where it is. A database whose machine has vanished
// says nothing at all, and is not to be waited for: another may have its
// address by now.
func (d *Drain) checkpoint(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	return d.cfg.Sink.Checkpoint(ctx, uint16(d.cfg.Slice))
}

// gather waits for events, and a little longer for more of them. It reports
// whether there are any before patience ends.
func (d *Drain) gather(ctx context.Context, at uint64, patience time.Duration) (more bool, err error) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := d.cfg.Source.Wait(waiting, at); err != nil {
		if waiting.Err() != nil && ctx.Err() == nil {
			return false, nil
		}
		return false, err
	}
	if d.cfg.Source.Last()-at >= maxRows {
		return true, nil
	}
	timer := time.NewTimer(linger)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-timer.C:
		return true, nil
	}
}

func (d *Drain) rows(batch *outbox.Batch, rows []persist.Row) ([]persist.Row, error) {
	for _, payload := range batch.Payloads {
		e, err := allocator.DecodeEvent(payload)
		if err != nil {
			return nil, fmt.Errorf("drain: slice %d: %w", d.cfg.Slice, err)
		}
		id, ok := d.cfg.PrizeID(e.Prize)
		if !ok {
			return nil, fmt.Errorf("drain: slice %d: event %d is of unknown prize %d", d.cfg.Slice, e.Seq, e.Prize)
		}
		rows = append(rows, persist.Row{Event: e, Prize: id})
	}
	return rows, nil
}

// reached notes that the sink holds all events up to seq, and takes more.
func (d *Drain) reached(seq uint64) {
	d.mu.Lock()
	since, said := d.status.Since, d.said
	d.status, d.said = Status{Seq: seq}, false
	d.mu.Unlock()
	if said {
		d.cfg.Logger.Info("the sink takes grants again", "slice", d.cfg.Slice,
			"away", time.Since(since).Round(time.Millisecond), "behind", d.cfg.Source.Last()-seq)
	}
}

// report keeps what failed for operators to see, and logs it now and then.
func (d *Drain) report(err error) {
	d.mu.Lock()
	d.status.Err = err
	if d.status.Since.IsZero() {
		d.status.Since = time.Now()
	}
	say := time.Since(d.logged) >= remindEvery
	if say {
		d.logged = time.Now()
		d.said = d.said || !errors.Is(err, persist.ErrFenced)
	}
	seq := d.status.Seq
	d.mu.Unlock()
	if !say {
		return
	}
	if errors.Is(err, persist.ErrFenced) {
		d.cfg.Logger.Info("another writer moved the sink's checkpoint", "slice", d.cfg.Slice, "err", err)
		return
	}
	d.cfg.Logger.Error("the sink does not take grants; they wait in the outbox",
		"slice", d.cfg.Slice, "behind", d.cfg.Source.Last()-seq, "err", err)
}
