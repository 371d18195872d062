package mux

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Version is the format of the handshake and of what follows it.
const Version = 1

// MaxServerID is the longest server id that a handshake can carry, in bytes.
const MaxServerID = 128

// ClusterID tells clusters apart. It is drawn at random when a cluster is
// created and never changes.
type ClusterID [16]byte

// Kind says what a connection is for.
type Kind uint8

// The kinds of connections.
const (
	KindRaft  Kind = 1 // one Raft group's messages
	KindDraws Kind = 2 // draws on their way to the slice that decides them
	KindCalls Kind = 3 // everything else that servers ask of each other
)

// Peer is the other end of an accepted connection, as it introduced itself.
type Peer struct {
	Server string // Raft server id
	Kind   Kind
	Group  uint16
}

// The handshake, big endian:
//
//	magic 4 | version 1 | cluster 16 | kind 1 | group 2 | length 1 | server id
//
// and the answer to it:
//
//	status 1 | length 1 | reason
//
// The part up to and including the version never changes, so that every
// version can refuse every other one in words.
const (
	magic     = "tmbl"
	headSize  = len(magic) + 1 + len(ClusterID{}) + 1 + 2 + 1
	maxReason = 200
)

type status uint8

const (
	statusOK      status = 0
	statusVersion status = 1 // the acceptor doesn't speak this version
	statusCluster status = 2 // the acceptor belongs to another cluster
	statusUnknown status = 3 // nothing serves this kind or group here
)

// ErrRefused is wrapped, with the reason, by Dial's error when the acceptor
// answered and declined. The acceptor logs the same reason.
var ErrRefused = errors.New("refused")

var (
	errMagic    = errors.New("not this protocol")
	errVersion  = errors.New("unknown format version")
	errServerID = errors.New("server id is empty or too long")
)

type hello struct {
	version uint8
	cluster ClusterID
	peer    Peer
}

// appendHello appends h as it goes over the wire. The server id must have 1 to
// MaxServerID bytes.
func appendHello(b []byte, h hello) []byte {
	b = append(b, magic...)
	b = append(b, h.version)
	b = append(b, h.cluster[:]...)
	b = append(b, byte(h.peer.Kind))
	b = binary.BigEndian.AppendUint16(b, h.peer.Group)
	b = append(b, byte(len(h.peer.Server)))
	return append(b, h.peer.Server...)
}

// readHello reads exactly one handshake and nothing beyond it. After
// errVersion the version is set and the rest of the stream is unspecified.
func readHello(r io.Reader) (hello, error) {
	var h hello
	var head [headSize]byte
	opening := head[:len(magic)+1]
	if _, err := io.ReadFull(r, opening); err != nil {
		return h, fmt.Errorf("read handshake: %w", err)
	}
	if string(opening[:len(magic)]) != magic {
		return h, errMagic
	}
	h.version = opening[len(magic)]
	if h.version != Version {
		return h, fmt.Errorf("%w %d", errVersion, h.version)
	}
	rest := head[len(opening):]
	if _, err := io.ReadFull(r, rest); err != nil {
		return h, fmt.Errorf("read handshake: %w", err)
	}
	n := copy(h.cluster[:], rest)
	h.peer.Kind = Kind(rest[n])
	h.peer.Group = binary.BigEndian.Uint16(rest[n+1:])
	size := int(rest[n+3])
	if size == 0 || size > MaxServerID {
		return h, errServerID
	}
	var id [MaxServerID]byte
	if _, err := io.ReadFull(r, id[:size]); err != nil {
		return h, fmt.Errorf("read handshake: %w", err)
	}
	h.peer.Server = string(id[:size])
	return h, nil
}

func appendAnswer(b []byte, s status, reason string) []byte {
	reason = reason[:min(len(reason), maxReason)]
	b = append(b, byte(s), byte(len(reason)))
	return append(b, reason...)
}

// readAnswer reads exactly one answer. A refusal is an error that wraps
// ErrRefused.
func readAnswer(r io.Reader) error {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	reason := make([]byte, head[1])
	if _, err := io.ReadFull(r, reason); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if status(head[0]) == statusOK {
		return nil
	}
	return fmt.Errorf("%w: %q", ErrRefused, reason)
}
