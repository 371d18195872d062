package raftstore

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// errSnapshotsLost is wrapped when what is left of snapshots and log is less
// than what this server has acknowledged. It must not vote with that.
var errSnapshotsLost = errors.New("snapshots are damaged and the log does not reach back to a good one: give this server a new, empty data directory")

// keptSnapshots is the snapshot store at start. Raft goes back to an older
// snapshot where the newest can't be read; this makes sure that the log leads
// on from there to where the newest one was, and else refuses.
type keptSnapshots struct {
	raft.SnapshotStore
	dir     string // where the snapshots are
	log     raft.LogStore
	logger  *slog.Logger
	started atomic.Bool // Raft runs: what is opened is for a follower
	bad     []error     // what was wrong with those that were tried
}

// check refuses what Raft would not even look at: a log that begins late, or
// snapshots none of which has metadata that can be read.
func (k *keptSnapshots) check() error {
	readable, err := k.List()
	if err != nil {
		return fmt.Errorf("list snapshots: %w", err)
	}
	if len(readable) > 0 {
		return nil
	}
	newest, err := k.newest()
	if err != nil {
		return err
	}
	first, err := k.log.FirstIndex()
	if err != nil {
		return err
	}
	// An empty log begins with the first entry.
	if err := k.covered(0, max(newest, first)); err != nil {
		return fmt.Errorf("%s: no snapshot can be read, and %w", k.dir, err)
	}
	return k.setAside(0)
}

// Open implements raft.SnapshotStore.
func (k *keptSnapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, data, err := k.SnapshotStore.Open(id)
	if k.started.Load() {
		return meta, data, err
	}
	if err == nil {
		if err = k.leadsOn(meta.Index); err != nil {
			_ = data.Close()
		}
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", filepath.Join(k.dir, id), err)
		k.bad = append(k.bad, err)
		k.logger.Error("a snapshot can't be used", "error", err)
		return nil, nil, err
	}
	return meta, data, nil
}

// lost says why Raft found no snapshot to begin with, nil if it was not that.
func (k *keptSnapshots) lost() error {
	if len(k.bad) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", errSnapshotsLost, errors.Join(k.bad...))
}

// leadsOn makes sure that nothing is lost by beginning with the snapshot at
// index, and puts newer ones, which can't be read, out of the way.
func (k *keptSnapshots) leadsOn(index uint64) error {
	newest, err := k.newest()
	if err != nil {
		return err
	}
	if err := k.covered(index, newest); err != nil {
		return err
	}
	return k.setAside(index)
}

// covered reports, as an error, the first entry after one index and up to
// another one that the log lacks.
func (k *keptSnapshots) covered(after, upTo uint64) error {
	for i := after + 1; i <= upTo; i++ {
		err := k.log.GetLog(i, new(raft.Log))
		if errors.Is(err, raft.ErrLogNotFound) {
			return fmt.Errorf("the log has no entry %d: %w", i, errSnapshotsLost)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// newest returns the index of the newest snapshot, readable or not.
func (k *keptSnapshots) newest() (newest uint64, err error) {
	return newest, k.each(func(_ string, index uint64) error {
		newest = max(newest, index)
		return nil
	})
}

// setAside moves snapshots that are newer than index to where they are not
// taken for such any more: they are for people to look at.
func (k *keptSnapshots) setAside(index uint64) error {
	return k.each(func(name string, at uint64) error {
		if at <= index {
			return nil
		}
		to := filepath.Join(filepath.Dir(k.dir), "damaged-"+name)
		k.logger.Error("a damaged snapshot is set aside; the log has what was in it", "snapshot", name, "to", to)
		if err := os.Rename(filepath.Join(k.dir, name), to); err != nil {
			return fmt.Errorf("set a damaged snapshot aside: %w", err)
		}
		return errors.Join(syncDir(k.dir), syncDir(filepath.Dir(k.dir)))
	})
}

// each calls f with every snapshot's name and the index in it. The name is
// term, index and time.
func (k *keptSnapshots) each(f func(name string, index uint64) error) error {
	found, err := os.ReadDir(k.dir)
	if err != nil {
		return fmt.Errorf("list snapshots: %w", err)
	}
	for _, entry := range found {
		parts := strings.Split(entry.Name(), "-")
		if len(parts) != 3 {
			continue
		}
		index, err := strconv.ParseUint(parts[1], 10, 64)
		if err != nil {
			continue
		}
		if err := f(entry.Name(), index); err != nil {
			return err
		}
	}
	return nil
}
