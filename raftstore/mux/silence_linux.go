package mux

import "syscall"

// boundSilence sets how long a connection may go without an acknowledgement; a
// listener's holds for those that it accepts.
func boundSilence(_, _ string, raw syscall.RawConn) error {
	const tcpUserTimeout = 18 // TCP_USER_TIMEOUT, which the package does not name
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(silence.Milliseconds()))
	})
	if err == nil {
		err = failed
	}
	return err
}
