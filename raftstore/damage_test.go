package raftstore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// single is a group of one whose files tests damage while it is closed.
func single(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, number: 6, logger: testLogger(t)}
	s := &server{id: "n1.00000001", dir: filepath.Join(t.TempDir(), "group")}
	c.servers = []*server{s}
	c.listen(s, "127.0.0.1:0")
	c.open(s)
	t.Cleanup(c.close)
	return c
}

// damage changes a file while the group is closed, and opens it again. It
// returns why that was refused, nil when it came up.
func (c *cluster) damage(change func(dir string)) error {
	c.t.Helper()
	s := c.servers[0]
	c.stop(s)
	change(s.dir)
	c.listen(s, s.addr)
	s.machine, s.fatal = new(register), make(chan error, 1)
	g, err := Open(c.options(s))
	s.group = g
	return err
}

func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte { b[at] ^= 0x10; return b }
}

func cutTo(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }

// TestADamagedLogIsMendedOrRefused has a log whose file is not what was
// written. A meta page that was being written when the power went is one of
// two, and the other one is the state before that.
func TestADamagedLogIsMendedOrRefused(t *testing.T) {
	page := os.Getpagesize()
	for name, c := range map[string]struct {
		change func([]byte) []byte
		refuse string // "" where it goes on
	}{
		"the first meta page is torn":         {flip(metaAt + metaTxAt), ""},
		"the second meta page is torn":        {flip(page + metaAt + metaEndAt), ""},
		"a meta page is half zeros":           {func(b []byte) []byte { clear(b[page+metaAt+20 : 2*page]); return b }, ""},
		"both meta pages are torn":            {func(b []byte) []byte { return flip(metaAt)(flip(page + metaAt)(b)) }, "neither meta page is valid"},
		"the file is cut in the data":         {func(b []byte) []byte { return b[:5*page] }, "bytes of"},
		"the file is cut in the meta pages":   {cutTo(page + 100), "bytes of"},
		"the file is cut in the first page":   {cutTo(50), "neither meta page is valid"},
		"the file is something else":          {func([]byte) []byte { return []byte("something else") }, "neither meta page is valid"},
		"there are more pages than were used": {func(b []byte) []byte { return append(b, make([]byte, 3*page)...) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := single(t)
			want := texts("x", 40)
			for _, text := range want {
				g.propose(text + large(1000))
			}
			err := g.damage(func(dir string) { edit(t, filepath.Join(dir, logFile), c.change) })
			switch {
			case c.refuse == "" && err != nil:
				t.Fatal(err)
			case c.refuse == "":
				g.propose("after")
				eventually(t, "what was there, but for the last write, and what is new", func() bool {
					got := g.servers[0].machine.list()
					return len(got) >= len(want) && got[0] == want[0]+large(1000) && slices.Contains(got, "after")
				})
			case err == nil || !errors.Is(err, errTornLog) || !strings.Contains(err.Error(), c.refuse) || !strings.Contains(err.Error(), logFile):
				t.Fatalf("opened with %v, want a refusal that says %q and names the file", err, c.refuse)
			}
		})
	}
}

// snapshotsOf returns the group's snapshots, oldest first.
func snapshotsOf(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "snapshots", "*"))
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(found, func(a, b string) int { // by time, which ends the name
		return strings.Compare(a[strings.LastIndex(a, "-"):], b[strings.LastIndex(b, "-"):])
	})
	return found
}

func TestADamagedSnapshotIsReplacedOrRefused(t *testing.T) {
	for name, c := range map[string]struct {
		between int // entries between the older snapshot and the newest
		change  func(t *testing.T, newest string)
		refused bool
	}{
		"its state has a flipped bit":               {10, func(t *testing.T, dir string) { edit(t, filepath.Join(dir, "state.bin"), flip(20)) }, false},
		"its state is cut short":                    {10, func(t *testing.T, dir string) { edit(t, filepath.Join(dir, "state.bin"), cutTo(10)) }, false},
		"its metadata can't be read":                {10, func(t *testing.T, dir string) { edit(t, filepath.Join(dir, "meta.json"), cutTo(10)) }, false},
		"its state is gone":                         {10, func(t *testing.T, dir string) { _ = os.Remove(filepath.Join(dir, "state.bin")) }, false},
		"the log does not reach back":               {trailingEntries + 20, func(t *testing.T, dir string) { edit(t, filepath.Join(dir, "state.bin"), flip(20)) }, true},
		"the log does not reach back, no metadata":  {trailingEntries + 20, func(t *testing.T, dir string) { edit(t, filepath.Join(dir, "meta.json"), cutTo(10)) }, true},
		"no snapshot is left and the log began new": {trailingEntries + 20, func(t *testing.T, dir string) { _ = os.RemoveAll(filepath.Dir(dir)) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := single(t)
			all := texts("a", 5)
			take := func(texts []string) {
				for _, text := range texts {
					g.propose(text)
				}
				if err := g.servers[0].group.Snapshot(); err != nil {
					t.Fatal(err)
				}
			}
			take(all)
			more := texts("b", c.between)
			take(more)
			all = append(all, more...)
			g.propose("last")
			all = append(all, "last")
			dir := g.servers[0].dir
			err := g.damage(func(dir string) {
				kept := snapshotsOf(t, dir)
				if len(kept) != 2 {
					t.Fatalf("snapshots %q", kept)
				}
				c.change(t, kept[1])
			})
			if c.refused {
				if !errors.Is(err, errSnapshotsLost) || !strings.Contains(err.Error(), filepath.Join(dir, "snapshots")) {
					t.Fatalf("opened with %v, want a refusal that names the snapshots", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			g.agree(all)
			if aside, _ := filepath.Glob(filepath.Join(dir, "damaged-*")); len(aside) != 1 {
				t.Errorf("set aside: %q", aside)
			}
			g.propose("after")
			if err := g.servers[0].group.Snapshot(); err != nil {
				t.Fatal(err)
			}
			if err := g.damage(func(string) {}); err != nil {
				t.Fatal(err)
			}
			g.agree(append(all, "after"))
		})
	}
}

func TestAllSnapshotsDamagedAreReplacedByAWholeLog(t *testing.T) {
	g := single(t)
	all := texts("a", 5)
	for _, text := range all {
		g.propose(text)
	}
	if err := g.servers[0].group.Snapshot(); err != nil {
		t.Fatal(err)
	}
	err := g.damage(func(dir string) {
		for _, s := range snapshotsOf(t, dir) {
			edit(t, filepath.Join(s, "meta.json"), cutTo(3))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	g.agree(all)
}

func TestALogThatIsNewIsNotChecked(t *testing.T) {
	path := filepath.Join(t.TempDir(), logFile)
	if err := checkFile(path); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := checkFile(path); err != nil {
		t.Error(err)
	}
	if err := checkFile(t.TempDir()); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory in its place: %v", err)
	}
}
