// Package testcluster provides what tests, fault tests and the bench run
// against: clusters of separate `tombola serve` processes and real database
// servers, started on demand and gone with the process that started them.
package testcluster
