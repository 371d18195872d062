package draws

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkEngine measures what an engine costs beside its log: waking its
// loop, looking up, encoding, deciding, waking who waits.
func BenchmarkEngine(b *testing.B) {
	for _, c := range []struct {
		name    string
		tokens  int64
		request bool
	}{{"granted", 1 << 40, false}, {"granted with request id", 1 << 40, true}, {"refused", 0, false}} {
		for _, clients := range []int{1, 1000} {
			b.Run(fmt.Sprintf("%s/%d clients", c.name, clients), func(b *testing.B) {
				w := newWorld(b)
				if c.tokens > 0 {
					w.heard(prize(1), lot(1, c.tokens))
				} else {
					w.heard(prize(1), dry(1))
				}
				w.lead()
				user := []byte(atHome(1, 0))
				b.SetParallelism(max(1, clients/2))
				b.ReportAllocs()
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					request := make([]byte, 0, 32)
					var n uint64
					for pb.Next() {
						if c.request {
							n++
							request = fmt.Appendf(request[:0], "%p-%d", pb, n)
						}
						d := New(1, user, request, Now()+int64(time.Minute), nil)
						w.e.Submit(d)
						if a := d.Wait(); a.Failure != NoFailure {
							b.Error(a)
						}
						d.Release()
					}
				})
				entries, verifies, _ := w.log.counts()
				b.ReportMetric(float64(b.N)/float64(max(1, len(entries)+verifies)), "draws/round")
			})
		}
	}
}

// TestADrawAllocatesNothing counts over whole batches, since each entry is an
// allocation: the log keeps it.
func TestADrawAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	w := newWorld(t)
	w.heard(prize(1), lot(1, 1))
	w.lead()
	ada := []byte(atHome(1, 0))
	w.draw(string(ada), "r")
	w.heard(dry(1))
	const batch = 1000
	draws := make([]*Draw, 0, batch)
	for _, request := range [][]byte{nil, []byte("r")} {
		allocs := testing.AllocsPerRun(20, func() {
			draws = draws[:0]
			for range batch {
				d := New(1, ada, request, Now()+int64(time.Minute), nil)
				draws = append(draws, d)
				w.e.Submit(d)
			}
			for _, d := range draws {
				d.Wait()
				d.Release()
			}
		})
		t.Logf("%.3f allocations a draw", allocs/batch)
		if allocs/batch > 0.1 {
			t.Errorf("request %q: %.2f allocations a draw", request, allocs/batch)
		}
	}
}
