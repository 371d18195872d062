package forward

import (
	"sync/atomic"
	"testing"
	"time"

	"tombola/node/draws"
)

// inFlightGate hands out places in flight, so that a benchmark keeps a link busy
// without a goroutine per draw.
type inFlightGate struct {
	places chan struct{}
	failed atomic.Int64
}

// Answered implements draws.Notifier.
func (g *inFlightGate) Answered(d *draws.Draw) {
	if d.Answer.Failure != 0 {
		g.failed.Add(1)
	}
	d.Release()
	<-g.places
}

// BenchmarkLink forwards draws over one loopback connection to a router that
// answers at once; both sides run in this process.
func BenchmarkLink(b *testing.B) {
	for _, c := range []struct {
		name string
		held int
	}{{"one at a time", 1}, {"200 in flight", 200}, {"4000 in flight", 4000}} {
		b.Run(c.name, func(b *testing.B) {
			p := newPool(b, listen(b, echo{}, quiet(), serveDraws).dial, 0)
			gate := &inFlightGate{places: make(chan struct{}, c.held)}
			link := p.Link("s.1")
			user, request := []byte("user-0000001"), []byte("request-0000001")
			deadline := in(time.Hour)
			run := func(n int) {
				for range n {
					gate.places <- struct{}{}
					link.Send(1, draws.New(1, user, request, deadline, gate))
				}
				for range c.held {
					gate.places <- struct{}{}
				}
				for range c.held {
					<-gate.places
				}
			}
			run(4 * c.held)
			b.ReportAllocs()
			b.ResetTimer()
			run(b.N)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "draws/s")
			if n := gate.failed.Load(); n > 0 {
				b.Errorf("%d draws failed", n)
			}
		})
	}
}
