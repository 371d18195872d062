package node

import (
	"fmt"

	"tombola/allocator"
	"tombola/node/backend"
)

// register adds what /metrics tells about groups to the node's metrics; the
// API's own are there already. Values are read when they are asked for.
func (n *Node) register() {
	gauge := func(name string, slice allocator.SliceNo, f func() float64) {
		n.metrics.NewGauge(fmt.Sprintf(`tombola_%s{slice="%d"}`, name, slice), f)
	}
	for no, s := range n.slices {
		gauge("slice_leading", no, func() float64 { return boolean(s.Engine.Leading()) })
		gauge("slice_draws_queued", no, func() float64 { queued, _ := s.Engine.Waiting(); return float64(queued) })
		gauge("slice_draws_parked", no, func() float64 { _, parked := s.Engine.Waiting(); return float64(parked) })
		gauge("slice_last_seq", no, func() float64 { return float64(s.Outbox.Last()) })
		gauge("slice_applied_index", no, func() float64 { return float64(s.Group.Status().AppliedIndex) })
		gauge("slice_term", no, func() float64 { return float64(s.Group.Status().Term) })
		gauge("outbox_bytes", no, func() float64 { return float64(s.Outbox.Size()) })
		gauge("slice_ahead_of_clock_seconds", no, func() float64 { return s.Stamp.Ahead().Seconds() })
		gauge("sink_lag_events", no, func() float64 { return float64(behind(s)) })
		gauge("sink_lag_seconds", no, func() float64 { return s.SinkLag(n.clock.Wall()).Seconds() })
		gauge("sink_failing", no, func() float64 { return boolean(s.Drain.Status().Err != nil) })
	}
	for no, g := range n.groups.all() {
		n.metrics.NewGauge(fmt.Sprintf(`tombola_snapshot_installs_total{group="%d"}`, no), func() float64 { return float64(g.Status().Installs) })
		n.metrics.NewGauge(fmt.Sprintf(`tombola_snapshots_sent_total{group="%d"}`, no), func() float64 { return float64(g.Status().Sent) })
	}
	if n.bank != nil {
		n.metrics.NewGauge(`tombola_bank_leading`, func() float64 {
			_, leading := n.bank.Group.Leading()
			return boolean(leading)
		})
		n.metrics.NewGauge(`tombola_bank_ahead_of_clock_seconds`, func() float64 { return n.bank.Stamp.Ahead().Seconds() })
	}
	n.metrics.NewGauge(`tombola_disk_free_bytes`, func() float64 { return float64(n.disk.Free()) })
	n.metrics.NewGauge(`tombola_disk_low`, func() float64 { return boolean(n.disk.Low()) })
	n.metrics.NewGauge(`tombola_clock_offset_seconds`, func() float64 { return n.guard.Offset().Seconds() })
	n.metrics.NewGauge(`tombola_clock_off`, func() float64 { return boolean(n.guard.Problem() != nil) })
	n.metrics.NewGauge(`tombola_draws_without_leader`, func() float64 { return float64(n.router.Held()) })
}

// behind returns how many events the sink lacks, where this server leads.
func behind(s *backend.Slice) uint64 {
	if !s.Engine.Leading() {
		return 0
	}
	last, seq := s.Outbox.Last(), s.Drain.Status().Seq
	return last - min(last, seq)
}

func boolean(v bool) float64 {
	if v {
		return 1
	}
	return 0
}
