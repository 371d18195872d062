package membership

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// gossipKeySize is the length of a gossip key, in bytes: AES-256.
const gossipKeySize = 32

// ReadGossipKey reads a gossip key from a file: 32 bytes in base64.
func ReadGossipKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("membership: gossip key: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("membership: gossip key in %s is not base64: %w", path, err)
	}
	if len(key) != gossipKeySize {
		return nil, fmt.Errorf("membership: gossip key in %s has %d bytes, want %d", path, len(key), gossipKeySize)
	}
	return key, nil
}

// voice is this server's side of gossip: what it announces. It implements
// memberlist.Delegate.
type voice struct{ meta atomic.Pointer[[]byte] }

func (v *voice) set(a announced) {
	b := a.encode()
	v.meta.Store(&b)
}

// NodeMeta implements memberlist.Delegate.
func (v *voice) NodeMeta(int) []byte { return *v.meta.Load() }

// NotifyMsg implements memberlist.Delegate; this package sends no messages.
func (*voice) NotifyMsg([]byte) {}

// GetBroadcasts implements memberlist.Delegate.
func (*voice) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState implements memberlist.Delegate.
func (*voice) LocalState(bool) []byte { return nil }

// MergeRemoteState implements memberlist.Delegate.
func (*voice) MergeRemoteState([]byte, bool) {}

// startGossip listens and begins to announce what v says.
func startGossip(o Options, v *voice, events *view) (*memberlist.Memberlist, error) {
	host, port, err := resolve(o.GossipAddr)
	if err != nil {
		return nil, fmt.Errorf("membership: gossip address: %w", err)
	}
	c := memberlist.DefaultLANConfig()
	c.Name = o.NodeID
	c.BindAddr, c.BindPort = host, port
	c.AdvertisePort = port
	if o.AdvertiseGossip != "" {
		if c.AdvertiseAddr, c.AdvertisePort, err = resolve(o.AdvertiseGossip); err != nil {
			return nil, fmt.Errorf("membership: advertised gossip address: %w", err)
		}
	}
	// Quicker than a LAN of hundreds of nodes needs: clusters are small, and
	// three servers that start together should not wait for gossip.
	c.GossipInterval = 50 * time.Millisecond
	c.PushPullInterval = 10 * time.Second
	c.TCPTimeout = 2 * time.Second
	// A server that comes back at another address, a container for example,
	// may take its name over as soon as the old address is known to be dead.
	c.DeadNodeReclaimTime = 100 * time.Millisecond
	c.SecretKey = o.GossipKey
	c.Logger = newGossipLogger(o.Logger)
	c.Delegate, c.Events, c.Conflict = v, events, events
	list, err := memberlist.Create(c)
	if err != nil {
		return nil, fmt.Errorf("membership: start gossip on %s: %w", o.GossipAddr, err)
	}
	return list, nil
}

// resolve turns "host:port" into an IP address, which is all that memberlist
// takes, and a port. No host stands for all interfaces.
func resolve(addr string) (string, int, error) {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not a port", portText)
	}
	if host == "" {
		return "0.0.0.0", int(port), nil
	}
	ip, err := net.ResolveIPAddr("ip", host)
	if err != nil {
		return "", 0, err
	}
	return ip.String(), int(port), nil
}

// Options say who this server is and how it finds the others.
type Options struct {
	NodeID  string
	DataDir string // created where missing
	// Expect is how many servers create the cluster together; 0: this server
	// creates none and waits to be added. It counts only until the cluster
	// exists, as does Slices (0: one per expected server).
	Expect int
	Slices int
	// GossipAddr is where to listen, "host:port". Empty: no gossip, for a
	// cluster of one.
	GossipAddr      string
	AdvertiseGossip string // empty: the address listened on
	ClusterAddr     string // as advertised to others
	HTTPAddr        string // as advertised to others
	// Join are gossip addresses of other servers, as "host:port"; this
	// server's own may be among them. Not all need to be up.
	Join      []string
	GossipKey []byte // nil or 32 bytes
	Logger    *slog.Logger
}

func (o Options) check() error {
	var errs []error
	if o.Expect < 0 || o.Expect > maxFounders {
		errs = append(errs, fmt.Errorf("expected servers must be 0 to %d, not %d", maxFounders, o.Expect))
	}
	if o.Slices < 0 || o.Slices > 32767 {
		errs = append(errs, fmt.Errorf("slices must be 1 to 32767, not %d", o.Slices))
	}
	if o.GossipAddr == "" && (o.Expect != 1 || len(o.Join) > 0) {
		errs = append(errs, errors.New("a gossip address is needed unless one server is expected and none is joined"))
	}
	if len(o.GossipKey) != 0 && len(o.GossipKey) != gossipKeySize {
		errs = append(errs, fmt.Errorf("gossip key has %d bytes, want %d", len(o.GossipKey), gossipKeySize))
	}
	if o.ClusterAddr == "" {
		errs = append(errs, errors.New("no advertised cluster address"))
	}
	if o.Logger == nil {
		errs = append(errs, errors.New("no logger"))
	}
	return errors.Join(errs...)
}
