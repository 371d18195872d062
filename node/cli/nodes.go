package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"tombola/node/config"
)

// serveCmd runs a node.
type serveCmd struct {
	Config config.Config `embed:""`
}

// Run runs the node until ctx ends. SIGHUP asks it to read tokens and
// certificates again.
func (c *serveCmd) Run(ctx context.Context, a *App) error {
	cfg := complete(c.Config)
	if err := config.Validate(cfg); err != nil {
		return err
	}
	logger, err := config.NewLogger(a.Stderr, cfg.Log)
	if err != nil {
		return err
	}
	for _, w := range config.Warnings(cfg) {
		logger.Warn("this works and is probably not meant", "what", w)
	}
	reload, stop := hangups()
	defer stop()
	cfg.Reload = reload
	hasten, stop := secondSignal(ctx)
	defer stop()
	cfg.Hasten = hasten
	return a.Serve(ctx, cfg, logger)
}

// secondSignal returns a channel that is closed when the program is asked to
// stop once more after ctx has ended. A third signal ends it at once.
func secondSignal(ctx context.Context) (<-chan struct{}, func()) {
	signals, out, over := make(chan os.Signal, 1), make(chan struct{}), make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	var done sync.WaitGroup
	done.Go(func() {
		select {
		case <-ctx.Done():
		case <-over:
			return
		}
		// The signal that ended ctx comes here as well, if it was one.
		for range 2 {
			select {
			case <-signals:
			case <-over:
				return
			}
		}
		signal.Stop(signals)
		close(out)
	})
	return out, func() {
		signal.Stop(signals)
		close(over)
		done.Wait()
	}
}

// hangups returns a channel that has a value after each SIGHUP; those that come
// while one waits to be received are one with it.
func hangups() (<-chan struct{}, func()) {
	signals, out, done := make(chan os.Signal, 1), make(chan struct{}, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		defer close(done)
		for range signals {
			select {
			case out <- struct{}{}:
			default:
			}
		}
	}()
	return out, func() {
		signal.Stop(signals)
		close(signals)
		<-done
	}
}

// complete fills in what this machine knows.
func complete(c config.Config) config.Config {
	name, err := os.Hostname()
	if err != nil {
		name = "" // Validate asks for --node-id then
	}
	return config.Complete(c, name)
}

// devCmd runs a cluster to try things out.
type devCmd struct {
	DevOptions `embed:""`
}

// Run runs the cluster until ctx ends.
func (c *devCmd) Run(ctx context.Context, a *App) error {
	if err := config.ValidateDev(c.DevOptions); err != nil {
		return err
	}
	logger, err := config.NewLogger(a.Stderr, config.Log{Level: c.LogLevel, Format: "text"})
	if err != nil {
		return err
	}
	return a.Dev(ctx, c.DevOptions, logger, a.Stdout)
}

// configCmd is about what serve would be told.
type configCmd struct {
	Print configPrintCmd `cmd:"" help:"Print the settings as a YAML file, passwords hidden."`
	Check configCheckCmd `cmd:"" help:"Check the settings and read the files that they name."`
}

type configPrintCmd struct {
	Config config.Config `embed:""`
}

// Run prints the configuration, valid or not.
func (c *configPrintCmd) Run(a *App) error {
	return config.Print(a.Stdout, complete(c.Config))
}

type configCheckCmd struct {
	Config config.Config `embed:""`
}

// Run checks everything that can be checked without starting a node.
func (c *configCheckCmd) Run(a *App) error {
	cfg := complete(c.Config)
	if err := config.Validate(cfg); err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(a.Stderr, nil))
	_, err := config.LoadSecrets(cfg, os.Getenv, logger)
	errs := []error{err}
	if cfg.TLS.HTTP() {
		_, err := cfg.TLS.LoadHTTPCert()
		errs = append(errs, err)
	}
	if cfg.TLS.Cluster() {
		_, _, err := cfg.TLS.LoadCluster()
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, w := range config.Warnings(cfg) {
		a.say("warning: %s", w)
	}
	_, err = fmt.Fprintln(a.Stdout, "ok")
	return err
}
