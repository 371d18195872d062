package outbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Trim deletes the segments whose records are all before a sequence. The newest
// segment always stays, so First may remain well below before. Readers inside a
// deleted segment get ErrTrimmed at their next step.
func (o *Outbox) Trim(before uint64) error {
	o.syncMu.Lock()
	defer o.syncMu.Unlock()
	victims, err := o.trimmable(before)
	if err != nil || len(victims) == 0 {
		return err
	}
	// The segment that becomes the oldest must be on the disk before those that
	// lead up to it are gone, or a crash could leave an outbox that begins
	// nowhere.
	if victims[len(victims)-1].first >= o.synced.segment {
		if err := o.syncLocked(); err != nil {
			return err
		}
	}
	for _, v := range victims {
		// Out of the readers' sight first. Nobody but us, holding syncMu,
		// shortens the list.
		o.mu.Lock()
		o.state.segments = o.state.segments[1:]
		o.mu.Unlock()
		if err := v.remove(); err != nil {
			o.mu.Lock()
			o.state.segments = append([]*segment{v}, o.state.segments...)
			o.mu.Unlock()
			return fmt.Errorf("outbox: trim %s: %w", v.path, err)
		}
	}
	return nil
}

// trimmable lists the oldest segments without a record from before on.
func (o *Outbox) trimmable(before uint64) ([]*segment, error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if o.state.closed {
		return nil, ErrClosed
	}
	var victims []*segment
	for i, s := range o.state.segments[:len(o.state.segments)-1] {
		if o.state.segments[i+1].first > before {
			break
		}
		victims = append(victims, s)
	}
	return victims, nil
}

// OlderThan returns a sequence for Trim: everything before it is in segments
// that were last written before t. It serves a retention by time.
func (o *Outbox) OlderThan(t time.Time) (uint64, error) {
	o.mu.RLock()
	segments := o.state.segments
	o.mu.RUnlock()
	for _, s := range segments[:len(segments)-1] {
		info, err := os.Stat(s.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // trimmed since we looked
		}
		if err != nil {
			return 0, fmt.Errorf("outbox: age of %s: %w", s.path, err)
		}
		if !info.ModTime().Before(t) {
			return s.first, nil
		}
	}
	return segments[len(segments)-1].first, nil
}

// Reset drops every record and begins again: next is the sequence that comes
// next. It is for a replica whose history continues elsewhere, after it was
// given a snapshot. When it returns nil the new beginning is on the disk. A
// crash in between leaves the newest of the old segments, or nothing: the owner
// resets again.
func (o *Outbox) Reset(next uint64) error {
	o.writeMu.Lock()
	defer o.writeMu.Unlock()
	return o.reset(next)
}

// reset is Reset for a caller that holds writeMu.
func (o *Outbox) reset(next uint64) error {
	if next == 0 {
		return errors.New("outbox: reset: sequences begin at 1")
	}
	if _, err := o.writable(); err != nil {
		return err
	}
	o.syncMu.Lock()
	defer o.syncMu.Unlock()
	if err := o.restart(next); err != nil {
		// Half of the old files may be gone, so what memory says is no longer
		// true.
		return o.fail(fmt.Errorf("outbox: reset to %d: %w", next, err))
	}
	return nil
}

// restart does the work of reset. The oldest files go first, so that what a
// crash leaves is an outbox without gaps.
func (o *Outbox) restart(next uint64) error {
	err := os.Remove(filepath.Join(o.opts.Dir, syncedName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := syncDir(o.opts.Dir); err != nil {
		return err
	}
	o.synced = syncPoint{}
	o.mu.RLock()
	old := o.state.segments
	o.mu.RUnlock()
	for _, s := range old {
		if err := s.remove(); err != nil {
			return err
		}
	}
	fresh, err := o.createSegment(next)
	if err != nil {
		return err
	}
	o.mu.Lock()
	o.state.segments = []*segment{fresh}
	o.state.last = next - 1
	o.state.wake()
	err = closeFiles(old)
	o.mu.Unlock()
	o.writer.torn, o.writer.index = false, indexer{next: headerLen}
	if err != nil {
		o.log.Warn("outbox: close what was reset", "error", err)
	}
	return o.syncLocked()
}
