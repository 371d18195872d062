package httpapi

import "github.com/valyala/fasthttp"

// Fasthttp returns the public listener's server, for benchmarks that need no
// network.
func (s *Server) Fasthttp() *fasthttp.Server { return s.listeners.public }
