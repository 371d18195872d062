package membership

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

const clusterFile = "cluster.json"

// Format is the version of everything that servers of one cluster must agree
// on. It is part of a cluster's id.
const Format = 1

// ID identifies a cluster. The zero ID stands for none.
type ID [16]byte

// String returns the id as 32 hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return marshalHex(id[:]) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *ID) UnmarshalText(text []byte) error { return unmarshalHex(id[:], text) }

// Key is the cluster's secret for keyed hashing of users and request ids. It
// prints as "(secret)".
type Key [16]byte

// String hides the key from logs.
func (Key) String() string { return "(secret)" }

// GoString hides the key from %#v.
func (Key) GoString() string { return "(secret)" }

// MarshalText writes the key itself: it is how the key gets to disk.
func (k Key) MarshalText() ([]byte, error) { return marshalHex(k[:]) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *Key) UnmarshalText(text []byte) error { return unmarshalHex(k[:], text) }

// Seed is a server's random contribution to the cluster's key. It prints as
// "(secret)".
type Seed [16]byte

// String hides the seed from logs.
func (Seed) String() string { return "(secret)" }

// GoString hides the seed from %#v.
func (Seed) GoString() string { return "(secret)" }

// MarshalText writes the seed itself: it is how the seed gets to disk.
func (s Seed) MarshalText() ([]byte, error) { return marshalHex(s[:]) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Seed) UnmarshalText(text []byte) error { return unmarshalHex(s[:], text) }

func marshalHex(b []byte) ([]byte, error) { return hex.AppendEncode(nil, b), nil }

func unmarshalHex(into, text []byte) error {
	if len(text) != hex.EncodedLen(len(into)) {
		return fmt.Errorf("want %d hex digits, have %d", hex.EncodedLen(len(into)), len(text))
	}
	_, err := hex.Decode(into, text)
	return err
}

// Server is one server with the addresses under which others reach it.
type Server struct {
	ID          string `json:"server"`
	ClusterAddr string `json:"cluster"`
	HTTPAddr    string `json:"http"`
	GossipAddr  string `json:"gossip,omitempty"`
}

// Cluster is what the servers that created a cluster agreed on. It does not
// change afterwards.
type Cluster struct {
	ID     ID
	Key    Key
	Slices int
	Format int
	// Founders are the servers that created it, sorted by id, with their
	// addresses at that time.
	Founders []Server
}

// FounderIDs returns the ids of the founders in order: what Placement wants.
func (c Cluster) FounderIDs() []string {
	ids := make([]string, len(c.Founders))
	for i, s := range c.Founders {
		ids[i] = s.ID
	}
	return ids
}

// clusterOnDisk is the form of cluster.json.
type clusterOnDisk struct {
	Format  int      `json:"format"`
	Cluster ID       `json:"cluster_id"`
	Key     Key      `json:"key"`
	Slices  int      `json:"slices"`
	Members []Server `json:"members"`
}

// Founders returns how many servers created the cluster that is kept in the data
// directory dir, 0 while there is none.
func Founders(dir string) (int, error) {
	c, _, err := loadCluster(dir)
	return len(c.Founders), err
}

// loadCluster returns the cluster kept in dir; known is false when there is
// none yet.
func loadCluster(dir string) (c Cluster, known bool, err error) {
	var disk clusterOnDisk
	err = readFile(dir, clusterFile, &disk)
	if errors.Is(err, fs.ErrNotExist) {
		return Cluster{}, false, nil
	}
	if err != nil {
		return Cluster{}, false, fmt.Errorf("membership: read cluster: %w", err)
	}
	if disk.Format != Format {
		return Cluster{}, false, fmt.Errorf("membership: %s in %s has format %d, this version reads %d",
			clusterFile, dir, disk.Format, Format)
	}
	if disk.Cluster == (ID{}) || disk.Key == (Key{}) || disk.Slices < 1 || len(disk.Members) == 0 {
		return Cluster{}, false, fmt.Errorf("membership: %s in %s is damaged", clusterFile, dir)
	}
	return Cluster{ID: disk.Cluster, Key: disk.Key, Slices: disk.Slices, Format: disk.Format, Founders: disk.Members}, true, nil
}

func saveCluster(dir string, c Cluster) error {
	disk := clusterOnDisk{Format: c.Format, Cluster: c.ID, Key: c.Key, Slices: c.Slices, Members: c.Founders}
	if err := writeFile(dir, clusterFile, disk); err != nil {
		return fmt.Errorf("membership: write cluster: %w", err)
	}
	return nil
}

// found computes the cluster that the given servers create together. Every
// one of them computes the same, in whatever order it saw the others.
func found(servers []announced, slicesCount, format int) Cluster {
	sorted := slices.Clone(servers)
	slices.SortFunc(sorted, func(a, b announced) int { return strings.Compare(a.Server, b.Server) })
	id, key := sha256.New(), sha256.New()
	_, _ = id.Write([]byte("tombola cluster"))
	_, _ = key.Write([]byte("tombola key"))
	var n [4]byte
	c := Cluster{Slices: slicesCount, Format: format}
	for _, s := range sorted {
		binary.BigEndian.PutUint32(n[:], uint32(len(s.Server)))
		_, _ = id.Write(n[:])
		_, _ = id.Write([]byte(s.Server))
		_, _ = key.Write(s.Seed[:])
		c.Founders = append(c.Founders, s.server())
	}
	binary.BigEndian.PutUint32(n[:], uint32(slicesCount))
	_, _ = id.Write(n[:])
	binary.BigEndian.PutUint32(n[:], uint32(format))
	_, _ = id.Write(n[:])
	copy(c.ID[:], id.Sum(nil))
	copy(c.Key[:], key.Sum(nil))
	return c
}
