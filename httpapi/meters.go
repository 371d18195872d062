package httpapi

import (
	"strconv"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"tombola/httpapi/wire"
)

// meters are the server's metrics. Those of draws are looked up once; others
// are looked up by name, which is quick enough for them.
type meters struct {
	set      *metrics.Set
	outcomes [wire.OutcomeCount]*metrics.Counter
	problems [wire.CodeCount]*metrics.Counter
	latency  *metrics.PrometheusHistogram
	refused  *metrics.Counter
}

func newMeters(set *metrics.Set) *meters {
	m := &meters{
		set:     set,
		refused: set.GetOrCreateCounter("tombola_http_connections_refused_total"),
		latency: set.GetOrCreatePrometheusHistogramExt("tombola_draw_duration_seconds",
			[]float64{.0005, .001, .002, .003, .005, .0075, .01, .02, .03, .05, .1, .25, .5, 1, 2.5, 10}),
	}
	for o := wire.Granted; o < wire.OutcomeCount; o++ {
		m.outcomes[o] = m.draw(o.String(), 200)
	}
	for c := wire.CodeBadRequest; int(c) < wire.CodeCount; c++ {
		m.problems[c] = m.draw(c.String(), statusOf(c))
	}
	return m
}

// watch registers what can be read off the server at any time.
func (s *Server) watch() {
	gauge := s.meters.set.GetOrCreateGauge
	gauge("tombola_draws_in_progress", func() float64 { return float64(s.drawing.Load()) })
	gauge(`tombola_http_connections{listener="public"}`, func() float64 {
		return float64(s.listeners.public.GetOpenConnectionsCount())
	})
	if srv := s.listeners.admin; srv != nil {
		gauge(`tombola_http_connections{listener="admin"}`, func() float64 {
			return float64(srv.GetOpenConnectionsCount())
		})
	}
}

// draw returns the counter of draws that were answered with result: an outcome
// or a problem's code.
func (m *meters) draw(result string, status int) *metrics.Counter {
	return m.set.GetOrCreateCounter(`tombola_draws_total{result="` + result + `",status="` + strconv.Itoa(status) + `"}`)
}

// drawn counts one draw.
func (m *meters) drawn(o wire.Outcome, p wire.Code, took time.Duration) {
	if p != wire.NoProblem {
		m.problems[p].Inc()
	} else {
		m.outcomes[o].Inc()
	}
	m.latency.Update(took.Seconds())
}

// request counts one request other than a draw.
func (m *meters) request(route string, method []byte, status int) {
	m.set.GetOrCreateCounter(`tombola_http_requests_total{route="` + route + `",method="` + known(method) +
		`",status="` + strconv.Itoa(status) + `"}`).Inc()
}

// known returns the method where it is one of HTTP's, so that clients can't
// make metrics up.
func known(method []byte) string {
	switch m := string(method); m {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return m
	default:
		return "other"
	}
}
