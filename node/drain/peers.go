package drain

import (
	"context"
	"errors"
	"fmt"

	"tombola/allocator"
	"tombola/persist"
	"tombola/raftstore/outbox"
)

// errNoPeers means that no other server keeps the slice.
var errNoPeers = errors.New("no other server keeps the slice")

// catchUp writes what the sink misses and this server's outbox does not keep:
// a replica that was restored from a snapshot begins after what the sink had
// confirmed, and a database may fail over to an older state than that. Every
// replica has the same events, so any that keeps them will do, and the
// checkpoint sees to it that each is written once. It returns how far the sink
// is then.
func (d *Drain) catchUp(ctx context.Context, at uint64) (uint64, error) {
	var rows []persist.Row
	for first := d.cfg.Source.First(); at+1 < first; first = d.cfg.Source.First() {
		batch, err := d.borrow(ctx, at+1, first-1)
		if err != nil {
			return at, fmt.Errorf("%w: events %d to %d: checkpoint %d, first event kept %d: %w",
				ErrBehind, at+1, first-1, at, first, err)
		}
		if rows, err = d.rows(batch, rows[:0]); err != nil {
			return at, err
		}
		if err := d.cfg.Sink.Write(ctx, uint16(d.cfg.Slice), at, rows); err != nil {
			return at, err
		}
		at = batch.Next() - 1
		d.progress(at)
		d.cfg.Logger.Info("events that the sink had lost were sent again from another server's outbox",
			"slice", d.cfg.Slice, "from", batch.First, "to", at)
	}
	return at, nil
}

// borrow gets events from another server, and checks that they are those asked
// for.
func (d *Drain) borrow(ctx context.Context, from, to uint64) (*outbox.Batch, error) {
	if d.cfg.Peers == nil {
		return nil, errNoPeers
	}
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	payloads, err := d.cfg.Peers(ctx, from, to)
	if err != nil {
		return nil, err
	}
	if n := uint64(len(payloads)); n == 0 || n > to-from+1 {
		return nil, fmt.Errorf("drain: another server sent %d events for %d to %d", n, from, to)
	}
	for i, payload := range payloads {
		e, err := allocator.DecodeEvent(payload)
		if err != nil {
			return nil, fmt.Errorf("drain: another server's event: %w", err)
		}
		if want := from + uint64(i); e.Seq != want {
			return nil, fmt.Errorf("drain: another server sent event %d for %d", e.Seq, want)
		}
	}
	return &outbox.Batch{First: from, Payloads: payloads}, nil
}
