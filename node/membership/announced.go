package membership

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// announceVersion is the first byte of what a server announces.
const announceVersion = 1

// errAnnounced is wrapped when what a node announces can't be read.
var errAnnounced = errors.New("not an announcement of a tombola server")

// Flags of an announcement.
const (
	flagSettled = 1 << iota // Cluster is the server's cluster, else its proposal
	flagLeaving             // the server is draining
	flagUnfit               // the server should not lead
)

// announced is what a server tells all others by gossip.
type announced struct {
	Server      string
	ClusterAddr string
	HTTPAddr    string
	Seed        Seed
	Expect      int // servers expected at creation; 0: it only waits to be added
	Slices      int
	Format      int
	Cluster     ID   // the cluster, or the proposed one, or zero
	Settled     bool // the server belongs to Cluster for good
	Leaving     bool
	Unfit       bool

	// GossipAddr is where the announcement came from; it is not encoded.
	GossipAddr string
}

func (a announced) server() Server {
	return Server{ID: a.Server, ClusterAddr: a.ClusterAddr, HTTPAddr: a.HTTPAddr, GossipAddr: a.GossipAddr}
}

// encode returns a in its compact form, which must fit memberlist's limit:
// checkAnnounced sees to it before gossip starts.
func (a announced) encode() []byte {
	b := make([]byte, 0, 256)
	flags := byte(0)
	if a.Settled {
		flags |= flagSettled
	}
	if a.Leaving {
		flags |= flagLeaving
	}
	if a.Unfit {
		flags |= flagUnfit
	}
	b = append(b, announceVersion, flags)
	b = binary.AppendUvarint(b, uint64(a.Format))
	b = binary.AppendUvarint(b, uint64(a.Expect))
	b = binary.AppendUvarint(b, uint64(a.Slices))
	b = append(b, a.Cluster[:]...)
	b = append(b, a.Seed[:]...)
	for _, s := range []string{a.Server, a.ClusterAddr, a.HTTPAddr} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// decodeAnnounced reads what encode wrote. Bytes after it are left for later
// versions to use.
func decodeAnnounced(b []byte) (announced, error) {
	var a announced
	if len(b) < 2 || b[0] != announceVersion {
		return a, errAnnounced
	}
	a.Settled, a.Leaving, a.Unfit = b[1]&flagSettled != 0, b[1]&flagLeaving != 0, b[1]&flagUnfit != 0
	b = b[2:]
	for _, into := range []*int{&a.Format, &a.Expect, &a.Slices} {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > 1<<16 {
			return a, errAnnounced
		}
		*into, b = int(v), b[n:]
	}
	if len(b) < len(a.Cluster)+len(a.Seed) {
		return a, errAnnounced
	}
	b = b[copy(a.Cluster[:], b):]
	b = b[copy(a.Seed[:], b):]
	for _, into := range []*string{&a.Server, &a.ClusterAddr, &a.HTTPAddr} {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > uint64(len(b)-n) {
			return a, errAnnounced
		}
		*into, b = string(b[n:n+int(v)]), b[n+int(v):]
	}
	if a.Server == "" {
		return a, errAnnounced
	}
	return a, nil
}

// checkAnnounced refuses settings that make an announcement too long for
// gossip, which has limit bytes for it.
func checkAnnounced(a announced, limit int) error {
	if n := len(a.encode()); n > limit {
		return fmt.Errorf("node id and advertised addresses are too long: gossip has %d bytes, they need %d", limit, n)
	}
	return nil
}
