package httpapi

import "github.com/valyala/fasthttp"

// Fasthttp returns the public listener's server, for benchmarks that need no
// network.
func (s *Server) Fasthttp() *fasthttp.Server { return s.listeners.public }

// IdempotencyKey reads the header's value.
func IdempotencyKey(v []byte) ([]byte, bool) { return idempotencyKey(v) }
