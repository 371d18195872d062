package backend

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"tombola/allocator"
	"tombola/httpapi/wire"
	"tombola/node/ask"
	"tombola/node/membership"
	"tombola/raftstore"
)

// askNode is what every server answers about itself.
const askNode = "node/status"

// nodeStatus is one server as it sees itself.
type nodeStatus struct {
	Version string
	Ready   bool
	Clock   allocator.Micros // its clock when it answered
	Free    int64            // bytes on its disk
	Groups  []groupStatus
}

// groupStatus is one server's copy of a group.
type groupStatus struct {
	Group     uint16
	Leading   bool
	Term      uint64
	Committed uint64
	Applied   uint64
	ContactMS *int64
	Outbox    wire.Outbox
}

// statusWait bounds how long one server may take to say how it is.
const statusWait = time.Second

// Cluster implements httpapi.Operator.
func (b *Backend) Cluster(ctx context.Context) (wire.Cluster, error) {
	p, err := b.started()
	if err != nil {
		return wire.Cluster{}, err
	}
	out := wire.Cluster{ClusterID: p.Cluster.ID.String(), Node: membership.NodeID(p.Members.ServerID()), Format: p.Cluster.Format}
	var members []membership.Member
	for _, m := range p.Members.Members() {
		if m.Cluster == p.Cluster.ID {
			members = append(members, m)
		}
	}
	slices.SortFunc(members, func(x, y membership.Member) int { return cmp.Compare(x.ID, y.ID) })
	answers := make([]nodeStatus, len(members))
	asked := make([]time.Time, len(members))
	errs := make([]error, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, statusWait)
			defer cancel()
			before := p.Clock()
			errs[i] = p.Ask.Server(ctx, m.ID, askNode, struct{}{}, &answers[i])
			asked[i] = before.Add(p.Clock().Sub(before) / 2)
		})
	}
	wg.Wait()
	var offsets []float64
	for i, m := range members {
		n := wire.Node{ID: membership.NodeID(m.ID), Server: m.ID, State: state(m), HTTP: m.HTTPAddr, Cluster: m.ClusterAddr, Leads: []int{}}
		if errs[i] != nil {
			n.Error = errs[i].Error()
		} else {
			n.Version, n.Ready, n.DiskFreeBytes = answers[i].Version, answers[i].Ready, &answers[i].Free
			offset := float64(answers[i].Clock-allocator.MicrosOf(asked[i])) / 1000
			n.ClockOffsetMS = &offset
			offsets = append(offsets, offset)
			for _, g := range answers[i].Groups {
				if g.Leading {
					n.Leads = append(n.Leads, int(g.Group))
				}
			}
		}
		out.Nodes = append(out.Nodes, n)
	}
	againstMedian(out.Nodes, offsets)
	out.Groups = groups(p, members, answers, errs)
	return out, nil
}

// againstMedian turns offsets from the asking node's clock into offsets from
// the median of all.
func againstMedian(nodes []wire.Node, offsets []float64) {
	if len(offsets) == 0 {
		return
	}
	slices.Sort(offsets)
	median := offsets[len(offsets)/2]
	if len(offsets)%2 == 0 {
		median = (median + offsets[len(offsets)/2-1]) / 2
	}
	for i := range nodes {
		if o := nodes[i].ClockOffsetMS; o != nil {
			*o -= median
		}
	}
}

// groups puts together what the servers say of their copies.
func groups(p *Parts, members []membership.Member, answers []nodeStatus, errs []error) []wire.Group {
	list := make([]wire.Group, p.Cluster.Slices+1)
	for no := range list {
		g := wire.Group{Group: no, Name: "bank", Replicas: []wire.Replica{}}
		if no > 0 {
			g.Name = ask.Name(uint16(no))
		}
		for i, m := range members {
			if errs[i] != nil {
				continue
			}
			for _, s := range answers[i].Groups {
				if int(s.Group) != no {
					continue
				}
				g.Replicas = append(g.Replicas, wire.Replica{
					Node: membership.NodeID(m.ID), Voter: true, Applied: s.Applied, Committed: s.Committed, LastContactMS: s.ContactMS,
				})
				if s.Leading && s.Term >= g.Term {
					g.Leader, g.Term, g.Committed, g.Applied, g.Outbox = membership.NodeID(m.ID), s.Term, s.Committed, s.Applied, s.Outbox
				}
			}
		}
		if g.Leader == "" {
			g.Error = "no leader that could be reached"
		}
		list[no] = g
	}
	return list
}

