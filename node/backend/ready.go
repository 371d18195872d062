package backend

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tombola/allocator"
	"tombola/httpapi/wire"
	"tombola/node/ask"
	"tombola/node/clockguard"
	"tombola/node/diskroom"
	"tombola/node/fitness"
)

// Ready implements httpapi.Operator. A node is ready unless it starts, drains,
// is not fit, or knows no leader at all; a missing bank or sink is detail.
func (b *Backend) Ready(context.Context) wire.Readiness {
	p := b.running()
	if p == nil {
		return wire.Readiness{Code: wire.CodeNotReady, Checks: []wire.Check{{Name: "started", Detail: "waiting for the cluster"}}}
	}
	b.mu.Lock()
	draining := b.draining
	b.mu.Unlock()
	leaders := 0
	var without []string
	for no := range p.Cluster.Slices + 1 {
		if _, ok := p.Groups.Leader(uint16(no)); !ok {
			without = append(without, ask.Name(uint16(no)))
		} else if no > 0 {
			leaders++
		}
	}
	r := wire.Readiness{Ready: !draining && leaders > 0}
	switch {
	case draining:
		r.Code = wire.CodeDraining
	case leaders == 0:
		r.Code = wire.CodeNoLeader
	}
	check := wire.Check{Name: "leaders", OK: len(without) == 0}
	if !check.OK {
		check.Detail = "no leader: " + strings.Join(without, ", ")
	}
	r.Checks = append(r.Checks,
		wire.Check{Name: "started", OK: true},
		wire.Check{Name: "serving", OK: !draining},
		check, sinkCheck(p), datedCheck(p))
	for _, f := range p.Fitness.Findings() {
		r.Checks = append(r.Checks, fitnessCheck(f))
		if f.Problem != nil && r.Ready {
			r.Ready, r.Code = false, wire.CodeNotReady
		}
		if errors.Is(f.Problem, diskroom.ErrLow) && !draining {
			r.Code = wire.CodeDiskLow
		}
	}
	return r
}

func fitnessCheck(f fitness.Finding) wire.Check {
	c := wire.Check{Name: f.Name, OK: f.Problem == nil}
	if f.Problem != nil {
		c.Detail = f.Problem.Error()
	}
	return c
}

// datedCheck says whether what is led here can be dated: the last entry of a
// group may be ahead of the time that the servers agree on. That is the same
// whoever leads it, so it is detail.
func datedCheck(p *Parts) wire.Check {
	c := wire.Check{Name: "dated", OK: true}
	var details []string
	look := func(group uint16, leads bool, stamp *clockguard.Stamp) {
		if problem := stamp.Problem(); leads && problem != nil {
			c.OK = false
			details = append(details, fmt.Sprintf("%s decides nothing: %v", ask.Name(group), problem))
		}
	}
	if p.Bank != nil {
		_, leads := p.Bank.Group.Leading()
		look(0, leads, p.Bank.Stamp)
	}
	for no := range p.Cluster.Slices {
		if s := p.Slices[allocator.SliceNo(no+1)]; s != nil {
			look(uint16(s.No), s.Engine.Leading(), s.Stamp)
		}
	}
	c.Detail = strings.Join(details, "; ")
	return c
}

// sinkCheck says whether the slices led here reach the sink.
func sinkCheck(p *Parts) wire.Check {
	c := wire.Check{Name: "sink", OK: true}
	var details []string
	if _, err := p.Sink.Store(); err != nil {
		c.OK = false
		details = append(details, err.Error())
	}
	for no := range p.Cluster.Slices {
		s := p.Slices[allocator.SliceNo(no+1)]
		if s == nil || !s.Engine.Leading() {
			continue
		}
		status := s.Drain.Status()
		if status.Err != nil {
			c.OK = false
			details = append(details, fmt.Sprintf("slice %d is %d events and %s behind: %v",
				s.No, s.Outbox.Last()-status.Seq, s.SinkLag(p.Clock()).Round(time.Millisecond), status.Err))
		}
	}
	c.Detail = strings.Join(details, "; ")
	return c
}
