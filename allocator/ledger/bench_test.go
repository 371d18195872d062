package ledger

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"
)

// The size that the promises are made for. Benchmarks alone build it:
//
//	go test -run '^$' -bench . ./allocator/ledger
const retained = 10_000_000

// idBytes is what the ids of a grant of a new user weigh: two hashes.
const idBytes = 32

func fill(b *testing.B, l *Ledger, upTo int) {
	for i := l.Len() + 1; i <= upTo; i++ {
		mustAppend(b, l, entry(l.Last()+1, 1, i, i))
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// tenMillion runs a benchmark on a full ledger, once for b.N of any size.
func tenMillion(b *testing.B) *Ledger {
	l := New()
	fill(b, l, retained)
	runtime.GC()
	b.ReportAllocs()
	b.ResetTimer()
	return l
}

func BenchmarkAppend(b *testing.B) {
	l := New()
	b.ReportAllocs()
	for i := 1; i <= b.N; i++ {
		mustAppend(b, l, entry(uint64(i), 1, i, i))
	}
}

func BenchmarkFind(b *testing.B) {
	l := tenMillion(b)
	for i := range b.N {
		if _, ok := l.Find(req(int(mix(uint64(i))%retained) + 1)); !ok {
			b.Fatal("not found")
		}
	}
}

func BenchmarkFindNothing(b *testing.B) {
	l := tenMillion(b)
	for i := range b.N {
		if _, ok := l.Find(req(retained + 1 + i)); ok {
			b.Fatal("found")
		}
	}
}

func BenchmarkCount(b *testing.B) {
	l := tenMillion(b)
	for i := range b.N {
		if l.Count(1, id(int(mix(uint64(i))%retained)+1)) != 1 {
			b.Fatal("not counted")
		}
	}
}

// BenchmarkFreeze measures how long Freeze holds the state machine up at ten
// million grants, each time after writes that the view before has to survive.
func BenchmarkFreeze(b *testing.B) {
	l := tenMillion(b)
	var worst time.Duration
	for range b.N {
		start := time.Now()
		f := l.Freeze()
		worst = max(worst, time.Since(start))
		f.Release()
	}
	b.ReportMetric(float64(worst.Microseconds()), "worst-us")
}

// BenchmarkAppendWhileFrozen measures appends by users who are spread over all
// chunks, every one of which has to be copied for the view first.
func BenchmarkAppendWhileFrozen(b *testing.B) {
	l := tenMillion(b)
	f := l.Freeze()
	var worst time.Duration
	for i := range b.N {
		e := entry(l.Last()+1, 1, int(mix(uint64(i))%retained)+1, retained+1+i)
		start := time.Now()
		mustAppend(b, l, e)
		worst = max(worst, time.Since(start))
	}
	b.ReportMetric(float64(worst.Microseconds()), "worst-us")
	f.Release()
}

func BenchmarkForget(b *testing.B) {
	l := tenMillion(b)
	n := min(b.N, retained)
	l.Forget(1, n)
}

func BenchmarkEncode(b *testing.B) {
	f := tenMillion(b).Freeze()
	for range b.N {
		var n counter
		if err := f.Encode(&n); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(n)/retained, "B/grant")
	}
}

type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

var _ io.Writer = new(counter)

func BenchmarkDecode(b *testing.B) {
	image := snapshot(b, tenMillion(b))
	runtime.GC()
	b.ResetTimer()
	for range b.N {
		if _, err := Decode(bytes.NewReader(image)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMemory reports the bytes that a grant of a new user with a request id
// takes beside the ids, and the longest single append on the way there. Of the
// sizes, 5.7 million is just behind the tables' last growth, where they are
// emptiest, and 10 million is the size that the promise is made for.
func BenchmarkMemory(b *testing.B) {
	for _, n := range []int{1_000_000, 5_700_000, retained} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for range b.N {
				before := heap()
				l := New()
				var worst time.Duration
				for i := 1; i <= n; i++ {
					e := entry(uint64(i), 1, i, i)
					start := time.Now()
					mustAppend(b, l, e)
					worst = max(worst, time.Since(start))
				}
				after := heap()
				b.ReportMetric(float64(after-before)/float64(n)-idBytes, "B/grant-beside-ids")
				b.ReportMetric(float64(worst.Microseconds()), "worst-append-us")
				runtime.KeepAlive(l)
			}
		})
	}
}
