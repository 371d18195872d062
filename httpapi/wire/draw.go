package wire

import (
	"strconv"
	"time"
)

// DrawAnswer is the answer to a draw as the server holds it. The byte slices
// are only read.
type DrawAnswer struct {
	Outcome Outcome
	// GrantID, GrantedAt, Code, Repeat and Voided describe a grant.
	GrantID   GrantID
	GrantedAt Time
	Code      []byte // empty for prizes of kind counter
	Repeat    bool   // given to the same request id before
	Voided    bool   // and taken back since
	Prize     []byte
	User      []byte
	// RetryAfter is, for NotReleased, when the next token is due.
	RetryAfter time.Duration
}

// AppendDrawAnswer appends a as JSON. It allocates nothing when dst has room.
func AppendDrawAnswer(dst []byte, a *DrawAnswer) []byte {
	dst = append(dst, `{"outcome":"`...)
	dst = append(dst, a.Outcome.String()...)
	dst = append(dst, '"')
	if a.Outcome == Granted {
		dst = append(dst, `,"grant_id":"`...)
		dst = AppendGrantID(dst, a.GrantID)
		dst = append(dst, '"')
	}
	dst = append(dst, `,"prize":`...)
	dst = AppendString(dst, a.Prize)
	dst = append(dst, `,"user":`...)
	dst = AppendString(dst, a.User)
	if a.Outcome != Granted {
		if a.Outcome == NotReleased {
			dst = append(dst, `,"retry_after_ms":`...)
			dst = strconv.AppendInt(dst, max(0, millisUp(a.RetryAfter)), 10)
		}
		return append(dst, '}')
	}
	if len(a.Code) > 0 {
		dst = append(dst, `,"code":`...)
		dst = AppendString(dst, a.Code)
	}
	dst = append(dst, `,"granted_at":"`...)
	dst = AppendTime(dst, a.GrantedAt)
	dst = append(dst, `","repeat":`...)
	dst = strconv.AppendBool(dst, a.Repeat)
	if a.Voided {
		dst = append(dst, `,"voided":true`...)
	}
	return append(dst, '}')
}

// DrawResult is the same answer as clients read it.
type DrawResult struct {
	Outcome   Outcome `json:"outcome"`
	GrantID   GrantID `json:"grant_id,omitzero"`
	Prize     string  `json:"prize"`
	User      string  `json:"user"`
	Code      string  `json:"code,omitzero"`
	GrantedAt Time    `json:"granted_at,omitzero"`
	Repeat    bool    `json:"repeat,omitzero"`
	Voided    bool    `json:"voided,omitzero"`
	// RetryAfterMS is, for NotReleased, milliseconds until the next token.
	RetryAfterMS int64 `json:"retry_after_ms,omitzero"`
}

// AppendDrawRequest appends the body of a draw, for clients. requestID may be
// empty.
func AppendDrawRequest[T text](dst []byte, user, requestID T) []byte {
	dst = append(dst, `{"user":`...)
	dst = AppendString(dst, user)
	if len(requestID) > 0 {
		dst = append(dst, `,"request_id":`...)
		dst = AppendString(dst, requestID)
	}
	return append(dst, '}')
}
