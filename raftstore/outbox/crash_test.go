package outbox

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// copyDir makes a copy of a directory: what a crash at this moment leaves.
func copyDir(t testing.TB, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	must(t, os.CopyFS(to, os.DirFS(dir)))
	return to
}

func flip(t testing.TB, path string, off int64) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	b[off] ^= 0x40
	must(t, os.WriteFile(path, b, 0o600))
}

func TestTornTailAtEveryByte(t *testing.T) {
	dir := t.TempDir()
	o := openAt(t, Options{Dir: dir, Tag: 9})
	ends := map[int64]uint64{o.Size(): 0}
	for seq := uint64(1); seq <= 12; seq++ {
		must(t, o.Append(seq, payloads(seq, 1)))
		ends[o.Size()] = seq
	}
	size := o.Size()
	for cut := size; cut >= 0; cut-- {
		for _, zeros := range []bool{false, true} { // cut short, or a hole at the end
			log, warnings := logged(t)
			opts := Options{Dir: copyDir(t, dir), Tag: 9, Logger: log}
			path := segmentPath(opts.Dir, 1)
			must(t, os.Truncate(path, cut))
			if zeros {
				must(t, os.Truncate(path, size+100))
			}
			var want uint64
			whole := cut
			for whole > 0 {
				if last, ok := ends[whole]; ok {
					want = last
					break
				}
				whole--
			}
			again, err := Open(opts)
			must(t, err)
			wantRange(t, again, 1, want)
			if torn := cut != whole || whole == 0 || zeros; torn != (warnings.Len() > 0) {
				t.Fatalf("cut at %d, zeros %v: warned %q", cut, zeros, warnings)
			}
			appendTo(t, again, 14) // what the log replays
			wantRange(t, again, 1, 14)
			must(t, again.Close())
		}
	}
}

func TestPowerLossInSeveralSegments(t *testing.T) {
	dir := t.TempDir()
	o := openAt(t, Options{Dir: dir, SegmentBytes: small})
	appendTo(t, o, 20)
	must(t, o.Sync())
	appendTo(t, o, 45)
	n := len(o.state.segments)
	synced := slices.IndexFunc(o.state.segments, func(s *segment) bool { return s.first == o.synced.segment })
	if n-synced < 3 {
		t.Fatalf("%d segments after the sync point, want at least 3", n-synced)
	}
	for i := synced; i < n; i++ {
		for _, left := range []int64{0, 7, headerLen, headerLen + 30} {
			opts := Options{Dir: copyDir(t, dir), SegmentBytes: small}
			s := o.state.segments[i]
			if i == synced {
				left = o.synced.off
			}
			must(t, os.Truncate(segmentPath(opts.Dir, s.first), left))
			again, err := Open(opts)
			must(t, err)
			if again.Last() < 20 || again.Last() > 45 {
				t.Fatalf("last is %d", again.Last())
			}
			wantRange(t, again, 1, again.Last())
			appendTo(t, again, 60)
			wantRange(t, again, 1, 60)
			must(t, again.Close())
			again, err = Open(opts)
			must(t, err)
			wantRange(t, again, 1, 60)
			must(t, again.Close())
		}
	}
}

