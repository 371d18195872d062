package wire

import (
	"encoding/json"
	"unicode/utf16"
	"unicode/utf8"
)

// DrawRequest is the body of a draw. Its slices alias the body that was parsed,
// or the request's own buffer where the body used escapes: they hold until the
// body is changed or the DrawRequest is parsed into again.
type DrawRequest struct {
	User      []byte
	RequestID []byte // nil when the body has none
	scratch   []byte
}

// fault is what a draw's body failed on. It is kept apart from Problem so that
// a good body costs no allocation.
type fault uint8

const (
	fine         fault = iota
	notJSON            // the syntax is broken here
	notString          // the field's value is not a string
	loneHalf           // an escape names half a surrogate pair, which is no character
	badValue           // the field's value breaks the field's rule
	unknownField       // there is no such field
	twice              // the field was there before
	missing            // the field is not there
)

// ParseDraw reads {"user":…,"request_id":…,"quantity":1}, in any order, into r.
// It refuses everything else with a *Problem: CodeBadRequest for what is not a
// JSON object in UTF-8, CodeInvalid with the field for values, fields that are
// unknown or there twice, and a missing user. It does not allocate for bodies
// that it accepts, except to grow r's buffer for escapes.
func ParseDraw(body []byte, r *DrawRequest) error {
	*r = DrawRequest{scratch: r.scratch[:0]}
	s := scanner{in: body, scratch: r.scratch}
	f := s.object(r)
	r.scratch = s.scratch
	if f == fine {
		return nil
	}
	// The scanner stops at the first thing it does not like. Whether the rest
	// is JSON at all decides which problem this is.
	if f == notJSON || !json.Valid(body) || !utf8.Valid(body) {
		return NewProblem(CodeBadRequest, "the body is not a JSON object")
	}
	field := string(s.field)
	switch f {
	case notString:
		return InvalidField(field, "must be a string")
	case loneHalf:
		return InvalidField(field, "holds half of a surrogate pair")
	case unknownField:
		return InvalidField(field, "there is no such field")
	case twice:
		return InvalidField(field, "is there twice")
	case missing:
		return InvalidField(field, "is required")
	default:
		return InvalidField(field, "%s", rule(field))
	}
}

// rule says what the value of a draw's field has to be.
func rule(field string) string {
	switch field {
	case "user":
		return "must be 1 to 128 bytes of UTF-8 without control characters or outer white space"
	case "request_id":
		return "must be 1 to 64 printable ASCII characters"
	default:
		return "must be 1"
	}
}

// scanner reads one small JSON object.
type scanner struct {
	in      []byte
	at      int
	field   []byte // the field that is being read
	scratch []byte // holds strings that had escapes
}

// object reads the whole body.
func (s *scanner) object(r *DrawRequest) fault {
	if s.next() != '{' {
		return notJSON
	}
	s.at++
	if s.next() == '}' {
		s.at++
		return s.end(r)
	}
	quantity := false
	for {
		key, f := s.str()
		if f != fine {
			// An odd key is reported as it stands; a broken one is no JSON.
			s.field = key
			return keyFault(f)
		}
		s.field = key
		if s.next() != ':' {
			return notJSON
		}
		s.at++
		switch string(key) {
		case "user":
			f = s.id(&r.User, ValidUser[[]byte])
		case "request_id":
			f = s.id(&r.RequestID, ValidRequestID[[]byte])
		case "quantity":
			if quantity {
				return twice
			}
			quantity = true
			f = s.one()
		default:
			f = unknownField
		}
		if f != fine {
			return f
		}
		switch s.next() {
		case ',':
			s.at++
		case '}':
			s.at++
			return s.end(r)
		default:
			return notJSON
		}
	}
}

// keyFault turns what is wrong with a key's text into what is wrong with the
// body.
func keyFault(f fault) fault {
	if f == loneHalf {
		return unknownField
	}
	return notJSON
}

