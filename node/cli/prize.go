package cli

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"tombola/httpapi/wire"
)

// prizeCmd is about prizes.
type prizeCmd struct {
	Create prizeCreateCmd `cmd:"" help:"Create a prize."`
	Show   prizeShowCmd   `cmd:"" help:"Show a prize: with the admin token its counts as well."`
	List   prizeListCmd   `cmd:"" help:"List all prizes."`
	Resize prizeResizeCmd `cmd:"" help:"Change a prize's total, or its daily limit, while draws go on."`
	Pause  prizePauseCmd  `cmd:"" help:"Refuse draws until resume."`
	Resume prizeResumeCmd `cmd:"" help:"Take draws again after pause."`
	Delete prizeDeleteCmd `cmd:"" help:"End a prize for good; its grants stay readable and its id is never used again."`
}

// prizeArg names the prize.
type prizeArg struct {
	ID string `arg:"" name:"id" help:"The prize's id."`
}

func (p prizeArg) check() error {
	if !wire.ValidPrizeID(p.ID) {
		return usagef("%q is no prize id: 1 to %d letters, digits, dots, dashes or underscores that start with a letter or digit", p.ID, wire.MaxPrizeID)
	}
	return nil
}

// path returns the path of the admin API.
func (p prizeArg) path() string { return "/admin/v1/prizes/" + p.ID }

type prizeCreateCmd struct {
	prizeArg         `embed:""`
	Total            int64      `name:"total" required:"" help:"Tokens in the prize's lifetime." placeholder:"N"`
	DailyLimit       int64      `name:"daily-limit" help:"Tokens in one calendar day (default: no limit)." placeholder:"N"`
	PerUserLimit     int64      `name:"per-user-limit" help:"Grants that one user may hold (default: no limit)." placeholder:"N"`
	Timezone         string     `name:"timezone" help:"IANA zone in which days begin (default: UTC)." placeholder:"ZONE"`
	StartsAt         *time.Time `name:"starts-at" help:"First draw, RFC 3339 (default: at once)." placeholder:"TIME"`
	EndsAt           *time.Time `name:"ends-at" help:"No draws from then on, RFC 3339 (default: never)." placeholder:"TIME"`
	ReleasePerSecond string     `name:"release-per-second" help:"Pace at which tokens become available (default: all at once)." placeholder:"RATE"`
	ReleaseBurst     int64      `name:"release-burst" help:"Tokens that may gather while nobody draws (default: a second's worth)." placeholder:"N"`
	Replace          bool       `name:"replace" help:"Replace the definition where the prize exists already."`
	serverFlags      `embed:""`
}

// prizeBody is the body of PUT, without what was not said.
type prizeBody struct {
	Kind         string       `json:"kind"`
	Total        int64        `json:"total"`
	DailyLimit   int64        `json:"daily_limit,omitzero"`
	PerUserLimit int64        `json:"per_user_limit,omitzero"`
	Timezone     string       `json:"timezone,omitzero"`
	StartsAt     *wire.Time   `json:"starts_at,omitzero"`
	EndsAt       *wire.Time   `json:"ends_at,omitzero"`
	Release      *releaseBody `json:"release,omitzero"`
}

type releaseBody struct {
	PerSecond wire.Rate `json:"per_second"`
	Burst     int64     `json:"burst,omitzero"`
}

// body reads the flags. Zero means "not said", so what can't be is refused
// here: the server would never see it.
func (c *prizeCreateCmd) body() (prizeBody, error) {
	for _, n := range []struct {
		flag  string
		value int64
		least int64
	}{
		{"total", c.Total, 1}, {"daily-limit", c.DailyLimit, 0}, {"per-user-limit", c.PerUserLimit, 0}, {"release-burst", c.ReleaseBurst, 0},
	} {
		if n.value < n.least {
			return prizeBody{}, usagef("--%s: must be at least 1", n.flag)
		}
	}
	b := prizeBody{
		Kind: wire.KindCounter, Total: c.Total, DailyLimit: c.DailyLimit, PerUserLimit: c.PerUserLimit,
		Timezone: c.Timezone, StartsAt: instant(c.StartsAt), EndsAt: instant(c.EndsAt),
	}
	if c.ReleasePerSecond == "" {
		if c.ReleaseBurst != 0 {
			return b, usagef("--release-burst: needs --release-per-second")
		}
		return b, nil
	}
	b.Release = &releaseBody{Burst: c.ReleaseBurst}
	if err := b.Release.PerSecond.UnmarshalJSON([]byte(c.ReleasePerSecond)); err != nil || b.Release.PerSecond <= 0 {
		return b, usagef("--release-per-second: must be a number above 0 with at most three decimals, not %q", c.ReleasePerSecond)
	}
	return b, nil
}

func instant(t *time.Time) *wire.Time {
	if t == nil {
		return nil
	}
	w := wire.TimeOf(*t)
	return &w
}

// Run creates the prize. Without --replace it refuses one that exists, so that
// a slip of the keyboard doesn't redefine a prize that is being drawn.
func (c *prizeCreateCmd) Run(ctx context.Context, a *App) error {
	if err := c.check(); err != nil {
		return err
	}
	body, err := c.body()
	if err != nil {
		return err
	}
	header := http.Header{}
	if !c.Replace {
		header.Set("If-None-Match", "*")
	}
	return c.change(ctx, a, call{method: http.MethodPut, path: c.path(), body: body, header: header, repeatable: c.Replace})
}

