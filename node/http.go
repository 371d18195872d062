package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"tombola/httpapi"
	"tombola/node/config"
)

// listenHTTP answers clients from now on, if only that the node is starting.
func (n *Node) listenHTTP(context.Context) error {
	var tlsConfig *tls.Config
	if n.cfg.TLS.HTTP() {
		var err error
		if n.certs, err = httpapi.LoadCertificates(n.cfg.TLS.Cert, n.cfg.TLS.Key); err != nil {
			return fmt.Errorf("node: %w", err)
		}
		tlsConfig = n.certs.TLS()
	}
	var err error
	n.http, err = httpapi.New(httpapi.Config{
		Backend: n.backend, Logger: n.log, Metrics: n.metrics, WriteMetrics: n.writeMetrics,
		Tokens: tokens(n.secrets), SeparateAdmin: n.cfg.Listen.AdminHTTP != "", TLS: tlsConfig,
		Limits: httpapi.Limits{Connections: connections(descriptors())},
	})
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	if err := n.serve(n.cfg.Listen.HTTP, n.http.Serve); err != nil {
		return err
	}
	if n.cfg.Listen.AdminHTTP != "" {
		return n.serve(n.cfg.Listen.AdminHTTP, n.http.ServeAdmin)
	}
	return nil
}

const (
	maxConnections = 65536
	// keptDescriptors are for everything but clients: logs, outboxes, peers, the
	// sink, gossip, operators.
	keptDescriptors = 2048
)

// connections returns how many clients may be connected at once to a process
// that may have so many files open: where descriptors are few, half of them.
func connections(descriptors uint64) int {
	return int(min(max(descriptors/2, descriptors-min(descriptors, keptDescriptors)), maxConnections))
}

// descriptors returns how many files the process may have open. Go has raised
// that to what the system lets it.
func descriptors() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return limit.Cur
}

func (n *Node) serve(addr string, serve func(net.Listener) error) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("node: listen for HTTP: %w", err)
	}
	n.log.Info("listening", "http", ln.Addr().String())
	n.loops.Go(func() {
		if err := serve(ln); !errors.Is(err, httpapi.ErrStopped) {
			n.fail(err)
		}
	})
	return nil
}

func tokens(s config.Secrets) httpapi.Tokens {
	var t httpapi.Tokens
	if s.AdminToken != "" {
		t.Admin = []string{s.AdminToken}
	}
	if s.DrawToken != "" {
		t.Draw = []string{s.DrawToken}
	}
	return t
}

// Reload reads tokens and certificates again. On an error everything stays as
// it was.
func (n *Node) Reload(secrets config.Secrets) error {
	if n.certs != nil {
		if err := n.certs.Reload(); err != nil {
			return err
		}
	}
	n.http.SetTokens(tokens(secrets))
	return nil
}

func (n *Node) writeMetrics(w io.Writer) { n.metrics.WritePrometheus(w) }
