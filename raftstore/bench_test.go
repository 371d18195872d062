package raftstore

import (
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// BenchmarkPropose replicates 16 KiB entries in a group of three on loopback,
// with real files, from one and from more proposers.
func BenchmarkPropose(b *testing.B) {
	for _, proposers := range []int{1, 2, 8} {
		b.Run("proposers="+strconv.Itoa(proposers), func(b *testing.B) {
			c := newCluster(b, 1, func(o *Options) {
				o.Election = DefaultElection
				o.Machine = discard{new(register)}
			})
			leader := c.leader().group
			const size = 16 << 10
			work := make(chan struct{})
			took := make([][]time.Duration, proposers)
			var wg sync.WaitGroup
			b.SetBytes(size)
			b.ResetTimer()
			for i := range proposers {
				wg.Go(func() {
					for range work {
						start := time.Now()
						if err := leader.Propose(make([]byte, size), nil); err != nil {
							b.Error(err)
						}
						took[i] = append(took[i], time.Since(start))
					}
				})
			}
			for range b.N {
				work <- struct{}{}
			}
			close(work)
			wg.Wait()
			b.StopTimer()
			all := slices.Concat(took...)
			slices.Sort(all)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
			b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-us")
			b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-us")
		})
	}
}

// BenchmarkVerify is one verification by itself, and shared by many callers.
func BenchmarkVerify(b *testing.B) {
	for _, callers := range []int{1, 100} {
		b.Run("callers="+strconv.Itoa(callers), func(b *testing.B) {
			c := newCluster(b, 1, nil)
			leader := c.leader().group
			work := make(chan struct{})
			var wg sync.WaitGroup
			b.ResetTimer()
			for range callers {
				wg.Go(func() {
					for range work {
						if err := leader.Verify(b.Context()); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for range b.N {
				work <- struct{}{}
			}
			close(work)
			wg.Wait()
		})
	}
}

// discard is a machine that keeps nothing.
type discard struct{ *register }

func (discard) Apply([]byte, any) error { return nil }
