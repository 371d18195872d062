package testcluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"

	"tombola/httpapi/wire"
)

// Plain is an HTTP client of one connection, kept open as long as the server
// lets it, that sends each request once and tells exactly what became of it:
// Go's own client sends some again without a word. It is for one goroutine.
type Plain struct {
	From string // source address, where that matters

	addr   string
	conn   net.Conn
	reader *bufio.Reader
}

// What can become of a request beside an answer.
var (
	// ErrConnect: there was no connection, so nothing was sent.
	ErrConnect = errors.New("testcluster: no connection")
	// ErrIdleClosed: a connection that was kept open ended before anything of
	// an answer came. The request was probably never read.
	ErrIdleClosed = errors.New("testcluster: the kept connection was closed")
	// ErrBroken: the connection ended after the request was sent on a fresh
	// connection, or within an answer.
	ErrBroken = errors.New("testcluster: the connection broke")
	// ErrReset is wrapped beside one of the others where the end was a reset.
	ErrReset = errors.New("reset")
)

// Do sends a request to addr and reads its answer. requests to another address
// than before are sent on a new connection.
func (p *Plain) Do(ctx context.Context, addr, method, path string, body []byte, header string) (*Answer, error) {
	kept := p.conn != nil && p.addr == addr
	if !kept {
		p.Close()
		if err := p.dial(ctx, addr); err != nil {
			return nil, err
		}
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Time{}
	}
	_ = p.conn.SetDeadline(deadline)
	request := method + " " + path + " HTTP/1.1\r\nHost: tombola\r\n" + header
	if len(body) > 0 {
		request += "Content-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n"
	}
	if _, err := io.WriteString(p.conn, request+"\r\n"+string(body)); err != nil {
		return nil, p.broken(kept, err)
	}
	if _, err := p.reader.Peek(1); err != nil {
		return nil, p.broken(kept, err)
	}
	response, err := http.ReadResponse(p.reader, nil)
	if err != nil {
		return nil, p.broken(false, err)
	}
	a := &Answer{Status: response.StatusCode, Header: response.Header}
	a.Body, err = io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		return nil, p.broken(false, err)
	}
	if response.Close {
		p.Close()
	}
	return a, nil
}

// Draw draws once, with the given time for its decision.
func (p *Plain) Draw(ctx context.Context, addr, prize, user, requestID string, wait time.Duration) (r wire.DrawResult, err error) {
	a, err := p.Do(ctx, addr, http.MethodPost, "/v1/prizes/"+prize+"/draw", wire.AppendDrawRequest(nil, user, requestID),
		"Tombola-Timeout-Ms: "+strconv.FormatInt(wait.Milliseconds(), 10)+"\r\n")
	if err != nil {
		return r, err
	}
	return r, read(a, &r)
}

// Close closes the connection.
func (p *Plain) Close() {
	if p.conn != nil {
		_ = p.conn.Close()
		p.conn = nil
	}
}

func (p *Plain) dial(ctx context.Context, addr string) error {
	var d net.Dialer
	if p.From != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(p.From)}
	}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConnect, err)
	}
	p.addr, p.conn, p.reader = addr, conn, bufio.NewReaderSize(conn, 1024)
	return nil
}

func (p *Plain) broken(kept bool, err error) error {
	p.Close()
	what := ErrBroken
	if kept {
		what = ErrIdleClosed
	}
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return fmt.Errorf("%w: %w: %w", what, ErrReset, err)
	}
	return fmt.Errorf("%w: %w", what, err)
}

// Alive reports whether the server has left the connection open. It is for
// connections on which nothing is awaited.
func (p *Plain) Alive() bool {
	if p.conn == nil {
		return false
	}
	_ = p.conn.SetReadDeadline(time.Now())
	_, err := p.reader.Peek(1)
	return errors.Is(err, os.ErrDeadlineExceeded)
}