func TestWhatWasSyncedMustBeWhole(t *testing.T) {
	dir := t.TempDir()
	o := openAt(t, Options{Dir: dir, SegmentBytes: small})
	appendTo(t, o, 60)
	must(t, o.Sync())
	newest := o.state.active()
	t.Run("a byte in the newest segment", func(t *testing.T) {
		for off := range newest.size {
			opts := Options{Dir: copyDir(t, dir)}
			path := segmentPath(opts.Dir, newest.first)
			flip(t, path, off)
			_, err := Open(opts)
			wantErr(t, err, ErrCorrupt)
			if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "offset") {
				t.Fatalf("error does not say where: %v", err)
			}
		}
	})
	t.Run("the end of the newest segment", func(t *testing.T) {
		opts := Options{Dir: copyDir(t, dir)}
		must(t, os.Truncate(segmentPath(opts.Dir, newest.first), newest.size-1))
		_, err := Open(opts)
		wantErr(t, err, ErrCorrupt)
	})
	t.Run("the newest segment", func(t *testing.T) {
		opts := Options{Dir: copyDir(t, dir)}
		must(t, os.Remove(segmentPath(opts.Dir, newest.first)))
		_, err := Open(opts)
		wantErr(t, err, ErrCorrupt)
	})
	t.Run("the sync point", func(t *testing.T) {
		opts := Options{Dir: copyDir(t, dir)}
		flip(t, filepath.Join(opts.Dir, syncedName), 20)
		_, err := Open(opts)
		wantErr(t, err, ErrCorrupt)
	})
	t.Run("a byte in an older segment, found when it is read", func(t *testing.T) {
		for _, index := range []bool{true, false} {
			opts := Options{Dir: copyDir(t, dir)}
			path := segmentPath(opts.Dir, 1)
			flip(t, path, headerLen+40)
			if !index {
				must(t, os.Remove(indexPath(path)))
			}
			again := openAt(t, opts)
			err := again.Read(1, 0, 0, new(Batch))
			wantErr(t, err, ErrCorrupt)
			if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "offset") {
				t.Fatalf("error does not say where: %v", err)
			}
			must(t, again.Read(o.state.segments[1].first, 0, 0, new(Batch)))
		}
	})
	t.Run("an older segment, found when it is read", func(t *testing.T) {
		opts := Options{Dir: copyDir(t, dir)}
		gone := o.state.segments[1].first
		must(t, os.Remove(segmentPath(opts.Dir, gone)))
		again := openAt(t, opts)
		must(t, again.Read(1, 1, 0, new(Batch)))
		wantErr(t, again.Read(gone, 0, 0, new(Batch)), ErrCorrupt)
		must(t, again.Read(o.state.segments[2].first, 0, 0, new(Batch)))
	})
	t.Run("the end of an older segment, found when it is read", func(t *testing.T) {
		opts := Options{Dir: copyDir(t, dir)}
		must(t, os.Truncate(segmentPath(opts.Dir, 1), headerLen+40))
		again := openAt(t, opts)
		wantErr(t, again.Read(1, 0, 0, new(Batch)), ErrCorrupt)
	})
}

func TestMissingOrDamagedIndexIsMadeAgain(t *testing.T) {
	dir := t.TempDir()
	o := openAt(t, Options{Dir: dir, SegmentBytes: 200 << 10})
	for next := uint64(1); next <= 20000; next = o.Last() + 1 {
		must(t, o.Append(next, payloads(next, 1000)))
	}
	must(t, o.Close())
	path := indexPath(segmentPath(dir, 1))
	good, err := os.ReadFile(path)
	must(t, err)
	for _, bad := range [][]byte{nil, {}, good[:len(good)-1], append(slices.Clone(good), 0)} {
		if bad == nil {
			must(t, os.Remove(path))
		} else {
			must(t, os.WriteFile(path, bad, 0o600))
		}
		again, err := Open(Options{Dir: dir})
		must(t, err)
		p, err := again.Get(3000)
		must(t, err)
		if string(p) != string(payload(3000)) {
			t.Fatalf("record 3000 is %q", p)
		}
		must(t, again.Close())
		made, err := os.ReadFile(path)
		must(t, err)
		if !slices.Equal(made, good) {
			t.Fatal("the index that was made again differs")
		}
	}
}

func TestForeignAndNewerFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	o := openAt(t, Options{Dir: dir, Tag: 1})
	appendTo(t, o, 5)
	_, err := Open(Options{Dir: copyDir(t, dir), Tag: 2})
	wantErr(t, err, ErrForeign)
	must(t, o.Sync())
	_, err = Open(Options{Dir: copyDir(t, dir), Tag: 2})
	wantErr(t, err, ErrForeign)
}

