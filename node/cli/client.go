package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"tombola/httpapi/wire"
	"tombola/node/config"
)

// maxAnswer bounds what is read of one answer, in bytes.
const maxAnswer = 64 << 20

// errUnreachable is wrapped where no server could be reached, or none answered.
var errUnreachable = errors.New("no server could be reached")

// serverFlags say whom a command talks to, and how.
type serverFlags struct {
	Server         []string      `name:"server" help:"URLs of nodes; the next is tried where one can't be reached." default:"http://127.0.0.1:7070" env:"TOMBOLA_SERVER"`
	AdminTokenFile string        `name:"admin-token-file" help:"File with the admin token (or TOMBOLA_ADMIN_TOKEN holds the token itself)." env:"TOMBOLA_ADMIN_TOKEN_FILE" placeholder:"FILE"`
	Output         string        `name:"output" short:"o" help:"table or json." default:"table" enum:"table,json"`
	Timeout        time.Duration `name:"timeout" help:"How long one server may take to answer." default:"${timeout}"`
}

// json reports whether the output is for programs.
func (f *serverFlags) json() bool { return f.Output == "json" }

// client sends calls to the servers, one at a time.
type client struct {
	servers []string // without a slash at the end
	next    int      // the server to ask first
	token   string
	admin   bool // token is the admin token
	timeout time.Duration
	http    *http.Client
	pause   func(context.Context, time.Duration) error
}

// connect makes a client. It connects to nobody yet. drawTokenFile, and the
// variable for that token, serve where no admin token is given.
func (f *serverFlags) connect(a *App, drawTokenFile string) (*client, error) {
	if f.Timeout <= 0 {
		return nil, usagef("--timeout: must be more than 0")
	}
	c := &client{timeout: f.Timeout, pause: a.pause}
	for _, s := range f.Server {
		u, err := url.Parse(strings.TrimSpace(s))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.User != nil {
			return nil, usagef("--server: must be like http://host:port, not %q", s)
		}
		c.servers = append(c.servers, strings.TrimRight(u.String(), "/"))
	}
	if len(c.servers) == 0 {
		return nil, usagef("--server: must name a server")
	}
	logger := slog.New(slog.NewTextHandler(a.Stderr, nil))
	var err error
	if c.token, err = config.Token("admin-token-file", f.AdminTokenFile, os.Getenv(config.AdminTokenEnv), logger); err != nil {
		return nil, &usageError{err.Error()}
	}
	if c.admin = c.token != ""; !c.admin {
		if c.token, err = config.Token("draw-token-file", drawTokenFile, os.Getenv(config.DrawTokenEnv), logger); err != nil {
			return nil, &usageError{err.Error()}
		}
	}
	c.http = &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
			TLSHandshakeTimeout: 5 * time.Second,
		},
		// A redirect would carry the token to whoever is named there.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// close lets go of the connections that are kept open.
func (c *client) close() { c.http.CloseIdleConnections() }

// call is one request, as often as it has to be sent.
type call struct {
	method string
	path   string // escaped
	body   any    // marshalled as JSON; nil for none
	header http.Header
	// repeatable says that sending it twice does what sending it once does, so
	// that it may be sent again when nobody knows what became of it.
	repeatable bool
}

// answer is what a server said.
type answer struct {
	status     int
	body       []byte
	problem    *wire.Problem // for a status of 400 and above
	retryAfter time.Duration
}

// lostError says that a request may have been carried out: the connection was
// lost, or time was up, after it had been sent.
type lostError struct{ err error }

func (e *lostError) Error() string { return e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// into sends the call and decodes the answer into out. The answer's own bytes
// are returned as well, for output in JSON.
func (c *client) into(ctx context.Context, req call, out any) ([]byte, error) {
	a, err := c.do(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(a.body, out); err != nil {
		return nil, fmt.Errorf("%s %s: the answer could not be read: %w", req.method, req.path, err)
	}
	return a.body, nil
}

// round asks one server after the other until one answers.
func (c *client) round(ctx context.Context, req call, body []byte) (*answer, error) {
	var errs []error
	lost := false
	for range c.servers {
		a, err := c.once(ctx, req, body, c.servers[c.next])
		if err == nil {
			return a, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		errs = append(errs, err)
		c.next = (c.next + 1) % len(c.servers)
		var l *lostError
		if errors.As(err, &l) {
			lost = true
			if !req.repeatable {
				break
			}
		}
	}
	err := fmt.Errorf("%w: %w", errUnreachable, errors.Join(errs...))
	if lost {
		return nil, &lostError{err}
	}
	return nil, err
}

// once asks one server.
func (c *client) once(ctx context.Context, req call, body []byte, server string) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	// Before there is a connection, TLS handshake included, nothing was sent.
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
	r, err := http.NewRequestWithContext(ctx, req.method, server+req.path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("cli: %w", err)
	}
	for name, values := range req.header {
		r.Header[name] = values
	}
	r.Header.Set("User-Agent", "tombola")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		if sent.Load() {
			return nil, &lostError{err}
		}
		return nil, err
	}
	defer resp.Body.Close()
	a := &answer{status: resp.StatusCode, retryAfter: retryAfter(resp.Header)}
	if a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer)); err != nil {
		return nil, &lostError{fmt.Errorf("%s %s: %w", req.method, server+req.path, err)}
	}
	if a.status >= 300 {
		a.problem = problemOf(a)
	}
	return a, nil
}

// problemOf reads a problem, or makes one of an answer that is none, as
// proxies send them.
func problemOf(a *answer) *wire.Problem {
	p := new(wire.Problem)
	if err := json.Unmarshal(a.body, p); err != nil || p.Code == wire.NoProblem && p.Detail == "" {
		text := []rune(oneLine(string(a.body)))
		if len(text) > 200 {
			text = append(text[:200], '…')
		}
		p = &wire.Problem{Detail: string(text)}
		if len(text) == 0 {
			p.Detail = http.StatusText(a.status)
		}
	}
	p.Status = a.status
	return p
}

// retryAfter reads the header, which is in seconds or a date.
func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if v == "" {
		return 0
	}
	if s, err := strconv.Atoi(v); err == nil {
		return time.Duration(max(s, 0)) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(time.Until(t), 0)
	}
	return 0
}
