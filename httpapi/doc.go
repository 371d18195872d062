// Package httpapi is Tombola's HTTP API on fasthttp: the public calls, the
// operators' calls, probes, metrics and the OpenAPI document.
//
// It knows HTTP and nothing of how draws are decided: that is the Backend's,
// which speaks in the types of httpapi/wire. One table (routes.go) says which
// paths there are, who may use them and how large their bodies may be; one table
// (status.go) says which status a problem is answered with.
//
// The draw is matched by hand before the router and handled without allocating.
package httpapi
