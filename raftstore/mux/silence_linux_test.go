package mux

import (
	"net"
	"syscall"
	"testing"
)

// TestDeadPeersAreNoticedOnBothSides looks at what the kernel was told, since a
// machine that vanishes can't be had on loopback.
func TestDeadPeersAreNoticedOnBothSides(t *testing.T) {
	from, _ := listen(t, "n1")
	to, _ := listen(t, "n2")
	accepted, looked := make(chan net.Conn, 1), make(chan struct{})
	to.Handle(KindDraws, func(c net.Conn, _ Peer) { accepted <- c; <-looked })
	defer close(looked)
	dialled := dial(t, from, to, KindDraws, 0)
	in := <-accepted
	for what, c := range map[string]net.Conn{"dialled": dialled, "accepted": in} {
		if wrapped, ok := c.(*inboundConn); ok {
			c = wrapped.Conn
		}
		raw, err := c.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var ms int
		if err := raw.Control(func(fd uintptr) { ms, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, 18) }); err != nil {
			t.Fatal(err)
		}
		if err != nil || ms != int(silence.Milliseconds()) {
			t.Errorf("%s: %d ms, %v", what, ms, err)
		}
	}
}
