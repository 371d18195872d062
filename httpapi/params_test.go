package httpapi_test

import (
	"bytes"
	"testing"

	"tombola/httpapi"
	"tombola/httpapi/wire"
)

// quoted writes a string of RFC 8941.
func quoted(s []byte) []byte {
	out := []byte{'"'}
	for _, c := range s {
		if c == '"' || c == '\\' {
			out = append(out, '\\')
		}
		out = append(out, c)
	}
	return append(out, '"')
}

// FuzzIdempotencyKey checks that every request id can be sent in quotes, and
// that what is accepted is a request id.
func FuzzIdempotencyKey(f *testing.F) {
	for _, s := range []string{"", "r1", `"r1"`, `"`, `""`, `"a\"b\\c"`, `"a\b"`, `"a\"`, `"a"b"`, `a"b`, "é", `"a";b=1`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		before := bytes.Clone(v)
		got, ok := httpapi.IdempotencyKey(v)
		switch {
		case !bytes.Equal(before, v):
			t.Fatal("the header was changed")
		case ok && !wire.ValidRequestID(got):
			t.Errorf("%q: took %q", v, got)
		case ok && v[0] == '"' && !bytes.Equal(quoted(got), v):
			t.Errorf("%q was read as %q, which is written as %q", v, got, quoted(got))
		case ok && v[0] != '"' && !bytes.Equal(got, v):
			t.Errorf("%q was read as %q", v, got)
		}
		if wire.ValidRequestID(v) {
			if back, ok := httpapi.IdempotencyKey(quoted(v)); !ok || !bytes.Equal(back, v) {
				t.Errorf("%q in quotes came back as %q, %v", v, back, ok)
			}
		}
	})
}