// change sends a change and shows the definition that holds then.
func (f *serverFlags) change(ctx context.Context, a *App, req call) error {
	c, err := f.connect(a, "")
	if err != nil {
		return err
	}
	defer c.close()
	var d wire.Definition
	raw, err := c.into(ctx, req, &d)
	if err != nil {
		return err
	}
	if f.json() {
		return a.printJSON(raw)
	}
	return a.table(func(t *table) { t.definition(&d) })
}

type prizeShowCmd struct {
	prizeArg    `embed:""`
	serverFlags `embed:""`
}

// Run shows the prize as the token allows.
func (c *prizeShowCmd) Run(ctx context.Context, a *App) error {
	if err := c.check(); err != nil {
		return err
	}
	cl, err := c.connect(a, "")
	if err != nil {
		return err
	}
	defer cl.close()
	if !cl.admin {
		var d wire.Definition
		return c.show(ctx, a, cl, "/v1/prizes/"+c.ID, &d, func(t *table) { t.definition(&d) })
	}
	var p wire.Prize
	return c.show(ctx, a, cl, c.path(), &p, func(t *table) { t.prize(&p) })
}

// show gets one document and prints it, as JSON or as rows.
func (f *serverFlags) show(ctx context.Context, a *App, c *client, path string, into any, rows func(*table)) error {
	raw, err := c.into(ctx, call{method: http.MethodGet, path: path, repeatable: true}, into)
	if err != nil {
		return err
	}
	if f.json() {
		return a.printJSON(raw)
	}
	return a.table(rows)
}

type prizeListCmd struct {
	serverFlags `embed:""`
}

// Run lists the prizes, page by page.
func (c *prizeListCmd) Run(ctx context.Context, a *App) error {
	cl, err := c.connect(a, "")
	if err != nil {
		return err
	}
	defer cl.close()
	all := wire.PrizePage{Prizes: []wire.Prize{}}
	for cursor := ""; ; {
		path := "/admin/v1/prizes?limit=100"
		if cursor != "" {
			path += "&cursor=" + url.QueryEscape(cursor)
		}
		var page wire.PrizePage
		if _, err := cl.into(ctx, call{method: http.MethodGet, path: path, repeatable: true}, &page); err != nil {
			return err
		}
		all.Prizes = append(all.Prizes, page.Prizes...)
		if page.Cursor == "" || page.Cursor == cursor {
			break
		}
		cursor = page.Cursor
	}
	if c.json() {
		return a.printValue(all)
	}
	return a.table(func(t *table) { t.prizes(all.Prizes) })
}

type prizeResizeCmd struct {
	prizeArg    `embed:""`
	Total       int64  `arg:"" name:"n" optional:"" help:"The new total."`
	DailyLimit  string `name:"daily-limit" help:"The new daily limit, or none." placeholder:"N|none"`
	serverFlags `embed:""`
}

// Run changes what was said and leaves the rest.
func (c *prizeResizeCmd) Run(ctx context.Context, a *App) error {
	if err := c.check(); err != nil {
		return err
	}
	var p wire.PrizePatch
	switch {
	case c.Total < 0:
		return usagef("the new total must be at least 1")
	case c.Total > 0:
		p.Total = wire.To(c.Total)
	case c.DailyLimit == "":
		return usagef("say the new total, --daily-limit or both")
	}
	switch c.DailyLimit {
	case "":
	case "none":
		p.DailyLimit = wire.Null[int64]()
	default:
		n, err := strconv.ParseInt(c.DailyLimit, 10, 64)
		if err != nil || n < 1 {
			return usagef("--daily-limit: must be a number of at least 1, or none, not %q", c.DailyLimit)
		}
		p.DailyLimit = wire.To(n)
	}
	return c.change(ctx, a, call{method: http.MethodPatch, path: c.path(), body: p, repeatable: true})
}

// setStatus changes the status alone.
func (f *serverFlags) setStatus(ctx context.Context, a *App, p prizeArg, status string) error {
	if err := p.check(); err != nil {
		return err
	}
	patch := wire.PrizePatch{Status: wire.To(status)}
	return f.change(ctx, a, call{method: http.MethodPatch, path: p.path(), body: patch, repeatable: true})
}

type prizePauseCmd struct {
	prizeArg    `embed:""`
	serverFlags `embed:""`
}

// Run pauses the prize.
func (c *prizePauseCmd) Run(ctx context.Context, a *App) error {
	return c.setStatus(ctx, a, c.prizeArg, wire.StatusPaused)
}

type prizeResumeCmd struct {
	prizeArg    `embed:""`
	serverFlags `embed:""`
}

// Run resumes the prize.
func (c *prizeResumeCmd) Run(ctx context.Context, a *App) error {
	return c.setStatus(ctx, a, c.prizeArg, wire.StatusActive)
}

type prizeDeleteCmd struct {
	prizeArg    `embed:""`
	serverFlags `embed:""`
}

// Run deletes the prize.
func (c *prizeDeleteCmd) Run(ctx context.Context, a *App) error {
	if err := c.check(); err != nil {
		return err
	}
	return c.change(ctx, a, call{method: http.MethodDelete, path: c.path()})
}
