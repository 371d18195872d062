package httpapi

import (
	"github.com/valyala/fasthttp"

	"tombola/httpapi/wire"
)

// hide takes out of a grant what only operators see.
func (c *call) hide(g *wire.Grant) {
	if c.role != operator {
		g.Code = ""
	}
}

func (s *Server) getGrant(c *call) (int, any, error) {
	id, err := c.grant()
	if err != nil {
		return 0, nil, err
	}
	g, err := s.cfg.Backend.Grant(c.ctx, id)
	if err != nil {
		return 0, nil, err
	}
	c.hide(&g)
	return fasthttp.StatusOK, g, nil
}

func (s *Server) getUserGrants(c *call) (int, any, error) {
	user := c.param("user")
	if !wire.ValidUser(user) {
		return 0, nil, wire.InvalidField("user", "must be 1 to 128 bytes of UTF-8 without control characters or outer white space")
	}
	prize := c.query("prize")
	if prize != "" && !wire.ValidPrizeID(prize) {
		return 0, nil, badPrize()
	}
	limit, err := c.limit()
	if err != nil {
		return 0, nil, err
	}
	list, err := s.cfg.Backend.UserGrants(c.ctx, user, prize, limit)
	if err != nil {
		return 0, nil, err
	}
	// The backend's list may be shared: copy before hiding.
	list.Grants = append([]wire.Grant{}, list.Grants...)
	for i := range list.Grants {
		c.hide(&list.Grants[i])
	}
	return fasthttp.StatusOK, list, nil
}

func (s *Server) voidGrant(c *call) (int, any, error) {
	id, err := c.grant()
	if err != nil {
		return 0, nil, err
	}
	v, err := wire.ParseVoid(c.http.Request.Body())
	if err != nil {
		return 0, nil, err
	}
	change, err := c.change()
	if err != nil {
		return 0, nil, err
	}
	g, err := s.cfg.Backend.VoidGrant(c.ctx, id, v.Restock, change)
	return fasthttp.StatusOK, g, err
}
