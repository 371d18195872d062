package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tombola/internal/testcluster"
)

// Away is how fast a cluster granted while a node was away for long and came
// back, in grants a second.
type Away struct {
	Before, During, CatchingUp, After float64
	Longest                           time.Duration // silence of any slice while the node caught up
}

// String is a line of a report.
func (a *Away) String() string {
	return fmt.Sprintf("grants a second: %.0f before, %.0f while it was away, %.0f while it caught up, %.0f after; longest silence of a slice while it caught up %v",
		a.Before, a.During, a.CatchingUp, a.After, a.Longest.Round(time.Millisecond))
}

// StayAway kills a node for as long as the others need to take snapshots of all
// groups that they cut their logs behind, twice, and returns once the node leads
// its share again. calm is how long is counted before, and after.
func StayAway(ctx context.Context, c *testcluster.Cluster, l *Load, victim int, calm time.Duration) (*Away, error) {
	first := time.Now()
	if err := l.WaitGrants(ctx, first.Add(calm), nil); err != nil {
		return nil, err
	}
	left := time.Now()
	c.Nodes[victim].Kill()
	marks := make([]int, len(c.Nodes))
	for i, n := range c.Nodes {
		marks[i] = len(snapshots(n))
	}
	err := testcluster.Until(ctx, func(context.Context) error {
		for i, n := range c.Nodes {
			if taken := snapshots(n)[marks[i]:]; i != victim && !twiceEach(taken, l.o.Slices) {
				return fmt.Errorf("%s has taken %d snapshots", n.ID, len(taken))
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("chaos: %w", err)
	}
	back := time.Now()
	if err := c.Nodes[victim].Start(); err != nil {
		return nil, err
	}
	if err := c.WaitReady(ctx); err != nil {
		return nil, err
	}
	if err := c.WaitSpread(ctx); err != nil {
		return nil, fmt.Errorf("chaos: after %s returned: %w", c.Nodes[victim].ID, err)
	}
	caught := time.Now()
	if err := l.WaitGrants(ctx, caught.Add(calm), nil); err != nil {
		return nil, err
	}
	end := time.Now()
	draws := l.Draws()
	rate := func(from, to time.Time) float64 {
		n := 0
		for i := range draws {
			if at := l.began.Add(draws[i].End); draws[i].Final == nil && at.After(from) && !at.After(to) {
				n++
			}
		}
		return float64(n) / to.Sub(from).Seconds()
	}
	a := &Away{Before: rate(first, left), During: rate(left, back), CatchingUp: rate(back, caught), After: rate(caught, end)}
	for _, s := range Silences(draws, l.o.Slices, back.Sub(l.began), caught.Sub(l.began)) {
		a.Longest = max(a.Longest, s.For)
	}
	return a, nil
}

// snapshots returns a node's words about the snapshots that it took.
func snapshots(n *testcluster.Node) []string { return n.Logged("snapshot taken") }

// twiceEach reports whether each slice is named in two lines.
func twiceEach(lines []string, slicesCount int) bool {
	taken := make([]int, slicesCount+1)
	for _, line := range lines {
		for s := range taken {
			if slices.Contains(strings.Fields(line), fmt.Sprintf("group=%d", s)) {
				taken[s]++
			}
		}
	}
	return slices.Min(taken[1:]) >= 2
}
