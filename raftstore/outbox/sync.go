package outbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	syncedName  = "synced"
	syncedMagic = "TOBP"
	syncedLen   = 4 + 2 + 2 + 8 + 8 + 8 + sumLen
)

// syncPoint is how far everything is on the disk: up to an offset of a segment,
// and with it every older segment. The zero value means nowhere.
type syncPoint struct {
	segment uint64 // the segment's first sequence
	off     int64
	last    uint64 // the last sequence before off
}

// Sync waits until all that was appended before the call is on the disk. It
// does not hold up Append. After an error of the flush itself the outbox
// accepts nothing more.
func (o *Outbox) Sync() error {
	o.syncMu.Lock()
	defer o.syncMu.Unlock()
	o.mu.RLock()
	closed := o.state.closed
	o.mu.RUnlock()
	if closed {
		return ErrClosed
	}
	return o.syncLocked()
}

// syncLocked is Sync for a caller that holds syncMu.
func (o *Outbox) syncLocked() error {
	type open struct {
		*segment
		file file
	}
	var pending []open
	o.mu.RLock()
	for _, s := range o.state.segments {
		if s.file != nil {
			pending = append(pending, open{s, s.file})
		}
	}
	failed := o.state.failed
	active := o.state.active()
	point := syncPoint{segment: active.first, off: active.size, last: o.state.last}
	o.mu.RUnlock()
	if failed != nil {
		return failed
	}
	if point == o.synced {
		return nil
	}
	for _, s := range pending {
		if err := s.file.Sync(); err != nil {
			return o.fail(fmt.Errorf("outbox: flush %s: %w", s.path, err))
		}
	}
	if err := syncDir(o.opts.Dir); err != nil {
		return o.fail(fmt.Errorf("outbox: flush %s: %w", o.opts.Dir, err))
	}
	// The old sync point stays true when the new one can't be written.
	if err := o.saveSyncPoint(point); err != nil {
		return err
	}
	// All but the last were full when we began, so nothing can have been added.
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range pending[:len(pending)-1] {
		if err := s.file.Close(); err != nil {
			o.log.Warn("outbox: close a flushed segment", "file", s.path, "error", err)
		}
		s.segment.file = nil
	}
	return nil
}

// fail remembers that a flush failed: the system may have dropped the pages, so
// that a second flush would succeed without them.
func (o *Outbox) fail(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.state.failed = err
	return err
}

// saveSyncPoint writes the file "synced". The caller holds syncMu.
func (o *Outbox) saveSyncPoint(p syncPoint) error {
	err := writeAtomic(filepath.Join(o.opts.Dir, syncedName), encodeSyncPoint(o.opts.Tag, p), true)
	if err == nil {
		err = syncDir(o.opts.Dir)
	}
	if err != nil {
		return fmt.Errorf("outbox: save how far %s is flushed: %w", o.opts.Dir, err)
	}
	o.synced = p
	return nil
}

func encodeSyncPoint(tag uint16, p syncPoint) []byte {
	b := append(make([]byte, 0, syncedLen), syncedMagic...)
	b = binary.LittleEndian.AppendUint16(b, formatVersion)
	b = binary.LittleEndian.AppendUint16(b, tag)
	b = binary.LittleEndian.AppendUint64(b, p.segment)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.off))
	b = binary.LittleEndian.AppendUint64(b, p.last)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli()))
}

func decodeSyncPoint(b []byte, tag uint16) (syncPoint, error) {
	if len(b) != syncedLen || string(b[:4]) != syncedMagic ||
		binary.LittleEndian.Uint32(b[syncedLen-sumLen:]) != crc32.Checksum(b[:syncedLen-sumLen], castagnoli()) {
		return syncPoint{}, ErrCorrupt
	}
	if v := binary.LittleEndian.Uint16(b[4:]); v != formatVersion {
		return syncPoint{}, fmt.Errorf("%w: %d", ErrVersion, v)
	}
	if got := binary.LittleEndian.Uint16(b[6:]); got != tag {
		return syncPoint{}, fmt.Errorf("%w: tag %d, want %d", ErrForeign, got, tag)
	}
	return syncPoint{
		segment: binary.LittleEndian.Uint64(b[8:]),
		off:     int64(binary.LittleEndian.Uint64(b[16:])),
		last:    binary.LittleEndian.Uint64(b[24:]),
	}, nil
}

// loadSyncPoint reads the file "synced"; without one it returns the zero value.
func loadSyncPoint(dir string, tag uint16) (syncPoint, error) {
	path := filepath.Join(dir, syncedName)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return syncPoint{}, nil
	}
	if err != nil {
		return syncPoint{}, err
	}
	p, err := decodeSyncPoint(b, tag)
	if err != nil {
		return syncPoint{}, fmt.Errorf("%w: %s: offset 0: not a sync point", err, path)
	}
	return p, nil
}
