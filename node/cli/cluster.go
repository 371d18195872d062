package cli

import (
	"context"
	"fmt"

	"tombola/httpapi/wire"
)

const clusterPath = "/admin/v1/cluster"

// clusterCmd is about the cluster as a whole.
type clusterCmd struct {
	Status clusterStatusCmd `cmd:"" help:"Say in a few lines how the cluster is."`
	Nodes  clusterNodesCmd  `cmd:"" help:"List the nodes."`
	Slices clusterSlicesCmd `cmd:"" help:"List the bank and the slices."`
}

// cluster gets the state and prints it: part of it as JSON, or as rows.
func (f *serverFlags) cluster(ctx context.Context, a *App, part func(*wire.Cluster) any, rows func(*table, *wire.Cluster)) error {
	cl, err := f.connect(a, "")
	if err != nil {
		return err
	}
	defer cl.close()
	var state wire.Cluster
	if _, err := cl.into(ctx, call{method: "GET", path: clusterPath, repeatable: true}, &state); err != nil {
		return err
	}
	if f.json() {
		return a.printValue(part(&state))
	}
	return a.table(func(t *table) { rows(t, &state) })
}

type clusterStatusCmd struct {
	serverFlags `embed:""`
}

// Run prints a summary.
func (c *clusterStatusCmd) Run(ctx context.Context, a *App) error {
	return c.cluster(ctx, a, func(s *wire.Cluster) any { return s }, (*table).cluster)
}

type clusterNodesCmd struct {
	serverFlags `embed:""`
}

// Run lists the nodes.
func (c *clusterNodesCmd) Run(ctx context.Context, a *App) error {
	return c.cluster(ctx, a, func(s *wire.Cluster) any { return s.Nodes }, (*table).nodes)
}

type clusterSlicesCmd struct {
	serverFlags `embed:""`
}

// Run lists the groups.
func (c *clusterSlicesCmd) Run(ctx context.Context, a *App) error {
	return c.cluster(ctx, a, func(s *wire.Cluster) any { return s.Groups }, (*table).groups)
}

// verifyCmd compares what the parts of the cluster hold.
type verifyCmd struct {
	serverFlags `embed:"" set:"timeout=2m"`
	RepairSink  bool `name:"repair-sink" help:"First send again what the sink lost; what was changed in it is left alone."`
}

// Run prints what was compared and each discrepancy.
func (c *verifyCmd) Run(ctx context.Context, a *App) error {
	cl, err := c.connect(a, "")
	if err != nil {
		return err
	}
	defer cl.close()
	var r wire.Report
	if c.RepairSink {
		var done wire.Repair
		raw, err := cl.into(ctx, call{method: "POST", path: "/admin/v1/verify/repair", repeatable: true}, &done)
		if err != nil {
			return err
		}
		if r = done.Report; c.json() {
			err = a.printJSON(raw)
		} else {
			err = a.table(func(t *table) { t.repair(&done) })
		}
		if err != nil {
			return err
		}
	} else if err := c.show(ctx, a, cl, "/admin/v1/verify", &r, func(t *table) { t.report(&r) }); err != nil {
		return err
	}
	if r.OK && len(r.Discrepancies) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d found", errDiscrepancy, len(r.Discrepancies))
}
