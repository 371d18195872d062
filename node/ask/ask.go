// Package ask puts questions and orders to whoever leads a group, wherever that
// is, and finds the new leader when it changes on the way.
package ask

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"tombola/httpapi/wire"
	"tombola/node/forward"
)

// Groups knows who leads.
type Groups interface {
	// Leader returns the server that leads a group, as far as this one knows.
	Leader(group uint16) (server string, ok bool)
}

// Caller reaches other servers.
type Caller interface {
	Call(ctx context.Context, server string, group uint16, method string, request, response any) error
}

// The codes of errors between servers.
const (
	codeNotLeading = "not_leading" // nothing was done; somebody else leads
	codeProblem    = "problem"     // the text is a problem for the client, as JSON
)

// NotLeading is what a handler returns when this server does not lead the
// group: nothing was done.
func NotLeading() error {
	return &forward.RemoteError{Code: codeNotLeading, Text: "this server does not lead the group"}
}

// Asker asks. Its methods may be called concurrently once all handlers are
// registered.
type Asker struct {
	self     string
	groups   Groups
	caller   Caller
	handlers map[string]forward.Handler
	server   *forward.Server
}

// New returns an Asker for the given server, whose handlers also answer what
// arrives at server.
func New(self string, groups Groups, caller Caller, server *forward.Server) *Asker {
	return &Asker{self: self, groups: groups, caller: caller, handlers: make(map[string]forward.Handler), server: server}
}

// Handle registers what answers a method, for other servers and for this one.
func Handle[Request, Response any](a *Asker, method string, f func(ctx context.Context, group uint16, request Request) (Response, error)) {
	h := forward.HandleJSON(func(ctx context.Context, _ string, group uint16, request Request) (Response, error) {
		response, err := f(ctx, group, request)
		return response, encode(err)
	})
	a.handlers[method] = h
	a.server.Handle(method, h)
}

// retryEvery is how long to wait before the leader is looked for again.
const retryEvery = 25 * time.Millisecond

// Leader asks the group's leader. While nobody leads, or the question
// certainly did not arrive, it tries again until ctx ends; that is then a
// CodeNoLeader. safe says that the question may be asked twice; otherwise a
// lost reply is a CodeUnknownOutcome. Problems come back as *wire.Problem.
func (a *Asker) Leader(ctx context.Context, group uint16, method string, safe bool, request, response any) error {
	for {
		err := NotLeading()
		if server, ok := a.groups.Leader(group); ok {
			err = a.call(ctx, server, group, method, request, response)
		}
		switch {
		case err == nil:
			return nil
		case errors.Is(err, forward.ErrLost) && !safe:
			return wire.NewProblem(wire.CodeUnknownOutcome, "the connection to the leader was lost on the way")
		case !retriable(err, safe):
			return err
		}
		select {
		case <-ctx.Done():
			p := wire.NewProblem(wire.CodeNoLeader, "the leader of %s could not be reached", Name(group))
			if group > 0 {
				p.Slices = []uint16{group}
			}
			return p
		case <-time.After(retryEvery):
		}
	}
}

// Server asks one server.
func (a *Asker) Server(ctx context.Context, server, method string, request, response any) error {
	return a.call(ctx, server, 0, method, request, response)
}

func (a *Asker) call(ctx context.Context, server string, group uint16, method string, request, response any) error {
	if server != a.self {
		return decode(a.caller.Call(ctx, server, group, method, request, response))
	}
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	result, err := a.handlers[method](ctx, a.self, group, body)
	if err != nil {
		return decode(err)
	}
	if response == nil {
		return nil
	}
	encoded, err := json.Marshal(result)
	if err != nil {
		return err
	}
	return json.Unmarshal(encoded, response)
}

// retriable reports whether a question can be put again.
func retriable(err error, safe bool) bool {
	var remote *forward.RemoteError
	if errors.As(err, &remote) {
		return remote.Code == codeNotLeading || remote.Code == forward.CodeBusy
	}
	return errors.Is(err, forward.ErrUnreachable) || safe && errors.Is(err, forward.ErrLost)
}

// encode makes a problem fit for the wire between servers.
func encode(err error) error {
	var p *wire.Problem
	if errors.As(err, &p) {
		return &forward.RemoteError{Code: codeProblem, Text: string(wire.AppendProblem(nil, p, ""))}
	}
	return err
}

func decode(err error) error {
	var remote *forward.RemoteError
	if !errors.As(err, &remote) || remote.Code != codeProblem {
		return err
	}
	p := &wire.Problem{}
	if bad := json.Unmarshal([]byte(remote.Text), p); bad != nil {
		return err
	}
	return p
}

// Name returns what people call a group.
func Name(group uint16) string {
	if group == 0 {
		return "the bank"
	}
	return "slice " + strconv.Itoa(int(group))
}
