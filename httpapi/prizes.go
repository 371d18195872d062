package httpapi

import (
	"github.com/valyala/fasthttp"

	"tombola/httpapi/wire"
)

// tagged answers a prize with its ETag.
func (c *call) tagged(status int, d *wire.Definition, body any, err error) (int, any, error) {
	if err != nil {
		return 0, nil, err
	}
	c.http.Response.Header.Set(fasthttp.HeaderETag, d.ETag())
	return status, body, nil
}

func (s *Server) getPrize(c *call) (int, any, error) {
	id, err := c.prize()
	if err != nil {
		return 0, nil, err
	}
	d, err := s.cfg.Backend.Prize(c.ctx, id)
	return c.tagged(fasthttp.StatusOK, &d, &d, err)
}

func (s *Server) getPrizeCounts(c *call) (int, any, error) {
	id, err := c.prize()
	if err != nil {
		return 0, nil, err
	}
	p, err := s.cfg.Backend.PrizeCounts(c.ctx, id)
	p.Slices = some(p.Slices)
	return c.tagged(fasthttp.StatusOK, &p.Definition, &p, err)
}

func (s *Server) listPrizes(c *call) (int, any, error) {
	limit, err := c.limit()
	if err != nil {
		return 0, nil, err
	}
	after := c.query("cursor")
	if after != "" && !wire.ValidPrizeID(after) {
		return 0, nil, wire.InvalidField("cursor", "must be what the page before said")
	}
	page, err := s.cfg.Backend.ListPrizes(c.ctx, after, limit)
	if err != nil {
		return 0, nil, err
	}
	page.Prizes = some(page.Prizes)
	for i := range page.Prizes {
		page.Prizes[i].Slices = some(page.Prizes[i].Slices)
	}
	return fasthttp.StatusOK, page, nil
}

func (s *Server) putPrize(c *call) (int, any, error) {
	id, err := c.prize()
	if err != nil {
		return 0, nil, err
	}
	spec, err := wire.ParsePrizeSpec(c.http.Request.Body())
	if err != nil {
		return 0, nil, err
	}
	change, err := c.change()
	if err != nil {
		return 0, nil, err
	}
	d, created, err := s.cfg.Backend.PutPrize(c.ctx, id, spec, change)
	status := fasthttp.StatusOK
	if created {
		status = fasthttp.StatusCreated
	}
	return c.tagged(status, &d, &d, err)
}

func (s *Server) patchPrize(c *call) (int, any, error) {
	id, err := c.prize()
	if err != nil {
		return 0, nil, err
	}
	patch, err := wire.ParsePrizePatch(c.http.Request.Body())
	if err != nil {
		return 0, nil, err
	}
	change, err := c.change()
	if err != nil {
		return 0, nil, err
	}
	d, err := s.cfg.Backend.PatchPrize(c.ctx, id, patch, change)
	return c.tagged(fasthttp.StatusOK, &d, &d, err)
}

func (s *Server) deletePrize(c *call) (int, any, error) {
	id, err := c.prize()
	if err != nil {
		return 0, nil, err
	}
	change, err := c.change()
	if err != nil {
		return 0, nil, err
	}
	d, err := s.cfg.Backend.DeletePrize(c.ctx, id, change)
	return c.tagged(fasthttp.StatusOK, &d, &d, err)
}

// some returns list, or an empty one for nil: lists are never null in JSON.
func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
