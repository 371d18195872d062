package forward

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// callBeat is how often the lines of calls are looked after.
const callBeat = 250 * time.Millisecond

// callPatience is longer than linkPatience: a sign of life may have to wait
// behind a body of 16 MiB.
const callPatience = 15 * time.Second

// CallerOptions are what a Caller needs.
type CallerOptions struct {
	Dial   DialFunc
	Logger *slog.Logger
}

// Caller sends calls and posts to other servers. All methods may be called
// concurrently.
type Caller struct {
	options CallerOptions
	stop    context.CancelFunc
	ctx     context.Context // ends with the caller; lines run in it
	done    sync.WaitGroup

	mu    sync.Mutex
	lines map[string]*callLine
}

// NewCaller returns a Caller; it connects as it is used.
func NewCaller(o CallerOptions) *Caller {
	ctx, stop := context.WithCancel(context.Background())
	c := &Caller{options: o, stop: stop, ctx: ctx, lines: make(map[string]*callLine)}
	c.done.Add(1)
	go c.beat()
	return c
}

// Call sends request, as JSON, to the handler of method on server and decodes
// its reply into response, which may be nil. group is for the handler. The
// error is a *RemoteError when the handler returned one; it wraps
// ErrUnreachable or ErrTooLarge when the call was certainly not done, and
// ErrLost when it may have been. ctx's error is wrapped beside it where
// ctx ended the wait. A response of more than 16 MiB is an error with
// CodeInternal.
func (c *Caller) Call(ctx context.Context, server string, group uint16, method string, request, response any) error {
	result, err := c.call(ctx, server, group, method, request)
	if err == nil && response != nil {
		if err = json.Unmarshal(result, response); err != nil {
			err = fmt.Errorf("response: %w", err)
		}
	}
	if err != nil {
		return fmt.Errorf("forward: call %s on %s: %w", method, server, err)
	}
	return nil
}

func (c *Caller) call(ctx context.Context, server string, group uint16, method string, request any) ([]byte, error) {
	var body []byte
	if request != nil {
		var err error
		if body, err = json.Marshal(request); err != nil {
			return nil, fmt.Errorf("request: %w", err)
		}
	}
	if len(body) > maxBody || len(method) > maxMethod {
		return nil, fmt.Errorf("%w: %d bytes", ErrTooLarge, len(body))
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, ctx.Err())
	}
	var left uint32
	if deadline, ok := ctx.Deadline(); ok {
		left = uint32(min(max(time.Until(deadline).Milliseconds(), 1), 1<<31))
	}
	l := c.line(server)
	pending, err := l.start(method, group, left, body)
	if err != nil {
		return nil, err
	}
	select {
	case r := <-pending.reply:
		return r.body, r.err
	case <-ctx.Done():
		if l.abandon(pending) {
			return nil, fmt.Errorf("%w: %w", ErrLost, ctx.Err())
		}
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, ctx.Err())
	}
}

// Post sends one message of a kind to server, at best: it may be lost, also
// because newer ones pushed it out of a full queue. Messages that arrive do so
// in order. It does not block. payload is copied; one over 16 MiB is dropped.
func (c *Caller) Post(server string, group uint16, kind byte, payload []byte) {
	if len(payload) > maxBody {
		c.options.Logger.Error("forward: a message is too large and was dropped", "server", server, "kind", kind, "bytes", len(payload))
		return
	}
	c.line(server).post(appendPost(make([]byte, 0, len(payload)+16), group, kind, payload))
}

// Close closes all connections. Calls that were not written fail with
// ErrClosed, those that may have been with ErrLost.
func (c *Caller) Close() {
	c.mu.Lock()
	c.stop()
	c.mu.Unlock()
	c.done.Wait()
}

func (c *Caller) line(server string) *callLine {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.lines[server]; l != nil {
		return l
	}
	started := time.Now()
	now := func() int64 { return int64(time.Since(started)) }
	l := &callLine{
		line:  newLine(lineConfig{server, c.options.Dial, c.options.Logger, now, callPatience}),
		calls: make(map[uint64]*call),
	}
	if c.ctx.Err() != nil {
		l.phase = closed
		return l
	}
	c.lines[server] = l
	c.done.Add(1)
	go func() {
		defer c.done.Done()
		l.run(c.ctx, l)
	}()
	return l
}

func (c *Caller) beat() {
	defer c.done.Done()
	tick := time.NewTicker(callBeat)
	defer tick.Stop()
	var lines []*callLine
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
		}
		c.mu.Lock()
		lines = lines[:0]
		for _, l := range c.lines {
			lines = append(lines, l)
		}
		c.mu.Unlock()
		for _, l := range lines {
			l.beat(callBeat)
		}
	}
}
