package chaos

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tombola/internal/testcluster"
)

// Fault is what happened to a cluster under load, and what was seen of it.
type Fault struct {
	Name     string
	Led      []string       // the groups that the node led when it was killed
	Silent   []int          // the slices among them
	Grants   []int          // of each slice, while the node was away
	Outage   []Silence      // of each slice, while the node was away
	Return   []Silence      // and from its start until it led its share again
	Wait     time.Duration  // of the slowest draw
	Errors   map[string]int // that had a draw sent again
	Late     map[string]int // those since the node was ready again
	Verdict  *Verdict
	Draws    int
	Rate     float64 // grants a second from the kill to the end
	Restart  time.Duration
	Handback time.Duration // from the restart until each node led its share again
}

// Longest returns the longest silence of any slice, of those that the node led
// and of the others.
func (f *Fault) Longest() (led, others time.Duration) {
	for s := range f.Outage {
		gap := max(f.Outage[s].For, f.Return[s].For)
		if slices.Contains(f.Silent, s+1) {
			led = max(led, gap)
		} else {
			others = max(others, gap)
		}
	}
	return led, others
}

// String is a line of a report.
func (f *Fault) String() string {
	led, others := f.Longest()
	out := func(silences []Silence) string {
		var all []string
		for _, s := range silences {
			all = append(all, s.For.Round(time.Millisecond).String())
		}
		return strings.Join(all, " ")
	}
	kinds := func(errors map[string]int) string {
		var all []string
		for _, kind := range slices.Sorted(maps.Keys(errors)) {
			all = append(all, fmt.Sprintf("%s: %d", kind, errors[kind]))
		}
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s, which led %s: silent %v, others %v (outage %s; return %s; handed back after %v); longest wait %v; "+
		"%d draws, %.0f/s; failed %d, lost %d, duplicated %d, foreign %d; sent again for {%s}, of these since the return {%s}",
		f.Name, strings.Join(f.Led, ", "), led.Round(time.Millisecond), others.Round(time.Millisecond),
		out(f.Outage), out(f.Return), f.Handback.Round(time.Millisecond), f.Wait.Round(time.Millisecond),
		f.Draws, f.Rate, f.Verdict.Failed, f.Verdict.Lost, f.Verdict.Duplicated, f.Verdict.Foreign, kinds(f.Errors), kinds(f.Late))
}

// Kill kills nodes of a cluster, starts them again once every slice that can
// has granted something since and away has passed, and waits until each node
// leads its share again. The load runs before, and goes on after.
func Kill(ctx context.Context, c *testcluster.Cluster, l *Load, victims []int, away time.Duration) (*Fault, error) {
	f := &Fault{}
	if err := f.look(ctx, c, victims); err != nil {
		return nil, err
	}
	if err := l.WaitGrants(ctx, time.Now(), nil); err != nil {
		return nil, err
	}
	killed := time.Now()
	together(victims, func(v int) { c.Nodes[v].Kill() })
	if len(victims) <= (len(c.Nodes)-1)/2 {
		// A little later: answers may have been on their way when it died.
		if err := l.WaitGrants(ctx, killed.Add(l.o.Wait/10), nil); err != nil {
			return nil, fmt.Errorf("after %s was killed: %w", f.Name, err)
		}
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Until(killed.Add(away))):
	}
	returned := time.Now()
	for _, v := range victims {
		if err := c.Nodes[v].Start(); err != nil {
			return nil, err
		}
	}
	if err := c.WaitReady(ctx); err != nil {
		return nil, err
	}
	ready := time.Now()
	f.Restart = ready.Sub(returned)
	if err := c.WaitSpread(ctx); err != nil {
		return nil, fmt.Errorf("chaos: after %s returned: %w", f.Name, err)
	}
	f.Handback = time.Since(returned)
	if err := l.WaitGrants(ctx, time.Now(), nil); err != nil {
		return nil, fmt.Errorf("after %s returned: %w", f.Name, err)
	}
	end := time.Now()
	f.Late = l.Errors(ready)
	draws := l.Draws()
	at := func(t time.Time) time.Duration { return t.Sub(l.began) }
	f.Outage = Silences(draws, l.o.Slices, at(killed), at(returned))
	f.Return = Silences(draws, l.o.Slices, at(returned), at(end))
	f.Grants = make([]int, l.o.Slices)
	granted := 0
	for i := range draws {
		d := &draws[i]
		if d.Final != nil || d.End < at(killed) || d.End >= at(end) {
			continue
		}
		granted++
		if d.End < at(returned) {
			f.Grants[d.Slice-1]++
		}
	}
	f.Rate = float64(granted) / end.Sub(killed).Seconds()
	return f, nil
}

// Judge ends a fault's report, once the load has ended and the sink has all.
func (f *Fault) Judge(l *Load, v *Verdict) {
	draws := l.Draws()
	f.Verdict, f.Errors, f.Wait, f.Draws = v, l.Errors(l.began), LongestWait(draws), len(draws)
}

// look notes what the victims lead.
func (f *Fault) look(ctx context.Context, c *testcluster.Cluster, victims []int) error {
	status, err := c.Client(0).Cluster(ctx)
	if err != nil {
		return fmt.Errorf("chaos: %w", err)
	}
	var names []string
	for _, v := range victims {
		names = append(names, c.Nodes[v].ID)
	}
	f.Name = strings.Join(names, ", ")
	for _, g := range status.Groups {
		if !slices.Contains(names, g.Leader) {
			continue
		}
		f.Led = append(f.Led, g.Name)
		if g.Group > 0 {
			f.Silent = append(f.Silent, g.Group)
		}
	}
	return nil
}

func together(victims []int, do func(int)) {
	var wg sync.WaitGroup
	for _, v := range victims {
		wg.Go(func() { do(v) })
	}
	wg.Wait()
}

// OthersGranted reports whether every slice that the killed node did not lead
// granted draws while it was away.
func (f *Fault) OthersGranted() bool {
	for s := range f.Outage {
		if !slices.Contains(f.Silent, s+1) && f.Grants[s] == 0 {
			return false
		}
	}
	return true
}
