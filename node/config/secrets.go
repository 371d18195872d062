package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
)

// The variables that hold a token itself. A file named by flag or variable
// goes before them.
const (
	AdminTokenEnv = "TOMBOLA_ADMIN_TOKEN" //nolint:gosec // the variable's name is no secret
	DrawTokenEnv  = "TOMBOLA_DRAW_TOKEN"  //nolint:gosec // see above
)

// ErrSecret is wrapped by the errors about what a file with a secret holds.
var ErrSecret = errors.New("not a usable secret")

// Secrets is what must not be printed. Empty fields mean "none".
type Secrets struct {
	AdminToken string
	DrawToken  string
	MySQL      string // the DSN, wherever it came from
	GossipKey  []byte // 16, 24 or 32 bytes
}

// LoadSecrets reads the files that c names, and the variables by getenv
// (os.Getenv). It warns of files that everybody on the machine can read. It is
// called again after a request to reload; on an error the caller keeps what it
// had.
func LoadSecrets(c Config, getenv func(string) string, logger *slog.Logger) (Secrets, error) {
	var s Secrets
	var err error
	if s.AdminToken, err = Token("admin-token-file", c.Tokens.AdminTokenFile, getenv(AdminTokenEnv), logger); err != nil {
		return Secrets{}, err
	}
	if s.DrawToken, err = Token("draw-token-file", c.Tokens.DrawTokenFile, getenv(DrawTokenEnv), logger); err != nil {
		return Secrets{}, err
	}
	s.MySQL = c.Sink.MySQL
	if c.Sink.MySQLDSNFile != "" {
		if s.MySQL, err = readSecret("mysql-dsn-file", c.Sink.MySQLDSNFile, logger); err != nil {
			return Secrets{}, err
		}
		if err = validateDSN("mysql-dsn-file", s.MySQL); err != nil {
			return Secrets{}, err
		}
	}
	if c.TLS.GossipKeyFile != "" {
		if s.GossipKey, err = gossipKey(c.TLS.GossipKeyFile, logger); err != nil {
			return Secrets{}, err
		}
	}
	return s, nil
}

// Token returns the bearer token from the file at path or, where path is
// empty, the token text itself. Both empty: no token. A token is printable
// ASCII without spaces; a newline at its end is not part of it.
func Token(flag, path, text string, logger *slog.Logger) (string, error) {
	token := strings.TrimRight(text, "\r\n")
	if path != "" {
		var err error
		if token, err = readSecret(flag, path, logger); err != nil {
			return "", err
		}
	}
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return "", fmt.Errorf("config: --%s: %w: a token is printable ASCII without spaces", flag, ErrSecret)
		}
	}
	return token, nil
}

// readSecret returns the file's text without the newline at its end.
func readSecret(flag, path string, logger *slog.Logger) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("config: --%s: %w", flag, err)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("config: --%s: %w: %s is empty", flag, ErrSecret, path)
	}
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0 {
		logger.Warn("a file with a secret can be read by everybody on this machine", "flag", "--"+flag, "file", path)
	}
	return secret, nil
}

func gossipKey(path string, logger *slog.Logger) ([]byte, error) {
	text, err := readSecret("gossip-key-file", path, logger)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != 16 && len(key) != 24 && len(key) != 32 {
		return nil, fmt.Errorf("config: --gossip-key-file: %w: want 16, 24 or 32 bytes in base64", ErrSecret)
	}
	return key, nil
}

// LoadHTTPCert reads the certificate for HTTP. Call it only where t.HTTP().
func (t TLS) LoadHTTPCert() (tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("config: --tls-cert, --tls-key: %w", err)
	}
	return cert, nil
}

// LoadCluster reads the authority and the certificate for the connections
// between nodes. Call it only where t.Cluster().
func (t TLS) LoadCluster() (*x509.CertPool, tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(t.ClusterCert, t.ClusterKey)
	if err != nil {
		return nil, tls.Certificate{}, fmt.Errorf("config: --cluster-cert, --cluster-key: %w", err)
	}
	text, err := os.ReadFile(t.ClusterCA)
	if err != nil {
		return nil, tls.Certificate{}, fmt.Errorf("config: --cluster-ca: %w", err)
	}
	ca := x509.NewCertPool()
	if !ca.AppendCertsFromPEM(text) {
		return nil, tls.Certificate{}, fmt.Errorf("config: --cluster-ca: %w: no certificate in %s", ErrSecret, t.ClusterCA)
	}
	return ca, cert, nil
}
