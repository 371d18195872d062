package ledger

import (
	"testing"

	"pgregory.net/rapid"
)

func TestANewItemTakesTheLowestFreeSlot(t *testing.T) {
	const n = 2*dirLen*chunkLen + 3*chunkLen + 5
	a := newArena[user](newViews())
	for want := range uint32(n) {
		if got, u := a.alloc(); got != want || *u != (user{}) {
			t.Fatalf("slot %d, want %d", got, want)
		}
	}
	// A slot in full chunks, a whole chunk, and a whole dir.
	free := []uint32{7, chunkLen + 63, 2*dirLen*chunkLen + chunkLen + 64}
	for i := range uint32(chunkLen) {
		free = append(free, 9*chunkLen+i)
	}
	for i := range uint32(dirLen * chunkLen) {
		free = append(free, dirLen*chunkLen+i)
	}
	for _, i := range free {
		*a.mut(i) = user{count: i}
		a.free(i)
	}
	if a.dirs[1] != nil || a.dirs[0][9] != nil {
		t.Error("chunks without items are kept")
	}
	if a.n != n-len(free) {
		t.Errorf("%d items", a.n)
	}

	last := -1
	for range free {
		got, u := a.alloc()
		if int(got) <= last || got >= n || *u != (user{}) {
			t.Fatalf("slot %d after %d: %+v", got, last, *u)
		}
		last = int(got)
	}
	if got, _ := a.alloc(); got != n {
		t.Errorf("slot %d, want the first new one, %d", got, n)
	}
}

func TestAnArenaReachesTheHighestSlotWithoutTheMemoryBefore(t *testing.T) {
	a := newArena[user](newViews())
	a.place(maxSlot).count = 1
	if !a.has(maxSlot) || a.has(maxSlot-1) || a.has(0) || inUse(a.dirs) != 1 {
		t.Error("not just the highest slot is in use")
	}
	if got, _ := a.alloc(); got != 0 {
		t.Errorf("the lowest free slot is %d", got)
	}
}

func TestAnArenaAndItsImagesAgreeWithAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := newViews()
		a := newArena[user](v)
		now := map[uint32]uint32{}
		type frozen struct {
			f     *Frozen
			image image[user]
			want  map[uint32]uint32
		}
		var open []frozen
		same := func(got image[user], want map[uint32]uint32) {
			n := 0
			for i, u := range got.all() {
				if u.count != want[i] {
					t.Fatalf("slot %d holds %d, want %d", i, u.count, want[i])
				}
				if u.count != 0 {
					n++
				}
			}
			if n != len(want) {
				t.Fatalf("%d items, want %d", n, len(want))
			}
		}
		value := uint32(0)
		t.Repeat(map[string]func(*rapid.T){
			"alloc": func(t *rapid.T) {
				for range rapid.IntRange(1, 600).Draw(t, "n") {
					value++
					i, u := a.alloc()
					u.count = value
					now[i] = value
				}
			},
			"write": func(t *rapid.T) {
				i := rapid.Uint32Range(0, 3000).Draw(t, "slot")
				if a.has(i) {
					value++
					a.mut(i).count = value
					now[i] = value
				}
			},
			"free": func(t *rapid.T) {
				from := rapid.Uint32Range(0, 3000).Draw(t, "from")
				for i := from; i < from+rapid.Uint32Range(1, 600).Draw(t, "n"); i++ {
					if a.has(i) {
						a.free(i)
						delete(now, i)
					}
				}
			},
			"freeze": func(t *rapid.T) {
				want := map[uint32]uint32{}
				for i, c := range now {
					want[i] = c
				}
				f := &Frozen{}
				open = append(open, frozen{f, a.freeze(), want})
				v.add(f)
			},
			"release": func(t *rapid.T) {
				if len(open) == 0 {
					t.Skip("none is open")
				}
				i := rapid.IntRange(0, len(open)-1).Draw(t, "view")
				same(open[i].image, open[i].want)
				open[i].f.Release()
				open = append(open[:i:i], open[i+1:]...)
			},
			"": func(t *rapid.T) {
				same(image[user](a.dirs), now)
				if a.n != len(now) {
					t.Fatalf("%d items, want %d", a.n, len(now))
				}
			},
		})
		for _, o := range open {
			same(o.image, o.want)
		}
	})
}
