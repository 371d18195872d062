// Package config is what `tombola serve` is told: its flags, their variables
// and file keys, what is derived from them, and what is refused.
//
// A value comes from the command line, else from a TOMBOLA_* variable, else
// from the YAML file named by --config, else from the flag's default. The steps
// are separate, so that each can be tested and none hides another:
//
//	kong parses into Config   (File.BeforeResolve adds the YAML file)
//	Complete                  derives what was left open (pure)
//	Validate                  refuses what can't work (pure, sets nothing)
//	LoadSecrets               reads tokens, the DSN and keys from their files
package config

import (
	"net"
	"path/filepath"
	"time"
)

// Config holds everything that a node is told. Its groups are embedded in one
// flat set of flags; the names are those of the command line, of the keys in
// the YAML file and, in capitals after TOMBOLA_, of the variables.
//
// A Config is a value: it is not changed once Complete has returned it.
type Config struct {
	File File `name:"config" help:"YAML file with these settings, keys named like the flags." env:"TOMBOLA_CONFIG" placeholder:"FILE" type:"path"`

	NodeID string `name:"node-id" help:"Name of this node, unique in the cluster (default: the host name)." env:"TOMBOLA_NODE_ID" placeholder:"NAME"`
	Data   string `name:"data" help:"Directory for everything that this node keeps." default:"/var/lib/tombola" env:"TOMBOLA_DATA"`

	DiskFloor Size `name:"disk-floor" help:"Below this much free space on --data's disk the node refuses draws and goes on draining; 0 never." default:"256MiB" env:"TOMBOLA_DISK_FLOOR" placeholder:"SIZE"`

	SnapshotBytes Size `name:"snapshot-bytes" help:"So much log, and each group writes a snapshot and cuts its log." default:"64MiB" env:"TOMBOLA_SNAPSHOT_BYTES" placeholder:"SIZE"`

	Listen    Listen    `embed:""`
	Advertise Advertise `embed:"" prefix:"advertise-"`
	Cluster   Cluster   `embed:""`
	Sink      Sink      `embed:""`
	Tokens    Tokens    `embed:""`
	TLS       TLS       `embed:""`
	Timing    Timing    `embed:""`
	Log       Log       `embed:""`

	ChaosClockFile string `name:"chaos-clock-file" help:"For tests of what a wrong clock does, never in production: a file whose text, such as +25h, is how wrong this node's clock is." env:"TOMBOLA_CHAOS_CLOCK_FILE" placeholder:"FILE" hidden:""`

	// Reload receives one value for each request (SIGHUP) to read tokens and
	// certificates again. Nil when there is no such request ever. It may drop
	// requests that come while one is waiting to be received.
	Reload <-chan struct{} `kong:"-"`
	// Hasten is closed, or receives a value, when the node is asked once more
	// to stop. Nil when it never is.
	Hasten <-chan struct{} `kong:"-"`
}

// Listen holds the addresses (host:port) that a node listens on.
type Listen struct {
	HTTP      string `name:"http" help:"Address for draws, reads and, without --admin-http, the admin API." default:"127.0.0.1:7070" env:"TOMBOLA_HTTP"`
	AdminHTTP string `name:"admin-http" help:"Address for /admin, /metrics and pprof (default: the same as --http)." env:"TOMBOLA_ADMIN_HTTP" placeholder:"ADDR"`
	Cluster   string `name:"cluster" help:"Address for Raft and forwarded draws." default:"127.0.0.1:7170" env:"TOMBOLA_CLUSTER"`
	Gossip    string `name:"gossip" help:"Address for gossip, TCP and UDP." default:"127.0.0.1:7270" env:"TOMBOLA_GOSSIP"`
}

// Advertise holds the addresses (host:port) at which others reach the node.
type Advertise struct {
	HTTP    string `name:"http" help:"Address at which clients reach --http (default: that address)." env:"TOMBOLA_ADVERTISE_HTTP" placeholder:"ADDR"`
	Cluster string `name:"cluster" help:"Address at which nodes reach --cluster (default: that address)." env:"TOMBOLA_ADVERTISE_CLUSTER" placeholder:"ADDR"`
	Gossip  string `name:"gossip" help:"Address at which nodes reach --gossip (default: that address)." env:"TOMBOLA_ADVERTISE_GOSSIP" placeholder:"ADDR"`
}

// Cluster says which cluster the node belongs to, and how it is made.
type Cluster struct {
	BootstrapExpect int      `name:"bootstrap-expect" help:"Servers that must have found each other before a new cluster is made." default:"1" env:"TOMBOLA_BOOTSTRAP_EXPECT"`
	Join            []string `name:"join" help:"Gossip addresses of other nodes." env:"TOMBOLA_JOIN" placeholder:"ADDR"`
	Slices          int      `name:"slices" help:"Slices of a new cluster; fixed once it exists (default: one per expected server)." env:"TOMBOLA_SLICES" placeholder:"N"`
}

// Sink says where grants are sent. At most one of the three is set; Complete
// chooses SQLite when none is.
type Sink struct {
	MySQL        string `name:"mysql" help:"MySQL to send grants to, as user:password@tcp(host:port)/database." env:"TOMBOLA_MYSQL" placeholder:"DSN"`
	MySQLDSNFile string `name:"mysql-dsn-file" help:"File that holds what --mysql would." env:"TOMBOLA_MYSQL_DSN_FILE" placeholder:"FILE"`
	SQLite       string `name:"sqlite" help:"SQLite file to send grants to where no MySQL is named (default: tombola.db in --data)." env:"TOMBOLA_SQLITE" placeholder:"FILE"`
}

