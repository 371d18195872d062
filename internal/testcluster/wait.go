package testcluster

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Until asks check again and again until it returns nil. When ctx ends first,
// the error says what was still wrong.
func Until(ctx context.Context, check func(context.Context) error) error {
	const pause = 20 * time.Millisecond
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: still: %w", ctx.Err(), err)
		case <-time.After(pause):
		}
	}
}

// WaitReady waits until every running node says that it is ready, and sees a
// leader of every group.
func (c *Cluster) WaitReady(ctx context.Context) error {
	for i, n := range c.Nodes {
		client := c.Client(i)
		err := Until(ctx, func(ctx context.Context) error {
			if !n.Running() {
				return nil // looked at below
			}
			ready, err := client.Ready(ctx)
			if err != nil {
				return err
			}
			if !ready {
				return fmt.Errorf("%s is not ready", n.ID)
			}
			return c.led(ctx, client)
		})
		if err != nil {
			return fmt.Errorf("testcluster: wait for %s: %w", n.ID, err)
		}
	}
	return c.died()
}

// died returns an error for a node that has ended with an error of its own.
func (c *Cluster) died() error {
	for _, n := range c.Nodes {
		if n.process == nil {
			continue
		}
		select {
		case <-n.process.Done():
			if code := n.process.cmd.ProcessState.ExitCode(); code > 0 {
				return fmt.Errorf("testcluster: %s ended with status %d\n%s", n.ID, code, n.Tail(20))
			}
		default:
		}
	}
	return nil
}

// led returns an error when a group has no leader that the client's node sees.
func (c *Cluster) led(ctx context.Context, client *Client) error {
	status, err := client.Cluster(ctx)
	if err != nil {
		return err
	}
	if len(status.Groups) == 0 {
		return errors.New("no groups")
	}
	for _, g := range status.Groups {
		if g.Leader == "" {
			return fmt.Errorf("%s: %s", g.Name, g.Error)
		}
	}
	return nil
}

// WaitSpread waits until every node leads its share of the slices.
func (c *Cluster) WaitSpread(ctx context.Context) error {
	return Until(ctx, func(ctx context.Context) error {
		status, err := c.Client(0).Cluster(ctx)
		if err != nil {
			return err
		}
		slices := len(status.Groups) - 1
		led := make(map[string]int)
		for _, g := range status.Groups[1:] {
			led[g.Leader]++
		}
		for _, n := range c.Nodes {
			if led[n.ID] < slices/len(c.Nodes) {
				return fmt.Errorf("%d slices are led so: %v", slices, led)
			}
		}
		return nil
	})
}

// WaitSunk waits until the sink has all events of all slices.
func (c *Cluster) WaitSunk(ctx context.Context) error {
	return Until(ctx, func(ctx context.Context) error {
		status, err := c.Client(0).Cluster(ctx)
		if err != nil {
			return err
		}
		for _, g := range status.Groups {
			switch {
			case g.Error != "":
				return fmt.Errorf("%s: %s", g.Name, g.Error)
			case g.Outbox.Lag > 0:
				return fmt.Errorf("%d events of %s are not in the sink %s", g.Outbox.Lag, g.Name, g.Outbox.SinkError)
			}
		}
		return nil
	})
}
