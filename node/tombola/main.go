// Command tombola is one node of a cluster, a whole cluster to try things out,
// and the tool to talk to either.
package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
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
	p := &program{stderr: &lastLine{to: os.Stderr}}
	app := cli.App{
		Serve:   p.serve,
		Dev:     node.Dev,
		Version: node.Version(),
		Stdout:  os.Stdout,
		Stderr:  p.stderr,
	}
	status := app.Run(context.Background(), os.Args[1:])
	if p.faulty {
		p.end()
	}
	os.Exit(status)
}

// program is the process as a node in it that can't go on needs it.
type program struct {
	stderr *lastLine
	faulty bool
}

func (p *program) serve(ctx context.Context, cfg config.Config, logger *slog.Logger) error {
	err := node.Serve(ctx, cfg, logger)
	if p.faulty = errors.Is(err, node.ErrFault); p.faulty {
		p.stderr.shut.Store(true)
		time.AfterFunc(lastWords, p.end)
	}
	return err
}

// end ends the process though its disk may hang, and a part of it with that.
func (p *program) end() {
	node.Sever()
	os.Exit(cli.ExitRefused)
}

// lastLine is a file that, once it is shut, takes the command's own words only:
// the log ends with why the process does, rather than with what all its parts
// think of what they lost.
type lastLine struct {
	to   *os.File
	shut atomic.Bool
	mu   sync.Mutex // one line after the other
}

func (l *lastLine) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut.Load() && !bytes.HasPrefix(p, []byte("tombola: ")) {
		return len(p), nil
	}
	return l.to.Write(p)
}
