package wire

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Problem is an error as clients see it, application/problem+json of RFC 9457
// with the stable member code. Backends return *Problem for whatever a client
// should be told; the server fills Status in.
type Problem struct {
	Code Code
	// Status is the HTTP status. The server sets it, clients read it.
	Status int
	// Detail explains this occurrence to a person.
	Detail string
	// Field names the offending member, header or parameter.
	Field string
	// Granted is, with CodeBelowGranted, what is granted already.
	Granted *int64
	// Slices are, with CodeUnconfirmed or CodeNoLeader, those not heard from.
	Slices []uint16
	// RetryAfter is when to try again; zero when there is nothing to say.
	RetryAfter time.Duration
	// Checks are, with an answer of /readyz?verbose, what was looked at.
	Checks []Check
}

// NewProblem returns a problem with a detail for a person to read.
func NewProblem(code Code, format string, args ...any) *Problem {
	return &Problem{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// InvalidField returns a CodeInvalid that names what is wrong with field.
func InvalidField(field, format string, args ...any) *Problem {
	return &Problem{Code: CodeInvalid, Field: field, Detail: fmt.Sprintf(format, args...)}
}

// Error implements error.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Code.String())
	if p.Field != "" {
		b.WriteString(": " + p.Field)
	}
	if p.Detail != "" {
		b.WriteString(": " + p.Detail)
	}
	if len(p.Slices) > 0 {
		fmt.Fprintf(&b, " (slices %v)", p.Slices)
	}
	return b.String()
}

// AppendProblem appends p as JSON. title is the standard phrase of p.Status.
func AppendProblem(dst []byte, p *Problem, title string) []byte {
	dst = append(dst, `{"type":"about:blank","title":`...)
	dst = AppendString(dst, title)
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, int64(p.Status), 10)
	dst = append(dst, `,"code":"`...)
	dst = append(dst, p.Code.String()...)
	dst = append(dst, '"')
	if p.Detail != "" {
		dst = append(dst, `,"detail":`...)
		dst = AppendString(dst, p.Detail)
	}
	if p.Field != "" {
		dst = append(dst, `,"field":`...)
		dst = AppendString(dst, p.Field)
	}
	if p.Granted != nil {
		dst = append(dst, `,"granted":`...)
		dst = strconv.AppendInt(dst, *p.Granted, 10)
	}
	if len(p.Slices) > 0 {
		dst = append(dst, `,"slices":[`...)
		for i, s := range p.Slices {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendUint(dst, uint64(s), 10)
		}
		dst = append(dst, ']')
	}
	if p.RetryAfter > 0 {
		dst = append(dst, `,"retry_after_ms":`...)
		dst = strconv.AppendInt(dst, millisUp(p.RetryAfter), 10)
	}
	if len(p.Checks) > 0 {
		dst = append(dst, `,"checks":[`...)
		for i, c := range p.Checks {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = c.append(dst)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// UnmarshalJSON reads what AppendProblem wrote, for clients. A code that this
// version does not know leaves Code at NoProblem, and Status tells.
func (p *Problem) UnmarshalJSON(data []byte) error {
	var in struct {
		Status  int      `json:"status"`
		Code    string   `json:"code"`
		Detail  string   `json:"detail"`
		Field   string   `json:"field"`
		Granted *int64   `json:"granted"`
		Slices  []uint16 `json:"slices"`
		Retry   int64    `json:"retry_after_ms"`
		Checks  []Check  `json:"checks"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("wire: read problem: %w", err)
	}
	*p = Problem{
		Code: ParseCode(in.Code), Status: in.Status, Detail: in.Detail, Field: in.Field,
		Granted: in.Granted, Slices: in.Slices, Checks: in.Checks,
		RetryAfter: time.Duration(in.Retry) * time.Millisecond,
	}
	return nil
}

// millisUp returns d in milliseconds, rounded up, so that nobody comes back a
// moment too early.
func millisUp(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}
