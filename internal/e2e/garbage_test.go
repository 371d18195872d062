package e2e_test

import (
	"context"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"tombola/internal/testcluster"
)

// garbage sends to all ports of a node, and returns connections that were left
// open in the middle of something.
func garbage(t *testing.T, n *testcluster.Node, cluster string) (held []net.Conn) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	noise := func(size int) string {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return string(b)
	}
	id, err := hex.DecodeString(cluster)
	if err != nil || len(id) != 16 {
		t.Fatalf("cluster id %q: %v", cluster, err)
	}
	hello := func(version byte, cluster string, kind byte) string {
		return "tmbl" + string([]byte{version}) + cluster + string([]byte{kind}) + "\x00\x01" + "\x02zz"
	}
	huge := strings.Repeat("\xff", 64)
	sent := []string{
		"", "\x00", noise(4096), noise(100), huge, strings.Repeat("\x00", 4096),
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + noise(500), // a TLS hello
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /v1/prizes/peers/draw HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999\r\n\r\n",
		"tmb", hello(1, string(id), 2)[:20], // half a handshake
		hello(9, string(id), 1),
		"\x06\x83\xa5Nodes\xcf" + huge,                           // gossip: a state of very many
		"\x08\x81\xaaUserMsgLen\xcf" + huge,                      // a message that is very long
		"\x0a" + huge,                                            // said to be encrypted
		hello(1, string(id), 2) + "\x00\x00\x10\x00\x01\x01\x00", // draws that do not come
		hello(1, string(id), 2) + "\xff\xff\xff\xff\x01\x01\x00\x01",
		hello(1, string(id), 2) + "\x00\x00\x00\x04\x63\x01\x00\x01oops", // of another version
		hello(1, string(id), 3) + "\x00\xff\xff\xff\x01\x03\x00\x00{",    // a body that is said to be long
		hello(1, string(id), 1) + noise(300),                             // to a Raft group
	}
	for kind := range byte(4) {
		sent = append(sent, hello(1, noise(16), kind))
	}
	const times = 5
	for _, addr := range []string{n.HTTP, n.ClusterAddr(), n.GossipAddr()} {
		for range times {
			for i, text := range sent {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.WriteString(conn, text) // it may have hung up
				if i%2 == 0 {
					held = append(held, conn)
				} else {
					_ = conn.Close()
				}
			}
		}
	}
	datagrams, err := net.Dial("udp", n.GossipAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	for i := range 2000 {
		text := noise(1 + i%1400)
		if i%4 == 0 { // of a kind that there is
			text = string([]byte{byte(i / 4 % 14)}) + text
		}
		_, _ = io.WriteString(datagrams, text)
	}
	return held
}

// slowly has clients that send a byte now and then, and that read nothing of
// many answers. They end with stop.
func slowly(t *testing.T, n *testcluster.Node, clients int) (stop func()) {
	t.Helper()
	const draw = "POST /v1/prizes/few/draw HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n" + `{"user":"slow"}`
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range clients {
		conn, err := net.Dial("tcp", n.HTTP)
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			defer conn.Close()
			unhook := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer unhook()
			switch i % 3 {
			case 0: // the head in bytes
				trickle(ctx, conn, draw)
			case 1: // the body in bytes
				if _, err := io.WriteString(conn, draw[:len(draw)-15]); err == nil {
					trickle(ctx, conn, draw[len(draw)-15:])
				}
			case 2: // answers that nobody reads
				for ctx.Err() == nil {
					if _, err := io.WriteString(conn, "GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
						return
					}
				}
			}
		})
	}
	return func() { cancel(); all.Wait() }
}

func trickle(ctx context.Context, conn net.Conn, text string) {
	for i := range len(text) {
		if _, err := io.WriteString(conn, text[i:i+1]); err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}
