package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"tombola/httpapi/wire"
)

// drawCmd draws.
type drawCmd struct {
	Prize         string `arg:"" name:"prize" help:"The prize's id."`
	User          string `name:"user" required:"" help:"Who draws." placeholder:"USER"`
	RequestID     string `name:"request-id" help:"Id under which this draw may be repeated (default: a random one)." placeholder:"ID"`
	Count         int    `name:"count" help:"How many draws, one after the other." default:"1"`
	DrawTokenFile string `name:"draw-token-file" help:"File with the draw token (or TOMBOLA_DRAW_TOKEN holds the token itself)." env:"TOMBOLA_DRAW_TOKEN_FILE" placeholder:"FILE"`
	serverFlags   `embed:""`
}

// drawBody is the body of a draw.
type drawBody struct {
	User      string `json:"user"`
	RequestID string `json:"request_id"`
}

func (c *drawCmd) check() error {
	if err := (prizeArg{c.Prize}).check(); err != nil {
		return err
	}
	switch {
	case !wire.ValidUser(c.User):
		return usagef("--user: must be 1 to %d bytes of UTF-8 without control characters or outer white space", wire.MaxUser)
	case c.RequestID != "" && !wire.ValidRequestID(c.RequestID):
		return usagef("--request-id: must be 1 to %d printable ASCII characters", wire.MaxRequestID)
	case c.Count < 1:
		return usagef("--count: must be at least 1")
	case c.Count > 1 && c.RequestID != "":
		return usagef("--request-id: names one draw, and --count asks for %d", c.Count)
	}
	return nil
}

// Run draws --count times. Every draw has a request id, so that it can be sent
// again when an answer is lost without being granted twice. A refusal is told
// and ends in ExitRefused once all have been sent; a problem ends the command.
func (c *drawCmd) Run(ctx context.Context, a *App) error {
	if err := c.check(); err != nil {
		return err
	}
	cl, err := c.connect(a, c.DrawTokenFile)
	if err != nil {
		return err
	}
	defer cl.close()
	var results []wire.DrawResult
	for range c.Count {
		r, raw, drawErr := c.draw(ctx, cl)
		if drawErr != nil {
			err = drawErr
			break
		}
		if r.Outcome != wire.Granted {
			err = errNegative
		}
		if c.json() {
			if printErr := a.printLine(raw); printErr != nil {
				return printErr
			}
			continue
		}
		results = append(results, r)
	}
	if len(results) > 0 {
		if tableErr := a.table(func(t *table) { t.draws(results) }); tableErr != nil {
			return tableErr
		}
	}
	return err
}

// draw makes one draw, repeated until its outcome is known.
func (c *drawCmd) draw(ctx context.Context, cl *client) (wire.DrawResult, json.RawMessage, error) {
	id := c.RequestID
	if id == "" {
		id = rand.Text()
	}
	var r wire.DrawResult
	raw, err := cl.into(ctx, call{
		method: http.MethodPost, path: "/v1/prizes/" + c.Prize + "/draw",
		body: drawBody{User: c.User, RequestID: id}, repeatable: true,
	}, &r)
	if unknown(ctx, err) {
		return r, nil, &hintError{err, "repeat it with --request-id " + shellWord(id)}
	}
	return r, raw, err
}

// shellWord quotes s for a shell where that is needed.
func shellWord(s string) string {
	if strings.IndexFunc(s, func(r rune) bool {
		return !strings.ContainsRune("-._:/@+=,", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// unknown reports whether a draw that ended in err may have been granted.
func unknown(ctx context.Context, err error) bool {
	var lost *lostError
	var p *wire.Problem
	return err != nil && (ctx.Err() != nil || errors.As(err, &lost) || errors.As(err, &p) && p.Status == http.StatusGatewayTimeout)
}

// grantsCmd shows grants.
type grantsCmd struct {
	GrantID       string `arg:"" name:"grant-id" optional:"" help:"One grant's id, as 1-42."`
	User          string `name:"user" help:"The grants of this user." placeholder:"USER"`
	Prize         string `name:"prize" help:"Only those of this prize." placeholder:"ID"`
	Limit         int    `name:"limit" help:"At most this many, the newest ones (default: as many as the server gives)." placeholder:"N"`
	DrawTokenFile string `name:"draw-token-file" help:"File with the draw token (or TOMBOLA_DRAW_TOKEN holds the token itself)." env:"TOMBOLA_DRAW_TOKEN_FILE" placeholder:"FILE"`
	serverFlags   `embed:""`
}

// Run shows one grant, or a user's.
func (c *grantsCmd) Run(ctx context.Context, a *App) error {
	path, err := c.path()
	if err != nil {
		return err
	}
	cl, err := c.connect(a, c.DrawTokenFile)
	if err != nil {
		return err
	}
	defer cl.close()
	if c.GrantID != "" {
		var g wire.Grant
		return c.show(ctx, a, cl, path, &g, func(t *table) { t.grants([]wire.Grant{g}) })
	}
	var u wire.UserGrants
	if err := c.show(ctx, a, cl, path, &u, func(t *table) { t.grants(u.Grants) }); err != nil {
		return err
	}
	if u.More && !c.json() {
		a.say("there are older ones that are not shown: see --limit and --prize")
	}
	return nil
}

func (c *grantsCmd) path() (string, error) {
	if (c.GrantID == "") == (c.User == "") {
		return "", usagef("say either a grant's id or --user")
	}
	if c.GrantID != "" {
		if c.Prize != "" || c.Limit != 0 {
			return "", usagef("--prize and --limit go with --user")
		}
		id, err := wire.ParseGrantID(c.GrantID)
		if err != nil {
			return "", usagef("%q is no grant id: it is like 1-42", c.GrantID)
		}
		return "/v1/grants/" + id.String(), nil
	}
	if !wire.ValidUser(c.User) {
		return "", usagef("--user: must be 1 to %d bytes of UTF-8 without control characters or outer white space", wire.MaxUser)
	}
	query := url.Values{}
	if c.Prize != "" {
		if err := (prizeArg{c.Prize}).check(); err != nil {
			return "", err
		}
		query.Set("prize", c.Prize)
	}
	if c.Limit < 0 {
		return "", usagef("--limit: must be at least 1")
	}
	if c.Limit > 0 {
		query.Set("limit", strconv.Itoa(c.Limit))
	}
	path := "/v1/users/" + url.PathEscape(c.User) + "/grants"
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return path, nil
}
