package testcluster

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken from below the range that kernels give to outgoing
// connections, so that a server that is down for a while finds its port free.
const (
	firstPort = 12000
	lastPort  = 30000
)

// FreePorts returns n consecutive ports of 127.0.0.1 that nobody uses, neither
// for TCP nor for UDP.
func FreePorts(n int) (first int, err error) {
	for range 200 {
		first = firstPort + rand.IntN(lastPort-firstPort-n)
		if allFree(first, n) {
			return first, nil
		}
	}
	return 0, errors.New("testcluster: no free ports")
}

func allFree(first, n int) bool {
	for port := first; port < first+n; port++ {
		tcp, err := net.Listen("tcp", localAddr(port))
		if err != nil {
			return false
		}
		_ = tcp.Close()
		udp, err := net.ListenPacket("udp", localAddr(port))
		if err != nil {
			return false
		}
		_ = udp.Close()
	}
	return true
}

func localAddr(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
