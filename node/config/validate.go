package config

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// The limits of what Validate lets through.
const (
	MaxExpect          = 9
	MaxSlices          = 64 // grant ids have room for 32767; each slice is a Raft group with files and timers of its own
	MinElectionTimeout = 50 * time.Millisecond
	MaxElectionTimeout = time.Minute
	MinDiskStall       = 100 * time.Millisecond
	MinRetain          = time.Second
	MinSnapshotBytes   = 64 << 10

	maxDevPort = 65333 // gossip has the ports from 200 above it
)

// ErrInvalid is wrapped by each of Validate's errors.
var ErrInvalid = errors.New("config")

// invalid makes an error that names the flag.
func invalid(flag, format string, args ...any) error {
	return fmt.Errorf("%w: --%s: %s", ErrInvalid, flag, fmt.Sprintf(format, args...))
}

// Validate tells everything that is wrong with a completed configuration,
// joined by errors.Join, each naming its flag. It reads no files and changes
// nothing.
func Validate(c Config) error {
	return errors.Join(
		validateNode(c),
		validateListen(c.Listen),
		validateAdvertise(c.Advertise, c.Listen),
		validateCluster(c.Cluster),
		validateSink(c.Sink),
		validateTLS(c.TLS),
		validateTiming(c.Timing),
		validateLog(c.Log),
	)
}

// Warnings tells what works and is probably not meant, one line each.
func Warnings(c Config) []string {
	var w []string
	if n := c.Cluster.BootstrapExpect; n > 1 && n%2 == 0 {
		w = append(w, fmt.Sprintf("--bootstrap-expect: %d servers survive no more failures than %d do: use %d or %d", n, n-1, n-1, n+1))
	}
	if c.Cluster.BootstrapExpect > 1 && c.Sink.SQLite != "" {
		w = append(w, "--sqlite: every node keeps a file of its own, which holds only what this node sent while it led; name a MySQL to have everything in one place")
	}
	if c.ChaosClockFile != "" {
		w = append(w, "--chaos-clock-file: this node's clock is WRONG whenever that file says so; it is for tests only")
	}
	return w
}

