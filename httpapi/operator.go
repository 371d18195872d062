package httpapi

import (
	_ "embed"
	"strconv"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/pprofhandler"

	"tombola/httpapi/wire"
)

// openAPI is the document at /openapi.yaml.
//
//go:embed openapi.yaml
var openAPI []byte

func (s *Server) getLive(*call) (int, any, error) {
	return fasthttp.StatusOK, map[string]bool{"live": true}, nil
}

// getReady says whether this node should be sent draws. With ?verbose it says
// what it looked at, too.
func (s *Server) getReady(c *call) (int, any, error) {
	r := s.cfg.Backend.Ready(c.ctx)
	if s.drained.Load() {
		r.Ready, r.Code = false, wire.CodeDraining
	}
	if !c.http.QueryArgs().Has("verbose") {
		r.Checks = nil
	}
	if r.Ready {
		return fasthttp.StatusOK, r, nil
	}
	if r.Code == wire.NoProblem {
		r.Code = wire.CodeNotReady
	}
	return 0, nil, &wire.Problem{Code: r.Code, Detail: "send draws to another node", Checks: r.Checks}
}

func (s *Server) getMetrics(c *call) (int, any, error) {
	c.http.SetContentType("text/plain; version=0.0.4; charset=utf-8")
	s.cfg.WriteMetrics(c.http.Response.BodyWriter())
	return fasthttp.StatusOK, nil, nil
}

func (s *Server) getOpenAPI(c *call) (int, any, error) {
	c.http.SetContentType("application/yaml")
	c.http.Response.SetBodyRaw(openAPI)
	return fasthttp.StatusOK, nil, nil
}

func (s *Server) getProfile(c *call) (int, any, error) {
	pprofhandler.PprofHandler(c.http)
	if status := c.http.Response.StatusCode(); status < 400 {
		return status, nil, nil
	}
	c.http.Response.Reset()
	return 0, nil, wire.NewProblem(wire.CodeNotFound, "there is no such profile")
}

func (s *Server) getCluster(c *call) (int, any, error) {
	cl, err := s.cfg.Backend.Cluster(c.ctx)
	if err != nil {
		return 0, nil, err
	}
	cl.Nodes, cl.Groups = some(cl.Nodes), some(cl.Groups)
	for i := range cl.Nodes {
		cl.Nodes[i].Leads = some(cl.Nodes[i].Leads)
	}
	for i := range cl.Groups {
		cl.Groups[i].Replicas = some(cl.Groups[i].Replicas)
	}
	return fasthttp.StatusOK, cl, nil
}

func (s *Server) getAudit(c *call) (int, any, error) {
	q := wire.AuditQuery{Prize: c.query("prize")}
	if q.Prize != "" && !wire.ValidPrizeID(q.Prize) {
		return 0, nil, badPrize()
	}
	limit, err := c.limit()
	if err != nil {
		return 0, nil, err
	}
	q.Limit = limit
	if text := c.query("cursor"); text != "" {
		if q.Before, err = strconv.ParseUint(text, 10, 64); err != nil || q.Before == 0 {
			return 0, nil, wire.InvalidField("cursor", "must be what the page before said")
		}
	}
	page, err := s.cfg.Backend.Audit(c.ctx, q)
	if err != nil {
		return 0, nil, err
	}
	page.Entries = some(page.Entries)
	return fasthttp.StatusOK, page, nil
}

func (s *Server) getVerify(c *call) (int, any, error) {
	r, err := s.cfg.Backend.Verify(c.ctx)
	if err != nil {
		return 0, nil, err
	}
	filled(&r)
	return fasthttp.StatusOK, r, nil
}

func (s *Server) repairSink(c *call) (int, any, error) {
	r, err := s.cfg.Backend.Repair(c.ctx, wire.Change{Actor: "admin@" + c.http.RemoteIP().String()})
	if err != nil {
		return 0, nil, err
	}
	r.Grants = some(r.Grants)
	filled(&r.Report)
	return fasthttp.StatusOK, r, nil
}

// filled has empty lists written as such.
func filled(r *wire.Report) {
	if r.Checked == nil {
		r.Checked = map[string]int64{}
	}
	if r.Lag == nil {
		r.Lag = map[string]int64{}
	}
	r.Discrepancies = some(r.Discrepancies)
}