// end checks what can be checked only once all is read.
func (s *scanner) end(r *DrawRequest) fault {
	if s.next() != 0 || s.at < len(s.in) {
		return notJSON
	}
	if r.User == nil {
		s.field = []byte("user")
		return missing
	}
	return fine
}

// next skips white space and returns the byte that follows, 0 at the end.
func (s *scanner) next() byte {
	for ; s.at < len(s.in); s.at++ {
		switch c := s.in[s.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// id reads a string that has to pass valid.
func (s *scanner) id(dst *[]byte, valid func([]byte) bool) fault {
	if *dst != nil {
		return twice
	}
	if s.next() != '"' {
		return notString
	}
	v, f := s.str()
	if f != fine {
		return f
	}
	if !valid(v) {
		return badValue
	}
	*dst = v
	return fine
}

// one reads the number 1.
func (s *scanner) one() fault {
	if s.next() != '1' {
		return badValue
	}
	s.at++
	if s.at < len(s.in) {
		switch c := s.in[s.at]; {
		case c >= '0' && c <= '9', c == '.', c == 'e', c == 'E':
			return badValue
		}
	}
	return fine
}

// str reads a string and returns its value, which aliases the input where it
// has no escapes.
func (s *scanner) str() ([]byte, fault) {
	if s.next() != '"' {
		return nil, notJSON
	}
	s.at++
	start, ascii := s.at, true
	for ; s.at < len(s.in); s.at++ {
		switch c := s.in[s.at]; {
		case c == '"':
			v := s.in[start:s.at:s.at]
			s.at++
			if !ascii && !utf8.Valid(v) {
				return nil, notJSON
			}
			return v, fine
		case c == '\\':
			return s.escaped(start)
		case c < 0x20:
			return nil, notJSON
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return nil, notJSON
}

// escaped reads the rest of a string that began at start and whose first escape
// is at s.at.
func (s *scanner) escaped(start int) ([]byte, fault) {
	from := len(s.scratch)
	s.scratch = append(s.scratch, s.in[start:s.at]...)
	result := fine
	for s.at < len(s.in) {
		c := s.in[s.at]
		s.at++
		switch {
		case c == '"':
			v := s.scratch[from:len(s.scratch):len(s.scratch)]
			if !utf8.Valid(v) {
				return nil, notJSON
			}
			return v, result
		case c < 0x20:
			return nil, notJSON
		case c != '\\':
			s.scratch = append(s.scratch, c)
		default:
			r, f := s.escape()
			if f == notJSON {
				return nil, notJSON
			}
			if f != fine {
				result = f
			}
			s.scratch = utf8.AppendRune(s.scratch, r)
		}
	}
	return nil, notJSON
}

// escape reads what follows a backslash.
func (s *scanner) escape() (rune, fault) {
	if s.at >= len(s.in) {
		return 0, notJSON
	}
	c := s.in[s.at]
	s.at++
	switch c {
	case '"', '\\', '/':
		return rune(c), fine
	case 'b':
		return '\b', fine
	case 'f':
		return '\f', fine
	case 'n':
		return '\n', fine
	case 'r':
		return '\r', fine
	case 't':
		return '\t', fine
	case 'u':
	default:
		return 0, notJSON
	}
	r, ok := s.hex4()
	if !ok {
		return 0, notJSON
	}
	if !utf16.IsSurrogate(r) {
		return r, fine
	}
	if s.at+1 < len(s.in) && s.in[s.at] == '\\' && s.in[s.at+1] == 'u' {
		back := s.at
		s.at += 2
		low, ok := s.hex4()
		if !ok {
			return 0, notJSON
		}
		if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
			return both, fine
		}
		s.at = back // not its other half: it is a character of its own
	}
	return utf8.RuneError, loneHalf
}

// hex4 reads four hexadecimal digits.
func (s *scanner) hex4() (rune, bool) {
	if s.at+4 > len(s.in) {
		return 0, false
	}
	var r rune
	for _, c := range s.in[s.at : s.at+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	s.at += 4
	return r, true
}
