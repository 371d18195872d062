package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"

	"github.com/valyala/fasthttp"

	"tombola/httpapi/wire"
)

// Tokens are the bearer tokens that open the API. More than one of a kind may
// hold at a time, so that tokens can be changed without a gap.
type Tokens struct {
	// Admin opens everything. Without one, nobody gets into /admin.
	Admin []string
	// Draw opens /v1. Without one, /v1 is open to everybody.
	Draw []string
}

// tokenSet holds the tokens' hashes, which are of one length and so can be
// compared in constant time.
type tokenSet struct {
	admin [][sha256.Size]byte
	draw  [][sha256.Size]byte
}

// SetTokens replaces the tokens; requests that were let in already go on.
// Empty tokens are left out: an empty file must not open anything.
func (s *Server) SetTokens(t Tokens) {
	s.tokens.Store(&tokenSet{admin: hashes(t.Admin), draw: hashes(t.Draw)})
}

func hashes(tokens []string) [][sha256.Size]byte {
	var list [][sha256.Size]byte
	for _, t := range tokens {
		if t != "" {
			list = append(list, sha256.Sum256([]byte(t)))
		}
	}
	return list
}

// role is what a request's token says it is.
type role uint8

const (
	nobody   role = iota // no token, or one that nobody knows
	drawer               // a draw token
	operator             // an admin token
)

// roleOf looks at a request's bearer token.
func (s *Server) roleOf(ctx *fasthttp.RequestCtx) role {
	return s.tokens.Load().role(ctx.Request.Header.Peek(fasthttp.HeaderAuthorization))
}

// role returns what the value of the header Authorization opens. It looks at
// every token, so that its time says nothing about which one matched.
func (t *tokenSet) role(header []byte) role {
	const scheme = "bearer "
	if len(header) <= len(scheme) {
		return nobody
	}
	for i := range len(scheme) {
		if header[i]|0x20 != scheme[i] {
			return nobody
		}
	}
	sum := sha256.Sum256(header[len(scheme):])
	isAdmin, isDraw := 0, 0
	for i := range t.admin {
		isAdmin |= subtle.ConstantTimeCompare(sum[:], t.admin[i][:])
	}
	for i := range t.draw {
		isDraw |= subtle.ConstantTimeCompare(sum[:], t.draw[i][:])
	}
	switch {
	case isAdmin == 1:
		return operator
	case isDraw == 1:
		return drawer
	default:
		return nobody
	}
}

// admit says whether who may use a route: NoProblem, or what to answer.
func (s *Server) admit(a access, who role) wire.Code {
	switch {
	case a == open, who == operator:
		return wire.NoProblem
	case a == drawers:
		if who == nobody && len(s.tokens.Load().draw) > 0 {
			return wire.CodeUnauthorized
		}
		return wire.NoProblem
	case who == drawer:
		return wire.CodeForbidden
	default:
		return wire.CodeUnauthorized
	}
}
