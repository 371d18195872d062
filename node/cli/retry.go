package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"tombola/httpapi/wire"
)

// How often, and after which time, a call is sent again.
const (
	maxRetries  = 5
	firstPause  = 100 * time.Millisecond // doubled each time
	longestWait = 5 * time.Second        // also where the server asks for more
)

// do sends the call until it has an answer that is worth no other try:
//
//   - A server that can't be reached: the next one is asked at once.
//   - 429 and 503 mean "certainly not done": any call is sent again, after the
//     time that the server asks for; to the next server after a 503.
//   - 504, or a connection lost after the request was sent, mean that nobody
//     knows: only a repeatable call is sent again.
//
// No new try begins once the tries have taken as long as one server may take to
// answer: a cluster without a majority makes each of them wait its full time.
//
// The error is a *wire.Problem for what a server refused, and wraps
// errUnreachable where none could be asked.
func (c *client) do(ctx context.Context, req call) (*answer, error) {
	var body []byte
	if req.body != nil {
		var err error
		if body, err = json.Marshal(req.body); err != nil {
			return nil, fmt.Errorf("cli: %w", err)
		}
	}
	began := time.Now()
	for try := 0; ; try++ {
		a, err := c.round(ctx, req, body)
		again, wait := worthARetry(req, a, err)
		if !again || try == maxRetries || time.Since(began) >= c.timeout {
			return settle(req, a, err)
		}
		if wait == 0 {
			wait = firstPause << try
		}
		if err := c.pause(ctx, min(wait, longestWait)); err != nil {
			return nil, err
		}
		if a != nil && a.status != http.StatusTooManyRequests {
			c.next = (c.next + 1) % len(c.servers)
		}
	}
}

// worthARetry reports whether a call may succeed when it is sent again, and
// when the server wants it to be; 0 where it said nothing.
func worthARetry(req call, a *answer, err error) (bool, time.Duration) {
	if err != nil {
		var lost *lostError
		return errors.As(err, &lost) && req.repeatable, 0
	}
	switch a.status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return true, waitOf(a)
	case http.StatusGatewayTimeout:
		// What is recorded already completes by itself.
		return req.repeatable && a.problem.Code != wire.CodeUnconfirmed, waitOf(a)
	}
	return false, 0
}

func waitOf(a *answer) time.Duration {
	if a.problem.RetryAfter > 0 { // finer than the header's seconds
		return a.problem.RetryAfter
	}
	return a.retryAfter
}

// settle turns the last try into the call's result.
func settle(req call, a *answer, err error) (*answer, error) {
	var lost *lostError
	switch {
	case errors.As(err, &lost) && req.method != http.MethodGet:
		return nil, fmt.Errorf("%s %s may or may not have been done: %w", req.method, req.path, err)
	case err != nil:
		return nil, err
	case a.problem != nil:
		return nil, a.problem
	}
	return a, nil
}
