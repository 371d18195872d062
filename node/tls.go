package node

import (
	"crypto/tls"
	"fmt"

	"tombola/node/config"
)

// clusterTLS returns what servers speak to each other with: TLS with
// certificates checked both ways, or nothing.
func clusterTLS(cfg config.TLS) (server, client *tls.Config, err error) {
	if !cfg.Cluster() {
		return nil, nil, nil
	}
	authority, cert, err := cfg.LoadCluster()
	if err != nil {
		return nil, nil, fmt.Errorf("node: %w", err)
	}
	server = &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authority,
	}
	client = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, RootCAs: authority}
	return server, client, nil
}
