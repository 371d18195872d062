package testcluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"tombola/httpapi/wire"
)

// Client speaks to one node. Its methods may be called concurrently and send
// each request once: what a test is told is what the node answered. A problem
// is returned as *wire.Problem.
type Client struct {
	URL   string
	Token string // the admin token
	HTTP  *http.Client
}

// NewHTTP returns a client with room for conns idle connections to a node. It
// gives idle ones up sooner than servers do, so that no request meets a
// connection that is just being closed.
func NewHTTP(conns int) *http.Client {
	return &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: conns, IdleConnTimeout: 5 * time.Second, DisableCompression: true,
	}}
}

// Answer is an HTTP answer as it came.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Problem returns the answer's problem, or an error where it is none as the
// contract has it.
func (a *Answer) Problem() (*wire.Problem, error) {
	p := new(wire.Problem)
	if kind := a.Header.Get("Content-Type"); kind != "application/problem+json" {
		return nil, fmt.Errorf("testcluster: answer %d is of type %q: %s", a.Status, kind, a.Body)
	}
	if err := json.Unmarshal(a.Body, p); err != nil {
		return nil, fmt.Errorf("testcluster: answer %d: %w: %s", a.Status, err, a.Body)
	}
	if p.Status != a.Status || p.Code == wire.NoProblem {
		return nil, fmt.Errorf("testcluster: answer %d is no documented problem: %s", a.Status, a.Body)
	}
	return p, nil
}

// Do sends a request. A body that is not empty is sent as JSON unless header
// says otherwise.
func (c *Client) Do(ctx context.Context, method, path string, body []byte, header http.Header) (*Answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("testcluster: %w", err)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, values := range header {
		req.Header[name] = values
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("testcluster: %w", err)
	}
	defer res.Body.Close()
	a := &Answer{Status: res.StatusCode, Header: res.Header}
	if a.Body, err = io.ReadAll(res.Body); err != nil {
		return nil, fmt.Errorf("testcluster: read answer: %w", err)
	}
	return a, nil
}

// Call sends a request with the admin token and reads the answer into out,
// which may be nil.
func (c *Client) Call(ctx context.Context, method, path string, body, out any) error {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return fmt.Errorf("testcluster: %w", err)
		}
	}
	a, err := c.Do(ctx, method, path, data, http.Header{"Authorization": {"Bearer " + c.Token}})
	if err != nil {
		return err
	}
	return read(a, out)
}

func read(a *Answer, out any) error {
	if a.Status >= 300 {
		p, err := a.Problem()
		if err != nil {
			return err
		}
		return p
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(a.Body, out); err != nil {
		return fmt.Errorf("testcluster: read answer: %w: %s", err, a.Body)
	}
	return nil
}

// DrawWait is how long draws may wait for their decision: as long as the
// contract lets them, since a test machine may be busy.
const DrawWait = 10 * time.Second

// Draw draws once. requestID may be empty.
func (c *Client) Draw(ctx context.Context, prize, user, requestID string) (r wire.DrawResult, err error) {
	a, err := c.Do(ctx, http.MethodPost, "/v1/prizes/"+prize+"/draw", wire.AppendDrawRequest(nil, user, requestID),
		http.Header{"Tombola-Timeout-Ms": {strconv.FormatInt(DrawWait.Milliseconds(), 10)}})
	if err != nil {
		return r, err
	}
	return r, read(a, &r)
}

func prizePath(prize string) string { return "/admin/v1/prizes/" + prize }

// Put creates or replaces a prize.
func (c *Client) Put(ctx context.Context, prize string, spec wire.PrizeSpec) (d wire.Definition, err error) {
	return d, c.Call(ctx, http.MethodPut, prizePath(prize), spec, &d)
}

// Patch changes a prize.
func (c *Client) Patch(ctx context.Context, prize string, patch wire.PrizePatch) (d wire.Definition, err error) {
	return d, c.Call(ctx, http.MethodPatch, prizePath(prize), patch, &d)
}

// Prize returns a prize with its counts.
func (c *Client) Prize(ctx context.Context, prize string) (p wire.Prize, err error) {
	return p, c.Call(ctx, http.MethodGet, prizePath(prize), nil, &p)
}

// Void takes a grant back.
func (c *Client) Void(ctx context.Context, id wire.GrantID, restock bool) (g wire.Grant, err error) {
	return g, c.Call(ctx, http.MethodPost, "/admin/v1/grants/"+id.String()+"/void", map[string]bool{"restock": restock}, &g)
}

// Grant returns a grant.
func (c *Client) Grant(ctx context.Context, id wire.GrantID) (g wire.Grant, err error) {
	return g, c.Call(ctx, http.MethodGet, "/v1/grants/"+id.String(), nil, &g)
}

// UserGrants returns a user's grants of one prize.
func (c *Client) UserGrants(ctx context.Context, user, prize string) (g wire.UserGrants, err error) {
	return g, c.Call(ctx, http.MethodGet, "/v1/users/"+url.PathEscape(user)+"/grants?prize="+url.QueryEscape(prize), nil, &g)
}

// Cluster returns the cluster as the node sees it.
func (c *Client) Cluster(ctx context.Context) (s wire.Cluster, err error) {
	return s, c.Call(ctx, http.MethodGet, "/admin/v1/cluster", nil, &s)
}

// Verify has the cluster compared with its sink.
func (c *Client) Verify(ctx context.Context) (r wire.Report, err error) {
	return r, c.Call(ctx, http.MethodGet, "/admin/v1/verify", nil, &r)
}

// Ready reports whether the node wants draws.
func (c *Client) Ready(ctx context.Context) (bool, error) {
	a, err := c.Do(ctx, http.MethodGet, "/readyz", nil, nil)
	return err == nil && a.Status == http.StatusOK, err
}

// CodeOf returns the code of the problem that err is, or wire.NoProblem.
func CodeOf(err error) wire.Code {
	var p *wire.Problem
	if errors.As(err, &p) {
		return p.Code
	}
	return wire.NoProblem
}
