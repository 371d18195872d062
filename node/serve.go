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
// how long what is under way gets to finish. Whoever asks again to stop gets
// hasteWait for all that is left.
const (
	noticeWait = time.Second
	drainWait  = 5 * time.Second
	stopWait   = 20 * time.Second // draws may wait for half of it
	hasteWait  = 2 * time.Second
	// endWait is what is left to what can't be told to hurry. After it the
	// process ends all the same, which the data on its disk survives.
	endWait = 3 * time.Second
)

// errSlowStop is returned when a node had to be ended as by a crash.
var errSlowStop = errors.New("node: it did not stop in time and is ended; nothing is lost")

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
	n, err := openInTime(ctx, cfg, secrets, logger)
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

// openInTime opens a node, and gives that up when ctx ends and it hangs: a name
// that nobody resolves, or a disk that does not answer.
func openInTime(ctx context.Context, cfg config.Config, secrets config.Secrets, logger *slog.Logger) (n *Node, err error) {
	opened := make(chan struct{})
	go func() {
		defer close(opened)
		n, err = Open(ctx, cfg, secrets, logger)
	}()
	select {
	case <-opened:
		return n, err
	case <-ctx.Done():
	}
	select {
	case <-opened:
		return n, err
	case <-time.After(endWait):
		return nil, errSlowStop
	}
}

// stop drains and closes a node. When cfg.Hasten says so it skips what is for
// others' comfort.
func stop(n *Node) error {
	haste, done := hastening(n)
	defer done()
	n.log.Info("stopping; a second signal hastens it")
	n.Retire()
	select {
	case <-time.After(noticeWait):
	case <-haste.Done():
	case err := <-n.Failed():
		return faulty(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainWait+stopWait)
	defer cancel()
	defer context.AfterFunc(haste, func() {
		select {
		case <-ctx.Done():
		case <-time.After(hasteWait):
			cancel()
		}
	})()
	closed := make(chan error, 1)
	go func() {
		handOver, done := context.WithTimeout(haste, drainWait)
		n.HandOver(handOver)
		done()
		n.Drain()
		closed <- n.Close(ctx)
	}()
	hurry := ctx.Done()
	var end <-chan time.Time
	for {
		select {
		case err := <-closed:
			return err
		case err := <-n.Failed():
			return faulty(err)
		case <-hurry:
			hurry, end = nil, time.After(endWait)
		case <-end:
			return errSlowStop
		}
	}
}

// hastening returns a context that ends when n is asked again to stop.
func hastening(n *Node) (ctx context.Context, done func()) {
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		select {
		case <-n.cfg.Hasten:
			n.log.Info("asked again: stopping without more ado")
			cancel()
		case <-over:
		}
	}()
	return ctx, func() { close(over); cancel() }
}

// faulty ends a node that can't go on. Nothing is drained, closed or logged:
// what failed may hang for ever, and others take over faster when the process
// is gone.
func faulty(err error) error {
	return fmt.Errorf("node: %w: %w", ErrFault, err)
}
