// Command tombola is one node of a cluster, a whole cluster to try things out,
// and the tool to talk to either.
package main

import (
	"context"
	"os"
	_ "time/tzdata" // prizes have time zones, also on machines without a database of them

	"tombola/node"
	"tombola/node/cli"
)

func main() {
	app := cli.App{
		Serve:   node.Serve,
		Dev:     node.Dev,
		Version: node.Version(),
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
	}
	os.Exit(app.Run(context.Background(), os.Args[1:]))
}
