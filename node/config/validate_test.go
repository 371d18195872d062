package config_test

import (
	"errors"
	"strings"
	"testing"

	"tombola/node/config"
)

func TestWhatCantWorkIsRefusedByTheNameOfItsFlag(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--node-id", "a b"}, "config: --node-id: "},
		{[]string{"--node-id=-a"}, "config: --node-id: "},
		{[]string{"--node-id", strings.Repeat("n", 64)}, "config: --node-id: "},
		{[]string{"--data", "", "--sqlite", "x.db"}, "config: --data: must name a directory"},
		{[]string{"--http", "7070"}, `config: --http: must be host:port, not "7070"`},
		{[]string{"--http", "http://a:1"}, "config: --http: "},
		{[]string{"--http", "127.0.0.1:0"}, "config: --http: must end in a port from 1 to 65535"},
		{[]string{"--http", "127.0.0.1:65536"}, "config: --http: must end in a port"},
		{[]string{"--admin-http", "x"}, "config: --admin-http: must be host:port"},
		{[]string{"--cluster", "a:b"}, "config: --cluster: must end in a port"},
		{[]string{"--gossip", ""}, "config: --gossip: must be host:port"},
		{[]string{"--admin-http", "127.0.0.1:7070"}, "config: --admin-http: 127.0.0.1:7070 is taken by --http already"},
		{[]string{"--gossip", "127.0.0.1:7170"}, "config: --gossip: 127.0.0.1:7170 is taken by --cluster already"},
		{[]string{"--cluster", "0.0.0.0:7170"}, "config: --advertise-cluster: must be an address that others reach this node at, since --cluster 0.0.0.0:7170 means every address"},
		{[]string{"--gossip", "[::]:7270"}, "config: --advertise-gossip: "},
		{[]string{"--gossip", ":7270"}, "config: --advertise-gossip: "},
		{[]string{"--advertise-http", "0.0.0.0"}, "config: --advertise-http: must be host:port"},
		{[]string{"--advertise-http", "a:0"}, "config: --advertise-http: must end in a port"},
		{[]string{"--bootstrap-expect", "0"}, "config: --bootstrap-expect: must be 1 to 9 (1, 3 or 5 in most cases), not 0"},
		{[]string{"--bootstrap-expect", "10"}, "config: --bootstrap-expect: must be 1 to 9"},
		{[]string{"--slices", "65"}, "config: --slices: must be 1 to 64, or 0 for one per expected server, not 65"},
		{[]string{"--slices=-1"}, "config: --slices: must be 1 to 64"},
		{[]string{"--join", "10.0.0.1"}, "config: --join: must be host:port"},
		{[]string{"--join", "a:1,,b:1"}, "config: --join: must be host:port"},
		{[]string{"--mysql", "tombola"}, "config: --mysql: must be like user:password@tcp(host:port)/database"},
		{[]string{"--mysql", "u:p@tcp(h:1)/"}, "config: --mysql: must end in the name of a database"},
		{[]string{"--mysql", "u:p@tcp(h:1)/d", "--mysql-dsn-file", "f"}, "config: --mysql-dsn-file: can't be used together with --mysql"},
		{[]string{"--mysql", "u:p@tcp(h:1)/d", "--sqlite", "f"}, "config: --sqlite: can't be used together with MySQL"},
		{[]string{"--tls-cert", "c"}, "config: --tls-key: must be set together with --tls-cert"},
		{[]string{"--tls-key", "k"}, "config: --tls-cert: must be set together with --tls-key"},
		{[]string{"--cluster-ca", "a"}, "config: --cluster-cert: must be set"},
		{[]string{"--cluster-cert", "a", "--cluster-key", "k"}, "config: --cluster-ca: must be set"},
		{[]string{"--cluster-ca", "a", "--cluster-cert", "k"}, "config: --cluster-key: must be set"},
		{[]string{"--election-timeout", "49ms"}, "config: --election-timeout: must be 50ms to 1m, not 49ms"},
		{[]string{"--snapshot-bytes", "1KiB"}, "config: --snapshot-bytes: must be at least 64KiB, not 1KiB"},
		{[]string{"--election-timeout", "2m"}, "config: --election-timeout: "},
		{[]string{"--disk-stall-timeout", "10ms"}, "config: --disk-stall-timeout: must be 0 (off) or at least 100ms, not 10ms"},
		{[]string{"--disk-stall-timeout=-1s"}, "config: --disk-stall-timeout: "},
		{[]string{"--retain", "0"}, "config: --retain: must be at least 1s, not 0s"},
		{[]string{"--log-level", "loud"}, `config: --log-level: must be debug, info, warn or error, not "loud"`},
		{[]string{"--log-format", "xml"}, `config: --log-format: must be text or json, not "xml"`},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			err := config.Validate(config.Complete(mustParse(t, c.args...), "host"))
			if err == nil {
				t.Fatal("accepted")
			}
			if !errors.Is(err, config.ErrInvalid) {
				t.Errorf("%v is not ErrInvalid", err)
			}
			if got := err.Error(); !strings.HasPrefix(got, c.want) || strings.Contains(got, "\n") {
				t.Errorf("got  %q\nwant one line from %q", got, c.want)
			}
		})
	}
}

