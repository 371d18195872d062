package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"tombola/node/config"
)

// noticeWait is how long load balancers and clients get to notice that a node
// stops, drainWait how long leadership may take to be handed over, and stopWait
// how long what is under way gets to finish.
const (
	noticeWait = time.Second
	drainWait  = 5 * time.Second
	stopWait   = 10 * time.Second
)

// ErrFault is wrapped by what Serve returns when the node could not go on. The
// process should Sever its connections and end at once, whatever still runs in
// it: its disk may hang.
var ErrFault = errors.New("stopped by a fault")

// Serve runs one node until ctx ends, then drains and stops it.
func Serve(ctx context.Context, cfg config.Config, logger *slog.Logger) error {
	secrets, err := config.LoadSecrets(cfg, os.Getenv, logger)
	if err != nil {
		return err
	}
	n, err := Open(ctx, cfg, secrets, logger)
	if err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return stop(n)
		case err := <-n.Failed():
			return faulty(err)
		case <-cfg.Reload:
			if secrets, err = config.LoadSecrets(cfg, os.Getenv, logger); err == nil {
				err = n.Reload(secrets)
			}
			if err != nil {
				logger.Error("tokens and certificates stay as they were", "err", err)
			} else {
				logger.Info("tokens and certificates read again")
			}
		}
	}
}

func stop(n *Node) error {
	n.Retire()
	select {
	case <-time.After(noticeWait):
	case err := <-n.Failed():
		return faulty(err)
	}
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), drainWait)
		n.Drain(ctx)
		cancel()
		ctx, cancel = context.WithTimeout(context.Background(), stopWait)
		defer cancel()
		stopped <- n.Close(ctx)
	}()
	select {
	case err := <-stopped:
		return err
	case err := <-n.Failed():
		return faulty(err)
	}
}

// faulty ends a node that can't go on. Nothing is drained, closed or logged:
// what failed may hang for ever, and others take over faster when the process
// is gone.
func faulty(err error) error {
	return fmt.Errorf("node: %w: %w", ErrFault, err)
}
