// Package testcluster provides what tests run against beside the code under
// test itself: real database servers, started on demand and gone with the test
// process.
package testcluster
