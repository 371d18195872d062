package node

import (
	"os"
	"strconv"
	"syscall"
)

// Sever breaks every network connection of this process, and its listeners. It
// is for a process whose disk hangs: the kernel closes nothing before the last
// thread has ended, and one that waits for the disk can't be ended. So peers
// and clients would wait for answers on connections that look alive.
//
// It takes no lock and waits for nobody. Other sockets, such as the one to the
// system's log, are left alone. Where there is no /proc it does nothing.
func Sever() {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, entry := range open {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		addr, err := syscall.Getsockname(fd)
		if err != nil {
			continue // not a socket
		}
		switch addr.(type) {
		case *syscall.SockaddrInet4, *syscall.SockaddrInet6:
			_ = syscall.Shutdown(fd, syscall.SHUT_RDWR)
		}
	}
}
