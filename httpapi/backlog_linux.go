package httpapi

import (
	"net"
	"os"
	"syscall"
)

// takeBacklog stops ln from taking connections, and returns those that the
// kernel has taken and nobody accepted yet. By itself the end of a listener
// resets them, and a client that has sent its request can't tell that from a
// crash.
func takeBacklog(ln net.Listener) []net.Conn {
	source, ok := ln.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := source.SyscallConn()
	if err != nil {
		return nil
	}
	var taken []int
	_ = raw.Control(func(fd uintptr) {
		// From now on one may wait to be accepted, and others try again later:
		// between the last accept and the end hardly anybody comes in.
		_ = syscall.Listen(int(fd), 0)
		for {
			conn, _, err := syscall.Accept4(int(fd), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
			if err == syscall.EINTR || err == syscall.ECONNABORTED {
				continue
			}
			if err != nil {
				break
			}
			taken = append(taken, conn)
		}
		_ = syscall.Shutdown(int(fd), syscall.SHUT_RD)
	})
	var conns []net.Conn
	for _, fd := range taken {
		file := os.NewFile(uintptr(fd), "backlog")
		if conn, err := net.FileConn(file); err == nil { // a copy
			conns = append(conns, conn)
		}
		_ = file.Close()
	}
	return conns
}