func validateNode(c Config) error {
	var errs []error
	if c.SnapshotBytes < MinSnapshotBytes {
		errs = append(errs, invalid("snapshot-bytes", "must be at least %s, not %s", Size(MinSnapshotBytes), c.SnapshotBytes))
	}
	switch {
	case c.NodeID == "":
		errs = append(errs, invalid("node-id", "must be set: this machine has no host name"))
	case !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`).MatchString(c.NodeID):
		errs = append(errs, invalid("node-id", "must be 1 to 63 letters, digits, dots, dashes or underscores that start with a letter or digit, not %q", c.NodeID))
	}
	if c.Data == "" {
		errs = append(errs, invalid("data", "must name a directory"))
	}
	return errors.Join(errs...)
}

func validateListen(l Listen) error {
	errs := []error{
		address("http", l.HTTP),
		address("cluster", l.Cluster),
		address("gossip", l.Gossip),
	}
	if l.AdminHTTP != "" {
		errs = append(errs, address("admin-http", l.AdminHTTP))
	}
	used := map[string]string{}
	for _, e := range []struct{ flag, addr string }{
		{"http", l.HTTP}, {"admin-http", l.AdminHTTP}, {"cluster", l.Cluster}, {"gossip", l.Gossip},
	} {
		if e.addr == "" {
			continue
		}
		if other, taken := used[e.addr]; taken {
			errs = append(errs, invalid(e.flag, "%s is taken by --%s already", e.addr, other))
			continue
		}
		used[e.addr] = e.flag
	}
	return errors.Join(errs...)
}

func validateAdvertise(a Advertise, l Listen) error {
	var errs []error
	for _, e := range []struct{ flag, addr, listen string }{
		{"http", a.HTTP, l.HTTP}, {"cluster", a.Cluster, l.Cluster}, {"gossip", a.Gossip, l.Gossip},
	} {
		if e.addr == e.listen && address(e.flag, e.listen) != nil {
			continue // said about the address to listen on already
		}
		if err := address("advertise-"+e.flag, e.addr); err != nil {
			errs = append(errs, err)
			continue
		}
		if host, _, _ := net.SplitHostPort(e.addr); unspecified(host) {
			errs = append(errs, invalid("advertise-"+e.flag, "must be an address that others reach this node at, since --%s %s means every address", e.flag, e.listen))
		}
	}
	return errors.Join(errs...)
}

func validateCluster(c Cluster) error {
	var errs []error
	if c.BootstrapExpect < 1 || c.BootstrapExpect > MaxExpect {
		errs = append(errs, invalid("bootstrap-expect", "must be 1 to %d (1, 3 or 5 in most cases), not %d", MaxExpect, c.BootstrapExpect))
	} else if c.Slices < 1 || c.Slices > MaxSlices {
		errs = append(errs, invalid("slices", "must be 1 to %d, or 0 for one per expected server, not %d", MaxSlices, c.Slices))
	}
	for _, a := range c.Join {
		errs = append(errs, address("join", a))
	}
	return errors.Join(errs...)
}

func validateSink(s Sink) error {
	var errs []error
	if s.MySQL != "" && s.MySQLDSNFile != "" {
		errs = append(errs, invalid("mysql-dsn-file", "can't be used together with --mysql"))
	}
	if s.SQLite != "" && (s.MySQL != "" || s.MySQLDSNFile != "") {
		errs = append(errs, invalid("sqlite", "can't be used together with MySQL"))
	}
	if s == (Sink{}) {
		errs = append(errs, invalid("sqlite", "must be set where no MySQL is named"))
	}
	if s.MySQL != "" {
		errs = append(errs, validateDSN("mysql", s.MySQL))
	}
	return errors.Join(errs...)
}

// validateDSN says what is wrong without repeating the DSN, which holds a
// password.
func validateDSN(flag, dsn string) error {
	d, err := mysql.ParseDSN(dsn)
	if err != nil {
		return invalid(flag, "must be like user:password@tcp(host:port)/database")
	}
	if d.DBName == "" {
		return invalid(flag, "must end in the name of a database, as in user:password@tcp(host:port)/database")
	}
	return nil
}

func validateTLS(t TLS) error {
	var errs []error
	if t.Cert != "" && t.Key == "" {
		errs = append(errs, invalid("tls-key", "must be set together with --tls-cert"))
	}
	if t.Key != "" && t.Cert == "" {
		errs = append(errs, invalid("tls-cert", "must be set together with --tls-key"))
	}
	for _, e := range []struct{ flag, path string }{
		{"cluster-ca", t.ClusterCA}, {"cluster-cert", t.ClusterCert}, {"cluster-key", t.ClusterKey},
	} {
		if e.path == "" && t.ClusterCA+t.ClusterCert+t.ClusterKey != "" {
			errs = append(errs, invalid(e.flag, "must be set: --cluster-ca, --cluster-cert and --cluster-key come together"))
			break
		}
	}
	return errors.Join(errs...)
}

func validateTiming(t Timing) error {
	var errs []error
	if t.ElectionTimeout < MinElectionTimeout || t.ElectionTimeout > MaxElectionTimeout {
		errs = append(errs, invalid("election-timeout", "must be %s to %s, not %s", duration(MinElectionTimeout), duration(MaxElectionTimeout), duration(t.ElectionTimeout)))
	}
	if t.DiskStallTimeout != 0 && t.DiskStallTimeout < MinDiskStall {
		errs = append(errs, invalid("disk-stall-timeout", "must be 0 (off) or at least %s, not %s", duration(MinDiskStall), duration(t.DiskStallTimeout)))
	}
	if t.Retain < MinRetain {
		errs = append(errs, invalid("retain", "must be at least %s, not %s", duration(MinRetain), duration(t.Retain)))
	}
	return errors.Join(errs...)
}

func validateLog(l Log) error {
	var errs []error
	if _, err := Level(l.Level); err != nil {
		errs = append(errs, err)
	}
	if l.Format != "text" && l.Format != "json" {
		errs = append(errs, invalid("log-format", "must be text or json, not %q", l.Format))
	}
	return errors.Join(errs...)
}

// address accepts host:port with a port from 1 to 65535; the host may be empty.
func address(flag, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return invalid(flag, "must be host:port, not %q", addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return invalid(flag, "must end in a port from 1 to 65535, not %q", addr)
	}
	if strings.ContainsAny(host, " \t/@") {
		return invalid(flag, "must be host:port, not %q", addr)
	}
	return nil
}

// ValidateDev tells everything that is wrong with d, as Validate does.
func ValidateDev(d DevOptions) error {
	var errs []error
	if d.Data == "" {
		errs = append(errs, invalid("data", "must name a directory"))
	}
	if d.HTTPBase < 1 || d.HTTPBase > maxDevPort {
		errs = append(errs, invalid("http-base", "must be 1 to %d, since ports up to 202 above it are used as well, not %d", maxDevPort, d.HTTPBase))
	}
	if d.MySQL != "" {
		errs = append(errs, validateDSN("mysql", d.MySQL))
	}
	if _, err := Level(d.LogLevel); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
