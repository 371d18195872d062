package membership

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

const identityFile = "identity.json"

// maxNodeID bounds a node id, in bytes, so that what gossip carries fits.
const maxNodeID = 63

// ErrOtherNode is wrapped when a data directory belongs to another node id
// than the configured one.
var ErrOtherNode = errors.New("the data directory belongs to another node")

// Identity is what makes a server itself. It is created with its data
// directory and never changes.
type Identity struct {
	NodeID      string
	Incarnation string // 8 hex digits, random
	Seed        Seed
}

// ServerID is the server's name in Raft: "<node id>.<incarnation>".
func (i Identity) ServerID() string { return i.NodeID + "." + i.Incarnation }

// identityOnDisk is the form of identity.json.
type identityOnDisk struct {
	Format      int    `json:"format"`
	NodeID      string `json:"node_id"`
	Incarnation string `json:"incarnation"`
	Seed        Seed   `json:"seed"`
}

// LoadIdentity reads the identity kept in dataDir, or creates the directory
// and an identity for nodeID where there is none. It fails with ErrOtherNode
// when the directory belongs to another node id.
func LoadIdentity(dataDir, nodeID string) (Identity, error) {
	if err := checkNodeID(nodeID); err != nil {
		return Identity{}, fmt.Errorf("membership: %w", err)
	}
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return Identity{}, fmt.Errorf("membership: create data directory: %w", err)
	}
	var disk identityOnDisk
	err := readFile(dataDir, identityFile, &disk)
	if errors.Is(err, fs.ErrNotExist) {
		return createIdentity(dataDir, nodeID)
	}
	if err != nil {
		return Identity{}, fmt.Errorf("membership: read identity: %w", err)
	}
	if disk.Format != 1 {
		return Identity{}, fmt.Errorf("membership: %s in %s has format %d, this version reads 1", identityFile, dataDir, disk.Format)
	}
	if disk.NodeID != nodeID {
		return Identity{}, fmt.Errorf("membership: %w: %s was created by %q, but this node is configured as %q",
			ErrOtherNode, dataDir, disk.NodeID, nodeID)
	}
	if raw, err := hex.DecodeString(disk.Incarnation); err != nil || len(raw) != 4 || disk.Seed == (Seed{}) {
		return Identity{}, fmt.Errorf("membership: %s in %s is damaged", identityFile, dataDir)
	}
	return Identity{NodeID: disk.NodeID, Incarnation: disk.Incarnation, Seed: disk.Seed}, nil
}

func createIdentity(dataDir, nodeID string) (Identity, error) {
	// A cluster without an identity is what remains of a directory that lost
	// a file: a new identity would be a server that the cluster never had.
	if _, err := os.Stat(dataDir + string(os.PathSeparator) + clusterFile); err == nil {
		return Identity{}, fmt.Errorf("membership: %s has %s but no %s: restore it or start with an empty directory",
			dataDir, clusterFile, identityFile)
	}
	var incarnation [4]byte
	id := Identity{NodeID: nodeID}
	// crypto/rand.Read never fails and always fills what it is given.
	_, _ = rand.Read(incarnation[:])
	_, _ = rand.Read(id.Seed[:])
	id.Incarnation = hex.EncodeToString(incarnation[:])
	disk := identityOnDisk{Format: 1, NodeID: id.NodeID, Incarnation: id.Incarnation, Seed: id.Seed}
	if err := writeFile(dataDir, identityFile, disk); err != nil {
		return Identity{}, fmt.Errorf("membership: write identity: %w", err)
	}
	return id, nil
}

// checkNodeID allows what is safe in file names, Raft ids and logs. A dot
// would make "<node id>.<incarnation>" hard to take apart.
func checkNodeID(id string) error {
	if id == "" || len(id) > maxNodeID {
		return fmt.Errorf("node id %q must have 1 to %d characters", id, maxNodeID)
	}
	for _, c := range id {
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
		if !ok {
			return fmt.Errorf("node id %q may have letters, digits, '-' and '_' only", id)
		}
	}
	return nil
}

// NodeID returns the node id in a server id, the whole when it has no
// incarnation.
func NodeID(serverID string) string {
	node, _, _ := strings.Cut(serverID, ".")
	return node
}
