// Command tombola is one node of a cluster, a whole cluster to try things out,
// and the tool to talk to either.
package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"
	_ "time/tzdata" // prizes have time zones, also on machines without a database of them

	"tombola/node"
	"tombola/node/cli"
	"tombola/node/config"
)

// lastWords is how long a node that can't go on has to say why. Its standard
// error may be a file on the very disk that hangs.
const lastWords = time.Second

func main() {
	app := cli.App{
		Serve:   serve,
		Dev:     node.Dev,
		Version: node.Version(),
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
	}
	os.Exit(app.Run(context.Background(), os.Args[1:]))
}

func serve(ctx context.Context, cfg config.Config, logger *slog.Logger) error {
	err := node.Serve(ctx, cfg, logger)
	if errors.Is(err, node.ErrFault) {
		time.AfterFunc(lastWords, func() { os.Exit(cli.ExitRefused) })
	}
	return err
}
