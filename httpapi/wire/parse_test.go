package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"tombola/httpapi/wire"
)

// reference reads a draw's body with encoding/json, which knows nothing of
// duplicates, exact names and invalid UTF-8; those are looked at beside it. It
// returns the field at fault, nil for none, where the body is JSON.
func reference(body []byte) (user, requestID string, field *string, isJSON bool) {
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	if !json.Valid(body) || !utf8.Valid(body) || !bytes.HasPrefix(trimmed, []byte("{")) {
		return "", "", nil, false
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	_, _ = dec.Token()
	seen := map[string]bool{}
	for dec.More() {
		key, _ := dec.Token()
		name := key.(string)
		var raw json.RawMessage
		_ = dec.Decode(&raw)
		if seen[name] {
			return "", "", &name, true
		}
		seen[name] = true
		var text *string
		isText := json.Unmarshal(raw, &text) == nil && text != nil
		switch {
		case name == "user" && isText && wire.ValidUser(*text):
			user = *text
		case name == "request_id" && isText && wire.ValidRequestID(*text):
			requestID = *text
		case name == "quantity" && string(raw) == "1":
		default:
			return "", "", &name, true
		}
	}
	if !seen["user"] {
		name := "user"
		return "", "", &name, true
	}
	return user, requestID, nil, true
}

// FuzzParseDraw holds the hand-written scanner against encoding/json.
func FuzzParseDraw(f *testing.F) {
	for _, s := range []string{
		`{"user":"u1"}`, `{"user":"u1","request_id":"r1","quantity":1}`, ` { "quantity" : 1 , "user":"\u00fc\"\\\/\b" } `,
		`{"user":"\ud83d\ude00"}`, `{"user":"\ud83d"}`, `{"user":"\ud83d\u0041"}`, `{"us\u0065r":"a","user":"b"}`, `{}`, `[]`, `null`, ``,
		`{"user":1}`, `{"user":"a","quantity":1.0}`, `{"user":"a","quantity":10}`, `{"user":"a","quantity":1e0}`, `{"user":"a"}x`, "{\"user\":\"\xff\"}",
		`{"user":"a","x":{"y":[1,2]}}`, `{"user":"a",}`, "{\"user\":\"a\x00\"}", "{\"user\":\"a\"}\x00", `{"user":" a"}`, `{"user":"é","request_id":"~ "}`,
		`{"\ud800":1}`, `{"":0}`, `{"user":"a\ud800","user":"b"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		var r wire.DrawRequest
		err := wire.ParseDraw(body, &r)
		if !bytes.Equal(before, body) {
			t.Fatal("the body was changed")
		}
		user, id, field, isJSON := reference(body)
		var p *wire.Problem
		if err != nil && (!errors.As(err, &p) || p.Code != wire.CodeBadRequest && p.Code != wire.CodeInvalid) {
			t.Fatalf("%q: %v", body, err)
		}
		switch {
		case p != nil && p.Code == wire.CodeInvalid && strings.Contains(p.Detail, "surrogate"):
			// encoding/json would make U+FFFD of it, so that two users became one.
			if !bytes.Contains(body, []byte(`\u`)) {
				t.Errorf("%q: there are no surrogates in it", body)
			}
		case !isJSON:
			if p == nil || p.Code != wire.CodeBadRequest {
				t.Errorf("%q is no JSON object, and yet: %v", body, err)
			}
		case field != nil:
			if p == nil || p.Code != wire.CodeInvalid || p.Field != *field && !strings.Contains(*field, "\ufffd") {
				t.Errorf("%q: %v, want a fault of %q", body, err, *field)
			}
		case p != nil:
			t.Errorf("%q is fine, and yet: %v", body, err)
		case string(r.User) != user || string(r.RequestID) != id:
			t.Errorf("%q: read %q and %q, want %q and %q", body, r.User, r.RequestID, user, id)
		}
	})
}

func TestParseDrawTellsWhatIsWrong(t *testing.T) {
	for body, want := range map[string]string{
		`nope`:                         "bad_request: the body is not a JSON object",
		`{}`:                           "invalid: user: is required",
		`{"user":1}`:                   "invalid: user: must be a string",
		`{"user":"a","user":"a"}`:      "invalid: user: is there twice",
		`{"user":"a","colour":"red"}`:  "invalid: colour: there is no such field",
		`{"user":"\ud800"}`:            "invalid: user: holds half of a surrogate pair",
		`{"user":"a","quantity":2}`:    "invalid: quantity: must be 1",
		`{"user":"a","quantity":1}`:    "",
		`{"user":"a","request_id":""}`: "invalid: request_id: must be 1 to 64 printable ASCII characters",
		`{"user":1`:                    "bad_request: the body is not a JSON object",
	} {
		got := ""
		if err := wire.ParseDraw([]byte(body), new(wire.DrawRequest)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

func TestParseDrawAliasesBodiesWithoutEscapes(t *testing.T) {
	body := []byte(`{"user":"u1","request_id":"r1"}`)
	var r wire.DrawRequest
	if err := wire.ParseDraw(body, &r); err != nil {
		t.Fatal(err)
	}
	body[9] = 'x'
	if string(r.User) != "x1" {
		t.Errorf("the user was copied: %s", r.User)
	}
	for _, body := range []string{`{"user":"u1","request_id":"r1"}`, `{"user":"\u00fc1","request_id":"\u0072"}`} {
		b := []byte(body)
		if n := testing.AllocsPerRun(100, func() {
			if err := wire.ParseDraw(b, &r); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", body, n)
		}
	}
}

func BenchmarkParseDraw(b *testing.B) {
	body := []byte(`{"user":"user-0001234567","request_id":"r-0001234567"}`)
	var r wire.DrawRequest
	b.ReportAllocs()
	for b.Loop() {
		if err := wire.ParseDraw(body, &r); err != nil {
			b.Fatal(err)
		}
	}
}