// Tokens names the files with the bearer tokens. LoadSecrets reads them.
type Tokens struct {
	AdminTokenFile string `name:"admin-token-file" help:"File with the admin API's bearer token (or TOMBOLA_ADMIN_TOKEN holds the token itself)." env:"TOMBOLA_ADMIN_TOKEN_FILE" placeholder:"FILE"`
	DrawTokenFile  string `name:"draw-token-file" help:"File with the bearer token that /v1 then wants (or TOMBOLA_DRAW_TOKEN holds the token itself)." env:"TOMBOLA_DRAW_TOKEN_FILE" placeholder:"FILE"`
}

// TLS names PEM files for HTTP and for the cluster's connections, and the
// file with the gossip key. The cluster's certificates are checked both ways.
type TLS struct {
	Cert          string `name:"tls-cert" help:"Certificate for HTTP (PEM)." env:"TOMBOLA_TLS_CERT" placeholder:"FILE"`
	Key           string `name:"tls-key" help:"Key of --tls-cert (PEM)." env:"TOMBOLA_TLS_KEY" placeholder:"FILE"`
	ClusterCA     string `name:"cluster-ca" help:"Authority whose certificates nodes accept from each other (PEM)." env:"TOMBOLA_CLUSTER_CA" placeholder:"FILE"`
	ClusterCert   string `name:"cluster-cert" help:"This node's certificate towards other nodes (PEM)." env:"TOMBOLA_CLUSTER_CERT" placeholder:"FILE"`
	ClusterKey    string `name:"cluster-key" help:"Key of --cluster-cert (PEM)." env:"TOMBOLA_CLUSTER_KEY" placeholder:"FILE"`
	GossipKeyFile string `name:"gossip-key-file" help:"File with the gossip key: 16, 24 or 32 bytes in base64." env:"TOMBOLA_GOSSIP_KEY_FILE" placeholder:"FILE"`
}

// HTTP reports whether HTTP is served over TLS.
func (t TLS) HTTP() bool { return t.Cert != "" }

// Cluster reports whether connections between nodes use TLS.
func (t TLS) Cluster() bool { return t.ClusterCA != "" }

// Timing holds the time limits.
type Timing struct {
	ElectionTimeout  time.Duration `name:"election-timeout" help:"How long a leader may be silent before another is elected." default:"500ms" env:"TOMBOLA_ELECTION_TIMEOUT"`
	DiskStallTimeout time.Duration `name:"disk-stall-timeout" help:"A write to the log that takes longer ends the process, so that another node takes over; 0 never." default:"3s" env:"TOMBOLA_DISK_STALL_TIMEOUT"`
	AcceptClockBack  time.Time     `name:"accept-clock-back" help:"Until this time (RFC 3339) decide even where the last entry is dated later than the clock says: the way out once a wrong time was written." env:"TOMBOLA_ACCEPT_CLOCK_BACK" placeholder:"TIME"`
	Retain           time.Duration `name:"retain" help:"How long request ids and users' counts outlive a prize's end." default:"24h" env:"TOMBOLA_RETAIN"`
}

// Log says what is logged, to standard error.
type Log struct {
	Level  string `name:"log-level" help:"debug, info, warn or error." default:"info" env:"TOMBOLA_LOG_LEVEL"`
	Format string `name:"log-format" help:"text or json." default:"text" env:"TOMBOLA_LOG_FORMAT"`
}

// DevOptions is what `tombola dev` is told.
type DevOptions struct {
	Data     string `name:"data" help:"Directory for the data of all three nodes." default:"./tombola-data"`
	HTTPBase int    `name:"http-base" help:"HTTP port of the first node; the others have the next two. Ports from 100 and from 200 above them are used between nodes." default:"7070"`
	MySQL    string `name:"mysql" help:"MySQL to send grants to (default: SQLite in --data)." placeholder:"DSN"`
	LogLevel string `name:"log-level" help:"debug, info, warn or error." default:"warn"`
}

// Complete returns c with everything derived that was left open: the node's
// name (hostName), the number of slices, SQLite where no MySQL is named, and
// the advertised addresses. It reads nothing and refuses nothing.
func Complete(c Config, hostName string) Config {
	if c.NodeID == "" {
		c.NodeID = hostName
	}
	if c.Cluster.Slices == 0 {
		c.Cluster.Slices = c.Cluster.BootstrapExpect
	}
	if c.Sink == (Sink{}) {
		c.Sink.SQLite = filepath.Join(c.Data, "tombola.db")
	}
	c.Advertise.HTTP = advertised(c.Advertise.HTTP, c.Listen.HTTP)
	c.Advertise.Cluster = advertised(c.Advertise.Cluster, c.Listen.Cluster)
	c.Advertise.Gossip = advertised(c.Advertise.Gossip, c.Listen.Gossip)
	if host, port, err := net.SplitHostPort(c.Advertise.HTTP); err == nil && unspecified(host) && hostName != "" {
		// Only clients use it, and only as a hint: the host name is good enough.
		// Nodes would fail to find each other by a name that resolves to a
		// loopback address, so the other two must be told.
		c.Advertise.HTTP = net.JoinHostPort(hostName, port)
	}
	return c
}

func advertised(said, listen string) string {
	if said != "" {
		return said
	}
	return listen
}

// unspecified reports whether host means "every address of this machine".
func unspecified(host string) bool {
	if host == "" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsUnspecified()
}
