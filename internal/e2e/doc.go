// Package e2e holds the end-to-end tests: separate `tombola serve` processes,
// a real MySQL, and what clients and operators see of them over HTTP. It has no
// code of its own; internal/testcluster runs the processes.
package e2e
