package httpapi

import (
	"time"

	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"
)

// access says who may use a route.
type access uint8

const (
	open      access = iota // everybody
	drawers                 // holders of the draw token, where one is set
	operators               // holders of the admin token
)

// side says which listener a route is on when there are two.
type side uint8

const (
	public side = 1 << iota
	admin
	both = public | admin
)

// route is one row of the table.
type route struct {
	name   string // in metrics
	method string
	path   string
	side   side
	access access
	body   int           // largest body taken, in bytes
	wait   time.Duration // the call's default time limit
	handle handler
}

// routes is the table of all there is. GET routes answer HEAD as well.
func (s *Server) routes() []route {
	const (
		get, post, put  = fasthttp.MethodGet, fasthttp.MethodPost, fasthttp.MethodPut
		patch, del      = fasthttp.MethodPatch, fasthttp.MethodDelete
		prize, prizes   = "/v1/prizes/{prize}", "/admin/v1/prizes"
		grant, userPath = "/v1/grants/{grant_id}", "/v1/users/{user}/grants"
	)
	small, large := s.limits.DrawBody, s.limits.AdminBody
	return []route{
		// The draw is matched by hand first (serve); this row is for paths with
		// percent-encoding and for the header Allow.
		{"draw", post, prize + "/draw", public, drawers, small, drawWait, nil},
		{"prize", get, prize, public, drawers, small, callWait, s.getPrize},
		{"grant", get, grant, public, drawers, small, callWait, s.getGrant},
		{"user_grants", get, userPath, public, drawers, small, callWait, s.getUserGrants},

		{"livez", get, "/livez", both, open, small, callWait, s.getLive},
		{"livez", get, "/healthz", both, open, small, callWait, s.getLive},
		{"readyz", get, "/readyz", both, open, small, callWait, s.getReady},
		{"openapi", get, "/openapi.yaml", both, open, small, callWait, s.getOpenAPI},
		{"metrics", get, "/metrics", admin, open, small, callWait, s.getMetrics},

		{"admin_list_prizes", get, prizes, admin, operators, large, callWait, s.listPrizes},
		{"admin_prize", get, prizes + "/{prize}", admin, operators, large, callWait, s.getPrizeCounts},
		{"admin_put_prize", put, prizes + "/{prize}", admin, operators, large, callWait, s.putPrize},
		{"admin_patch_prize", patch, prizes + "/{prize}", admin, operators, large, callWait, s.patchPrize},
		{"admin_delete_prize", del, prizes + "/{prize}", admin, operators, large, callWait, s.deletePrize},
		{"admin_void_grant", post, "/admin" + grant + "/void", admin, operators, large, callWait, s.voidGrant},
		{"admin_cluster", get, "/admin/v1/cluster", admin, operators, large, callWait, s.getCluster},
		{"admin_audit", get, "/admin/v1/audit", admin, operators, large, callWait, s.getAudit},
		{"admin_verify", get, "/admin/v1/verify", admin, operators, large, verifyWait, s.getVerify},
		{"admin_repair", post, "/admin/v1/verify/repair", admin, operators, large, verifyWait, s.repairSink},
		{"pprof", get, "/debug/pprof/{profile?}", admin, operators, large, verifyWait, s.getProfile},
	}
}

// newRouter builds the router for the routes of one side.
func (s *Server) newRouter(on side) *router.Router {
	r := router.New()
	r.RedirectTrailingSlash = false
	r.RedirectFixedPath = false
	r.NotFound = s.notFound
	r.MethodNotAllowed = s.methodNotAllowed
	r.GlobalOPTIONS = s.options
	for _, rt := range s.routes() {
		if rt.side&on == 0 {
			continue
		}
		h := s.wrap(rt)
		if rt.handle == nil {
			h = s.serveEncodedDraw
		}
		r.Handle(rt.method, rt.path, h)
		if rt.method == fasthttp.MethodGet {
			r.Handle(fasthttp.MethodHead, rt.path, h)
		}
	}
	return r
}