// TestInterruptedReset does a Reset's removals one by one and, before each, opens a
// copy of the directory.
func TestInterruptedReset(t *testing.T) {
	dir := t.TempDir()
	o := openAt(t, Options{Dir: dir, SegmentBytes: small})
	appendTo(t, o, 60)
	must(t, o.Sync())
	must(t, os.Remove(filepath.Join(dir, syncedName)))
	for i, s := range o.state.segments {
		opts := Options{Dir: copyDir(t, dir), SegmentBytes: small}
		again := openAt(t, opts)
		wantRange(t, again, s.first, 60)
		must(t, again.Reset(500))
		again = openAt(t, opts)
		wantRange(t, again, 500, 499)
		must(t, o.state.segments[i].remove())
	}
	again := openAt(t, Options{Dir: copyDir(t, dir)})
	wantRange(t, again, 1, 0)
}

// flaky is a file on a disk that fails when told to.
type flaky struct {
	*os.File
	disk *disk
}

type disk struct {
	room     int // bytes that can still be written, -1 for all
	truncate error
	sync     error
}

func (d *disk) wrap(f *os.File) file { return &flaky{File: f, disk: d} }

func (f *flaky) WriteAt(b []byte, off int64) (int, error) {
	if f.disk.room < 0 || len(b) <= f.disk.room {
		return f.File.WriteAt(b, off)
	}
	n, err := f.File.WriteAt(b[:f.disk.room], off)
	return n, errors.Join(err, syscall.ENOSPC)
}

func (f *flaky) Truncate(size int64) error {
	if f.disk.truncate != nil {
		return f.disk.truncate
	}
	return f.File.Truncate(size)
}

func (f *flaky) Sync() error {
	if f.disk.sync != nil {
		return f.disk.sync
	}
	return f.File.Sync()
}

func TestFullDiskLeavesACleanState(t *testing.T) {
	for room := 0; room < 80; room += 3 {
		for _, truncate := range []error{nil, syscall.EIO} {
			d := &disk{room: -1}
			opts := Options{Dir: t.TempDir(), SegmentBytes: 300, wrap: d.wrap}
			o := openAt(t, opts)
			appendTo(t, o, 7) // the next Append begins a segment, or not
			d.room, d.truncate = room, truncate
			next := o.Last() + 1
			wantErr(t, o.Append(next, payloads(next, 4)), syscall.ENOSPC)
			wantRange(t, o, 1, 7)
			crashed := openAt(t, Options{Dir: copyDir(t, opts.Dir)})
			if truncate == nil {
				wantRange(t, crashed, 1, 7)
			} else { // whole records of the failed write may be there, they come again
				wantRange(t, crashed, 1, max(7, crashed.Last()))
			}
			must(t, crashed.Close())
			d.room, d.truncate = -1, nil
			appendTo(t, o, 30)
			wantRange(t, o, 1, 30)
			must(t, o.Close())
			o = openAt(t, Options{Dir: opts.Dir})
			wantRange(t, o, 1, 30)
		}
	}
}

func TestFailedFlushIsFinal(t *testing.T) {
	d := &disk{room: -1}
	opts := Options{Dir: t.TempDir(), wrap: d.wrap}
	o := openAt(t, opts)
	appendTo(t, o, 5)
	must(t, o.Sync())
	appendTo(t, o, 9)
	d.sync = syscall.EIO
	wantErr(t, o.Sync(), syscall.EIO)
	d.sync = nil
	wantErr(t, o.Sync(), syscall.EIO)
	wantErr(t, o.Append(10, payloads(10, 1)), syscall.EIO)
	wantRange(t, o, 1, 9)
	wantErr(t, o.Close(), syscall.EIO)
	p, err := loadSyncPoint(opts.Dir, 0)
	must(t, err)
	if p.last != 5 {
		t.Fatalf("sync point says %d after a failed flush, want 5", p.last)
	}
}

func TestLeftOverFilesAreTidied(t *testing.T) {
	dir := t.TempDir()
	o := openAt(t, Options{Dir: dir})
	appendTo(t, o, 5)
	must(t, o.Close())
	left := map[string]bool{syncedName + tempExt: false, "00000000000000000099.idx": false, "notes.txt": true}
	for name := range maps.Keys(left) {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600))
	}
	wantRange(t, openAt(t, Options{Dir: dir}), 1, 5)
	for name, stays := range left {
		_, err := os.Stat(filepath.Join(dir, name))
		if stays != !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: stays %v, stat says %v", name, stays, err)
		}
	}
}