func (b *Backend) answerNode(ctx context.Context, _ uint16, _ struct{}) (nodeStatus, error) {
	p := b.parts
	st := nodeStatus{Version: p.Version, Ready: b.Ready(ctx).Ready, Clock: allocator.MicrosOf(p.Clock()), Free: p.Disk.Free()}
	if p.Bank != nil {
		st.Groups = append(st.Groups, copyOf(0, p.Bank.Group))
	}
	for no := range p.Cluster.Slices {
		s := p.Slices[allocator.SliceNo(no+1)]
		if s == nil {
			continue
		}
		g := copyOf(uint16(s.No), s.Group)
		g.Outbox = outboxOf(s, p.Clock())
		st.Groups = append(st.Groups, g)
	}
	return st, nil
}

func copyOf(no uint16, g *raftstore.Group) groupStatus {
	s := g.Status()
	out := groupStatus{Group: no, Leading: s.Leading, Term: s.Term, Committed: s.CommitIndex, Applied: s.AppliedIndex}
	if !s.LastContact.IsZero() && !s.Leading { // a leader hears from no leader
		out.ContactMS = new(time.Since(s.LastContact).Milliseconds())
	}
	return out
}

// outboxOf says how far the sink is behind a slice.
func outboxOf(s *Slice, now time.Time) wire.Outbox {
	status := s.Drain.Status()
	out := wire.Outbox{LastSeq: s.Outbox.Last(), Bytes: s.Outbox.Size()}
	out.SinkSeq = status.Seq
	if !s.Engine.Leading() { // a leader knows better: the sink may have gone back
		s.Machine.Read(func(m *allocator.Slice) { out.SinkSeq = max(status.Seq, m.Sunk()) })
	}
	out.SinkSeq = min(out.SinkSeq, out.LastSeq)
	out.Lag = out.LastSeq - out.SinkSeq
	if status.Err != nil {
		out.SinkError = status.Err.Error()
	}
	out.LagMS = s.ageAfter(out.SinkSeq, now).Milliseconds()
	return out
}

// SinkLag returns how old the oldest event is that the sink lacks, where this
// server leads the slice; 0 where it lacks none.
func (s *Slice) SinkLag(now time.Time) time.Duration {
	if !s.Engine.Leading() {
		return 0
	}
	return s.ageAfter(s.Drain.Status().Seq, now)
}

// ageAfter returns the age of the event after seq, 0 where there is none.
func (s *Slice) ageAfter(seq uint64, now time.Time) time.Duration {
	if seq >= s.Outbox.Last() {
		return 0
	}
	payload, err := s.Outbox.Get(max(seq+1, s.Outbox.First()))
	if err != nil {
		return 0
	}
	e, err := allocator.DecodeEvent(payload)
	if err != nil {
		return 0
	}
	return max(0, now.Sub(e.At.Time()))
}

func state(m membership.Member) string {
	switch {
	case m.Alive && m.Leaving:
		return "leaving"
	case m.Alive:
		return "alive"
	default:
		return "dead"
	}
}

// Audit implements httpapi.Operator.
func (b *Backend) Audit(ctx context.Context, q wire.AuditQuery) (wire.AuditPage, error) {
	p, err := b.started()
	if err != nil {
		return wire.AuditPage{}, err
	}
	return askBank[wire.AuditPage](ctx, p, askAudit, auditRequest{Prize: q.Prize, Before: q.Before, Limit: q.Limit})
}
