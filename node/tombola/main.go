// Command tombola is one node of a cluster, a whole cluster to try things out,
// and the tool to talk to either.
package main

import (
	"context"
	"os"
	"runtime/debug"
	_ "time/tzdata" // prizes have time zones, also on machines without a database of them

	"tombola/node"
	"tombola/node/cli"
)

func main() {
	app := cli.App{
		Serve:   node.Serve,
		Dev:     node.Dev,
		Version: version(),
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
	}
	os.Exit(app.Run(context.Background(), os.Args[1:]))
}

// version returns the version that the build has from the module or from git.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(unknown)"
	}
	return info.Main.Version
}
