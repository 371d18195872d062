package config

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// hidden stands where a secret is.
const hidden = "***"

// entry is one setting by its flag's name.
type entry struct {
	name  string
	value any
}

// entries lists all settings in the order of the help. It is written out, and
// a test compares it with the flags: what is printed, and what a file may say,
// is a promise to users that should not follow a field's name by accident.
func entries(c Config) []entry {
	return []entry{
		{"node-id", c.NodeID},
		{"data", c.Data},
		{"disk-floor", c.DiskFloor.String()},
		{"snapshot-bytes", c.SnapshotBytes.String()},
		{"chaos-clock-file", c.ChaosClockFile},
		{"http", c.Listen.HTTP},
		{"admin-http", c.Listen.AdminHTTP},
		{"cluster", c.Listen.Cluster},
		{"gossip", c.Listen.Gossip},
		{"advertise-http", c.Advertise.HTTP},
		{"advertise-cluster", c.Advertise.Cluster},
		{"advertise-gossip", c.Advertise.Gossip},
		{"bootstrap-expect", c.Cluster.BootstrapExpect},
		{"join", c.Cluster.Join},
		{"slices", c.Cluster.Slices},
		{"mysql", HideDSN(c.Sink.MySQL)},
		{"mysql-dsn-file", c.Sink.MySQLDSNFile},
		{"sqlite", c.Sink.SQLite},
		{"admin-token-file", c.Tokens.AdminTokenFile},
		{"draw-token-file", c.Tokens.DrawTokenFile},
		{"tls-cert", c.TLS.Cert},
		{"tls-key", c.TLS.Key},
		{"cluster-ca", c.TLS.ClusterCA},
		{"cluster-cert", c.TLS.ClusterCert},
		{"cluster-key", c.TLS.ClusterKey},
		{"gossip-key-file", c.TLS.GossipKeyFile},
		{"election-timeout", duration(c.Timing.ElectionTimeout)},
		{"disk-stall-timeout", duration(c.Timing.DiskStallTimeout)},
		{"accept-clock-back", instant(c.Timing.AcceptClockBack)},
		{"retain", duration(c.Timing.Retain)},
		{"log-level", c.Log.Level},
		{"log-format", c.Log.Format},
	}
}

// instant formats t as a flag takes it, and no time as nothing.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

// Print writes c as a YAML file that --config takes, passwords hidden. What is
// not set is left out.
func Print(w io.Writer, c Config) error {
	var doc yaml.MapSlice
	for _, e := range entries(c) {
		switch v := e.value.(type) {
		case string:
			if v == "" {
				continue
			}
		case []string:
			if len(v) == 0 {
				continue
			}
		}
		doc = append(doc, yaml.MapItem{Key: e.name, Value: e.value})
	}
	text, err := yaml.MarshalWithOptions(doc, yaml.IndentSequence(true))
	if err != nil {
		return fmt.Errorf("config: print: %w", err)
	}
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("config: print: %w", err)
	}
	return nil
}

// HideDSN returns a MySQL DSN without its password, for logs and listings. A
// text in which no user can be told from a password is hidden whole.
func HideDSN(dsn string) string {
	if dsn == "" {
		return ""
	}
	// user[:password]@net(addr)/db?params. The password may hold any of the
	// separators, so the last slash and, before it, the last @ count.
	slash := strings.LastIndexByte(dsn, '/')
	if slash < 0 {
		return hidden
	}
	at := strings.LastIndexByte(dsn[:slash], '@')
	if at < 0 {
		if strings.Contains(dsn[slash:], "@") || strings.Contains(dsn, "://") {
			return hidden
		}
		return dsn
	}
	user, _, has := strings.Cut(dsn[:at], ":")
	if !has {
		return dsn
	}
	if strings.HasPrefix(dsn[len(user):], "://") {
		return hidden
	}
	return user + ":" + hidden + dsn[at:]
}

// duration formats d as people write it: 24h, not 24h0m0s.
func duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
