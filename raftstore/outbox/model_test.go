package outbox

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

// model is the outbox as a slice: records[i] has sequence first+i.
type model struct {
	first   uint64
	records [][]byte
}

func (m *model) next() uint64 { return m.first + uint64(len(m.records)) }

// machine runs the same steps on an outbox and on the model.
type machine struct {
	opts   Options
	outbox *Outbox
	model  model
	synced uint64 // the last sequence that a crash may not take
	gen    *rapid.Generator[[]byte]
}

func newMachine(t *rapid.T, dir string) *machine {
	m := &machine{
		opts:  Options{Dir: dir, SegmentBytes: int64(rapid.SampledFrom([]int{100, 700, 200 << 10}).Draw(t, "segment"))},
		model: model{first: 1},
		gen: rapid.Custom(func(t *rapid.T) []byte {
			n := rapid.SampledFrom([]int{1, 5, 60, 127, 128, 300, 17000}).Draw(t, "size")
			return bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, n)
		}),
	}
	m.open(t)
	return m
}

func (m *machine) open(t *rapid.T) {
	o, err := Open(m.opts)
	if err != nil {
		t.Fatal(err)
	}
	m.outbox = o
}

func (m *machine) ok(t *rapid.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

func (m *machine) Append(t *rapid.T) {
	ps := rapid.SliceOfN(m.gen, 0, 12).Draw(t, "records")
	m.ok(t, m.outbox.Append(m.model.next(), ps))
	m.model.records = append(m.model.records, ps...)
}

func (m *machine) Replay(t *rapid.T) {
	from := rapid.Uint64Range(m.model.first, m.model.next()).Draw(t, "from")
	ps := append([][]byte(nil), m.model.records[from-m.model.first:]...)
	fresh := rapid.SliceOfN(m.gen, 0, 3).Draw(t, "fresh")
	m.ok(t, m.outbox.Append(from, append(ps, fresh...)))
	m.model.records = append(m.model.records, fresh...)
}

func (m *machine) Gap(t *rapid.T) {
	if err := m.outbox.Append(m.model.next()+1, [][]byte{{1}}); !errors.Is(err, ErrGap) {
		t.Fatalf("gap: %v", err)
	}
}

func (m *machine) Trim(t *rapid.T) {
	before := rapid.Uint64Range(1, m.model.next()+2).Draw(t, "before")
	m.ok(t, m.outbox.Trim(before))
	first := m.outbox.First()
	if first < m.model.first || first > max(before, m.model.first) {
		t.Fatalf("trim before %d: first was %d and is %d", before, m.model.first, first)
	}
	m.model.records = m.model.records[first-m.model.first:]
	m.model.first = first
	m.synced = max(m.synced, first-1)
}

func (m *machine) Sync(t *rapid.T) {
	m.ok(t, m.outbox.Sync())
	m.synced = m.model.next() - 1
}

func (m *machine) Reset(t *rapid.T) {
	next := rapid.Uint64Range(1, 1000).Draw(t, "next")
	m.ok(t, m.outbox.Reset(next))
	m.model, m.synced = model{first: next}, next-1
}

func (m *machine) Reopen(t *rapid.T) {
	m.ok(t, m.outbox.Close())
	m.ok(t, m.outbox.Close())
	m.synced = m.model.next() - 1
	m.open(t)
}

// Crash ends the outbox as a kill does, and lets the newest segment lose bytes
// that were not flushed.
func (m *machine) Crash(t *rapid.T) {
	newest := m.outbox.state.active()
	floor := int64(0)
	if p := m.outbox.synced; p.segment == newest.first {
		floor = p.off
	}
	keep := rapid.Int64Range(floor, newest.size).Draw(t, "keep")
	m.ok(t, closeFiles(m.outbox.state.segments))
	m.ok(t, os.Truncate(newest.path, keep))
	m.open(t)
	last := m.outbox.Last()
	if last < m.synced || last > m.model.next()-1 {
		t.Fatalf("last is %d after a crash, %d was synced, %d appended", last, m.synced, m.model.next()-1)
	}
	m.model.records = m.model.records[:last+1-m.model.first]
}

func (m *machine) Copy(t *rapid.T) {
	var b bytes.Buffer
	from := rapid.Uint64Range(m.model.first, m.model.next()).Draw(t, "from")
	m.ok(t, m.outbox.StreamTo(&b, from, m.model.next()-1))
	m.ok(t, m.outbox.Close())
	m.ok(t, os.RemoveAll(m.opts.Dir))
	m.open(t)
	m.ok(t, m.outbox.Load(&b))
	m.model.records = m.model.records[from-m.model.first:]
	m.model.first = from
	m.synced = m.model.next() - 1
}

// Check compares everything.
func (m *machine) Check(t *rapid.T) {
	if f, l := m.outbox.First(), m.outbox.Last(); f != m.model.first || l+1 != m.model.next() {
		t.Fatalf("holds %d to %d, want %d to %d", f, l, m.model.first, m.model.next()-1)
	}
	var b Batch
	n := rapid.IntRange(1, 20).Draw(t, "records a read")
	size := rapid.SampledFrom([]int{1, 300, 20000, 0}).Draw(t, "bytes a read")
	for next := m.model.first; next < m.model.next(); next = b.Next() {
		m.ok(t, m.outbox.Read(next, n, size, &b))
		if len(b.Payloads) == 0 || len(b.Payloads) > n {
			t.Fatalf("read of %d at %d: %d records", n, next, len(b.Payloads))
		}
		for i, p := range b.Payloads {
			if !bytes.Equal(p, m.model.records[next-m.model.first+uint64(i)]) {
				t.Fatalf("record %d differs", next+uint64(i))
			}
		}
	}
	var size64 int64
	names, err := filepath.Glob(filepath.Join(m.opts.Dir, "*"+segmentExt))
	m.ok(t, err)
	for _, name := range names {
		info, err := os.Stat(name)
		m.ok(t, err)
		size64 += info.Size()
	}
	if size64 != m.outbox.Size() {
		t.Fatalf("Size() is %d, the files have %d", m.outbox.Size(), size64)
	}
}

func TestOutboxBehavesLikeASlice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		m := newMachine(rt, dir)
		defer func() { _ = m.outbox.Close() }()
		rt.Repeat(map[string]func(*rapid.T){
			"Append": m.Append, "Replay": m.Replay, "Gap": m.Gap, "Trim": m.Trim, "Sync": m.Sync,
			"Reset": m.Reset, "Reopen": m.Reopen, "Crash": m.Crash, "Copy": m.Copy, "": m.Check,
		})
	})
}
