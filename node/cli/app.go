// Package cli is the command line of tombola: it runs nodes by the functions
// that it is given, and talks HTTP to those that run already.
//
// Exit statuses are part of the contract with scripts: 0 done, 1 refused or a
// discrepancy found, 2 wrong usage, 3 no server could be reached.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"tombola/httpapi/wire"
	"tombola/node/config"
)

// The exit statuses.
const (
	ExitDone        = 0
	ExitRefused     = 1
	ExitUsage       = 2
	ExitUnreachable = 3
)

// DevOptions is what `tombola dev` is told.
type DevOptions = config.DevOptions

// App is the program. Serve and Dev are called at most once, by the commands
// of these names; both return when ctx is done or when they can't go on.
type App struct {
	// Serve runs one node with a configuration that is complete and valid.
	Serve func(ctx context.Context, cfg config.Config, logger *slog.Logger) error
	// Dev runs a cluster in this process and tells out how to use it.
	Dev func(ctx context.Context, d DevOptions, logger *slog.Logger, out io.Writer) error

	Version string
	Stdout  io.Writer
	Stderr  io.Writer

	// pause waits for d or for ctx, in place of the clock in tests.
	pause func(ctx context.Context, d time.Duration) error
}

// grammar is the command line as kong reads it.
type grammar struct {
	Dev     devCmd     `cmd:"" help:"Run a cluster of three nodes in this process, to try things out."`
	Serve   serveCmd   `cmd:"" help:"Run one node of a cluster."`
	Prize   prizeCmd   `cmd:"" help:"Create, show and change prizes."`
	Draw    drawCmd    `cmd:"" help:"Draw from a prize."`
	Grants  grantsCmd  `cmd:"" help:"Show a grant, or a user's grants."`
	Cluster clusterCmd `cmd:"" help:"Show the cluster's state."`
	Verify  verifyCmd  `cmd:"" help:"Compare prizes, slices and sink; exit 1 on any discrepancy."`
	Config  configCmd  `cmd:"" help:"Print or check what serve would be told."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// errUsage is wrapped by what is wrong with a command line that kong accepts.
var errUsage = errors.New("wrong usage")

// errNegative ends a command with ExitRefused whose output said why already.
var errNegative = errors.New("refused")

// usagef returns an error for ExitUsage.
func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }
func (e *usageError) Unwrap() error { return errUsage }

// hintError adds what the user can do about err.
type hintError struct {
	err  error
	hint string
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }

// hintOf returns err's hint in brackets, or nothing.
func hintOf(err error) string {
	var h *hintError
	if !errors.As(err, &h) {
		return ""
	}
	return " (" + h.hint + ")"
}

// Run carries out the command in args (without the program's name) and returns
// the exit status. The first SIGINT or SIGTERM ends the command's context; the
// second one ends the process.
func (a App) Run(ctx context.Context, args []string) (status int) {
	if a.pause == nil {
		a.pause = pause
	}
	k, err := kong.New(&grammar{},
		kong.Name("tombola"),
		kong.Description("Hands out a limited number of things to a crowd that arrives all at once."),
		kong.Writers(a.Stdout, a.Stderr),
		kong.Exit(func(code int) { panic(exit(code)) }), // --help wants to stop parsing right there
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Bind(&a),
		kong.Vars{"timeout": "15s"}, // more than the 10s for which a draw may wait
	)
	if err != nil {
		return a.fail(fmt.Errorf("cli: %w", err))
	}
	defer func() {
		if r := recover(); r != nil {
			code, ok := r.(exit)
			if !ok {
				panic(r)
			}
			status = int(code)
		}
	}()
	command, err := k.Parse(args)
	if err != nil {
		return a.fail(err)
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // from then on a signal has its usual effect
	command.BindTo(ctx, (*context.Context)(nil))
	return a.fail(command.Run())
}

// exit carries an exit status out of kong.
type exit int

// fail tells err and returns its exit status.
func (a *App) fail(err error) int {
	if err == nil {
		return ExitDone
	}
	var parse *kong.ParseError
	var problem *wire.Problem
	hint := hintOf(err)
	switch {
	case errors.Is(err, errNegative):
		return ExitRefused
	case errors.As(err, &parse), errors.Is(err, errUsage):
		a.say("%v (see tombola --help)", err)
		return ExitUsage
	case errors.Is(err, config.ErrInvalid), errors.Is(err, config.ErrFile):
		for line := range strings.Lines(err.Error()) { // one for each flag
			a.say("%s", line)
		}
		return ExitUsage
	case errors.As(err, &problem):
		a.say("%s%s", describe(problem), hint)
		return ExitRefused
	case errors.Is(err, errUnreachable):
		a.say("%v%s", err, hint)
		return ExitUnreachable
	case errors.Is(err, context.Canceled):
		a.say("interrupted%s", hint)
		return ExitRefused
	default:
		a.say("%v", err)
		return ExitRefused
	}
}

// say writes one line to standard error.
func (a *App) say(format string, args ...any) {
	fmt.Fprintln(a.Stderr, "tombola: "+oneLine(fmt.Sprintf(format, args...)))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// describe tells a problem in one line that starts with its code.
func describe(p *wire.Problem) string {
	if p.Code == wire.NoProblem {
		return fmt.Sprintf("the server answered %d: %s", p.Status, p.Detail)
	}
	text := p.Error()
	if p.Granted != nil && !strings.Contains(p.Detail, strconv.FormatInt(*p.Granted, 10)) {
		text += fmt.Sprintf(" (granted: %d)", *p.Granted)
	}
	if p.Code == wire.CodeUnauthorized || p.Code == wire.CodeForbidden {
		text += " (see --admin-token-file and " + config.AdminTokenEnv + ")"
	}
	return text
}

// pause waits for d.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(a *App) error {
	_, err := fmt.Fprintln(a.Stdout, "tombola", a.Version)
	return err
}
