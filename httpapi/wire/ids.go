package wire

import (
	"unicode"
	"unicode/utf8"
)

// Limits on ids, in bytes.
const (
	MaxPrizeID   = 64
	MaxUser      = 128
	MaxRequestID = 64
)

// text is what an id may be held in.
type text interface{ ~string | ~[]byte }

// ValidPrizeID reports whether id is [A-Za-z0-9][A-Za-z0-9._-]{0,63}.
func ValidPrizeID[T text](id T) bool {
	if len(id) == 0 || len(id) > MaxPrizeID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case i > 0 && (c == '.' || c == '_' || c == '-'):
		default:
			return false
		}
	}
	return true
}

// ValidRequestID reports whether id is 1 to 64 bytes of printable ASCII.
func ValidRequestID[T text](id T) bool {
	if len(id) == 0 || len(id) > MaxRequestID {
		return false
	}
	for i := range len(id) {
		if id[i] < 0x20 || id[i] > 0x7e {
			return false
		}
	}
	return true
}

// ValidUser reports whether user is 1 to 128 bytes of UTF-8 without control
// characters and without white space at its ends.
func ValidUser[T text](user T) bool {
	n := len(user)
	if n == 0 || n > MaxUser || user[0] == ' ' || user[n-1] == ' ' {
		return false
	}
	for i := range n {
		c := user[i]
		if c >= utf8.RuneSelf {
			return validUnicodeUser([]byte(user))
		}
		if c < 0x20 || c == 0x7f {
			return false
		}
	}
	return true
}

// validUnicodeUser is ValidUser for what is not plain ASCII.
func validUnicodeUser(user []byte) bool {
	first, _ := utf8.DecodeRune(user)
	last, _ := utf8.DecodeLastRune(user)
	if unicode.IsSpace(first) || unicode.IsSpace(last) {
		return false
	}
	for i := 0; i < len(user); {
		r, size := utf8.DecodeRune(user[i:])
		if r == utf8.RuneError && size == 1 || unicode.IsControl(r) {
			return false
		}
		i += size
	}
	return true
}
