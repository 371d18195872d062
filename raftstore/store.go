package raftstore

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

const (
	logFile = "raft.db"
	// mapBytes is mapped ahead so that a growing file rarely has to be mapped
	// again, which waits for every reader. It costs address space only.
	mapBytes = 256 << 20
	// lockTime is how long to wait for another process to let go of the file.
	lockTime = 2 * time.Second
	// retained snapshots: the last one, and one more in case it can't be read.
	retainedSnapshots = 2
)

// store is a group's log and its terms and votes in one bbolt file. It counts
// what is appended and reports every failure to write: Raft itself would go on
// with a log that it can't trust. Errors to read are reported too, but for a
// missing entry, which is how Raft learns that a snapshot is needed.
type store struct {
	bolt     backing
	fail     func(error)
	stall    watchdog
	appended atomic.Int64 // bytes of entries since the process started
}

// backing is the bbolt file.
type backing interface {
	raft.LogStore
	raft.StableStore
	Sync() error
	Close() error
}

// openStore opens or creates the file and returns once it would survive a
// crash.
func openStore(dir string, fail func(error), stall watchdog) (*store, error) {
	touched, err := makeDir(dir)
	if err != nil {
		return nil, fmt.Errorf("create directory: %w", err)
	}
	path := filepath.Join(dir, logFile)
	if err := checkFile(path); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	bolt, err := raftboltdb.New(raftboltdb.Options{
		Path: path,
		BoltOptions: &bbolt.Options{
			Timeout: lockTime,
			// The list of free pages is rebuilt at start instead of being
			// written with every commit.
			NoFreelistSync:  true,
			FreelistType:    bbolt.FreelistMapType,
			InitialMmapSize: mapBytes,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("open log: %s: %w", path, err)
	}
	s := &store{bolt: bolt, fail: fail, stall: stall}
	if err := s.settle(touched); err != nil {
		return nil, errors.Join(err, bolt.Close())
	}
	return s, nil
}

// makeDir creates dir and its missing parents. It returns the directories
// whose entries must be synced: dir, those that were created and the one that
// they were created in, and in any case dir's parent.
func makeDir(dir string) (touched []string, err error) {
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		touched = append(touched, d)
		_, err := os.Stat(d)
		if err == nil && len(touched) > 1 || filepath.Dir(d) == d {
			break
		}
	}
	return touched, os.MkdirAll(dir, 0o700)
}

// settle makes the file and its directories' entries durable.
func (s *store) settle(dirs []string) error {
	if err := s.bolt.Sync(); err != nil {
		return fmt.Errorf("sync log: %w", err)
	}
	for _, d := range dirs {
		if err := syncDir(d); err != nil {
			return fmt.Errorf("sync directory: %w", err)
		}
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// removeTorn removes snapshots that a crash left unfinished; the snapshot
// store would keep them for ever.
func removeTorn(dir string) error {
	torn, err := filepath.Glob(filepath.Join(dir, "snapshots", "*.tmp"))
	if err != nil {
		return err
	}
	for _, path := range torn {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove unfinished snapshot: %w", err)
		}
	}
	return nil
}

func (s *store) close() error {
	if err := s.bolt.Close(); err != nil {
		return fmt.Errorf("close log: %w", err)
	}
	return nil
}

// write does what waits for the disk, watched.
func (s *store) write(what string, do func() error) error {
	w := s.stall.begin("log store: " + what)
	err := do()
	w.end()
	return s.check(what, err)
}

func (s *store) check(what string, err error) error {
	if err != nil {
		s.fail(fmt.Errorf("log store: %s: %w", what, err))
	}
	return err
}

// FirstIndex implements raft.LogStore.
func (s *store) FirstIndex() (uint64, error) {
	i, err := s.bolt.FirstIndex()
	return i, s.check("first index", err)
}

// LastIndex implements raft.LogStore.
func (s *store) LastIndex() (uint64, error) {
	i, err := s.bolt.LastIndex()
	return i, s.check("last index", err)
}

// GetLog implements raft.LogStore.
func (s *store) GetLog(index uint64, entry *raft.Log) error {
	err := s.bolt.GetLog(index, entry)
	if errors.Is(err, raft.ErrLogNotFound) {
		return err
	}
	return s.check("read", err)
}

// StoreLog implements raft.LogStore.
func (s *store) StoreLog(entry *raft.Log) error { return s.StoreLogs([]*raft.Log{entry}) }

// StoreLogs implements raft.LogStore.
func (s *store) StoreLogs(entries []*raft.Log) error {
	if err := s.write("append", func() error { return s.bolt.StoreLogs(entries) }); err != nil {
		return err
	}
	for _, e := range entries {
		s.appended.Add(int64(len(e.Data)))
	}
	return nil
}

// DeleteRange implements raft.LogStore.
func (s *store) DeleteRange(first, last uint64) error {
	return s.write("delete", func() error { return s.bolt.DeleteRange(first, last) })
}

// Set implements raft.StableStore.
func (s *store) Set(key, value []byte) error {
	return s.write("set", func() error { return s.bolt.Set(key, value) })
}

// Get implements raft.StableStore.
func (s *store) Get(key []byte) ([]byte, error) {
	v, err := s.bolt.Get(key)
	return v, s.checkFound(err)
}

// SetUint64 implements raft.StableStore.
func (s *store) SetUint64(key []byte, value uint64) error {
	return s.write("set", func() error { return s.bolt.SetUint64(key, value) })
}

// GetUint64 implements raft.StableStore.
func (s *store) GetUint64(key []byte) (uint64, error) {
	v, err := s.bolt.GetUint64(key)
	return v, s.checkFound(err)
}

// checkFound leaves ErrKeyNotFound as it is: Raft compares its text.
func (s *store) checkFound(err error) error {
	if errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return err
	}
	return s.check("get", err)
}

// bootstrap writes the first entry of a group that has neither a log nor a
// snapshot here, and does nothing otherwise. It is the same entry on all first
// members, whatever order they list each other in.
func bootstrap(conf *raft.Config, s *store, snaps raft.SnapshotStore, trans raft.Transport, members []Server) error {
	last, err := s.LastIndex()
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	kept, err := snaps.List()
	if err != nil {
		return fmt.Errorf("bootstrap: list snapshots: %w", err)
	}
	if last > 0 || len(kept) > 0 {
		return nil
	}
	first, err := configuration(members)
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	// A term without a log is what remains when the first start was
	// interrupted, or when another member's vote came in before it. Raft's
	// own function would refuse, so the entry is written here.
	begun, err := raft.HasExistingState(s, s, snaps)
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	if begun {
		err = s.StoreLog(&raft.Log{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(first)})
	} else {
		err = raft.BootstrapCluster(conf, s, s, snaps, trans, first)
	}
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	return nil
}

func configuration(members []Server) (raft.Configuration, error) {
	var conf raft.Configuration
	seen := make(map[string]bool)
	for _, m := range members {
		if m.ID == "" || m.Addr == "" || seen[m.ID] {
			return conf, fmt.Errorf("bad or repeated member %q at %q", m.ID, m.Addr)
		}
		seen[m.ID] = true
		conf.Servers = append(conf.Servers, raft.Server{
			Suffrage: raft.Voter, ID: raft.ServerID(m.ID), Address: raft.ServerAddress(m.Addr),
		})
	}
	slices.SortFunc(conf.Servers, func(a, b raft.Server) int { return cmp.Compare(a.ID, b.ID) })
	return conf, nil
}