func TestEverythingWrongIsToldAtOnce(t *testing.T) {
	err := config.Validate(config.Complete(mustParse(t, "--slices", "99", "--log-level", "x", "--retain", "0"), "host"))
	if n := strings.Count(err.Error(), "config: --"); n != 3 {
		t.Errorf("%d complaints, want 3:\n%v", n, err)
	}
}

func TestAMissingHostNameAsksForANodeID(t *testing.T) {
	err := config.Validate(config.Complete(mustParse(t), ""))
	if err == nil || !strings.Contains(err.Error(), "config: --node-id: must be set") {
		t.Errorf("got %v", err)
	}
}

func TestValidatingSetsNothing(t *testing.T) {
	err := config.Validate(config.Config{})
	for _, flag := range []string{"node-id", "data", "http", "cluster", "gossip", "bootstrap-expect", "sqlite", "election-timeout", "retain", "log-level", "log-format"} {
		if !strings.Contains(err.Error(), "--"+flag+":") {
			t.Errorf("an empty configuration: no word about --%s in\n%v", flag, err)
		}
	}
}

func TestWhatWorksIsAccepted(t *testing.T) {
	for _, args := range [][]string{
		{"--bootstrap-expect", "9", "--slices", "64"},
		{"--http", "0.0.0.0:7070"},
		{"--http", "[::1]:7070", "--admin-http", "127.0.0.1:7071"},
		{"--cluster", ":7170", "--advertise-cluster", "n1.example:7170"},
		{"--mysql", "u:p:w@/x@tcp(h:1)/d?charset=utf8mb4"},
		{"--mysql", "u@unix(/run/mysqld.sock)/d"},
		{"--cluster-ca", "a", "--cluster-cert", "b", "--cluster-key", "c"},
		{"--tls-cert", "a", "--tls-key", "b"},
		{"--disk-stall-timeout", "0"},
	} {
		if err := config.Validate(config.Complete(mustParse(t, args...), "host")); err != nil {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestWhatIsProbablyNotMeantIsWarnedOf(t *testing.T) {
	if w := config.Warnings(config.Complete(mustParse(t), "host")); len(w) != 0 {
		t.Errorf("the defaults are warned of: %q", w)
	}
	w := config.Warnings(config.Complete(mustParse(t, "--bootstrap-expect", "4"), "host"))
	if len(w) != 2 || !strings.HasPrefix(w[0], "--bootstrap-expect: 4 servers") || !strings.HasPrefix(w[1], "--sqlite: ") {
		t.Errorf("got %q", w)
	}
	w = config.Warnings(config.Complete(mustParse(t, "--bootstrap-expect", "3", "--mysql", "u:p@tcp(h:1)/d"), "host"))
	if len(w) != 0 {
		t.Errorf("three nodes with MySQL are warned of: %q", w)
	}
}
