package mux

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestHandshakeReadsBackAsWritten(t *testing.T) {
	for _, server := range []string{"a", "node-1.0123abcd", strings.Repeat("x", MaxServerID)} {
		want := hello{version: Version, cluster: ClusterID{15: 9}, peer: Peer{Server: server, Kind: KindCalls, Group: 513}}
		r := bytes.NewReader(append(appendHello(nil, want), "payload"...))
		got, err := readHello(r)
		if err != nil || got != want {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
		if rest, _ := io.ReadAll(r); string(rest) != "payload" {
			t.Fatalf("read beyond the handshake: %q is left", rest)
		}
	}
}

func TestHandshakeCutShortIsAnError(t *testing.T) {
	whole := appendHello(nil, hello{version: Version, peer: Peer{Server: "abc", Kind: KindRaft}})
	for n := range whole {
		if _, err := readHello(bytes.NewReader(whole[:n])); err == nil {
			t.Fatalf("%d of %d bytes were enough", n, len(whole))
		}
	}
}

func TestAnswerReadsBackAsWritten(t *testing.T) {
	if err := readAnswer(bytes.NewReader(appendAnswer(nil, statusOK, ""))); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("r", 1000)
	err := readAnswer(bytes.NewReader(appendAnswer(nil, statusCluster, long)))
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), long[:maxReason]) {
		t.Fatalf("got %v", err)
	}
}

func FuzzHandshake(f *testing.F) {
	f.Add(appendHello(nil, hello{version: Version, peer: Peer{Server: "a", Kind: KindRaft, Group: 1}}))
	f.Add(appendHello(nil, hello{version: 2, peer: Peer{Server: "b"}}))
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := readHello(bytes.NewReader(data))
		if err != nil {
			return
		}
		if n := len(h.peer.Server); n == 0 || n > MaxServerID {
			t.Fatalf("server id of %d bytes", n)
		}
		again := appendHello(nil, h)
		if !bytes.HasPrefix(data, again) {
			t.Fatalf("%x was read as %+v, which is %x", data, h, again)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add(appendAnswer(nil, statusOK, ""))
	f.Add(appendAnswer(nil, statusVersion, "reason"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := readAnswer(bytes.NewReader(data)); err == nil && data[0] != byte(statusOK) {
			t.Fatalf("%x was read as consent", data)
		}
	})
}
