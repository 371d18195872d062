package wire_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"tombola/httpapi/wire"
)

// FuzzAppendString holds the escaping against encoding/json's.
func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "u1", `quo"te`, `back\slash`, "<b>&amp;</b>", "tab\tnl\ncr\rbs\bff\fnul\x00del\x7f", "é😀", "\u2028\u2029", "bad\xff\xc3", "\xe2\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(wire.AppendString(nil, s)); got != string(want) {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
		if got := string(wire.AppendString(nil, []byte(s))); got != string(want) {
			t.Errorf("%q as bytes: %s, want %s", s, got, want)
		}
	})
}

// FuzzDrawAnswer checks that every answer is JSON that says what it was made of.
func FuzzDrawAnswer(f *testing.F) {
	f.Add(uint8(1), uint64(1<<48|42), int64(1795341600123456), "tv", `u"<é>`, "AB12", true, false, int64(0))
	f.Add(uint8(8), uint64(0), int64(0), "tv", "\u2028", "", false, true, int64(1))
	f.Fuzz(func(t *testing.T, o uint8, id uint64, at int64, prize, user, code string, repeat, voided bool, retry int64) {
		in := wire.DrawAnswer{Outcome: wire.Outcome(o%(wire.OutcomeCount-1) + 1), GrantID: wire.GrantID(id&^(1<<63) | 1<<48 | 1),
			GrantedAt: wire.Time(at % 4102444800000000), Code: []byte(strings.ToValidUTF8(code, "")), Repeat: repeat, Voided: voided,
			Prize: []byte(strings.ToValidUTF8(prize, "")), User: []byte(strings.ToValidUTF8(user, "")), RetryAfter: time.Duration(retry)}
		if in.GrantedAt < 0 {
			in.GrantedAt = -in.GrantedAt
		}
		want := wire.DrawResult{Outcome: in.Outcome, Prize: string(in.Prize), User: string(in.User)}
		switch in.Outcome {
		case wire.Granted:
			want.GrantID, want.GrantedAt, want.Code, want.Repeat, want.Voided = in.GrantID, in.GrantedAt, string(in.Code), repeat, voided
		case wire.NotReleased:
			if retry > 0 {
				want.RetryAfterMS = (retry-1)/1e6 + 1
			}
		}
		body := wire.AppendDrawAnswer(nil, &in)
		var got wire.DrawResult
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if got != want {
			t.Errorf("%s: read %+v, want %+v", body, got, want)
		}
	})
}

// FuzzParsePrizePatch checks that what is accepted can be written and read
// again to the same, and that refusals are problems.
func FuzzParsePrizePatch(f *testing.F) {
	f.Add([]byte(`{"total":5,"daily_limit":null,"release":{"per_second":0.25},"starts_at":"2026-01-01T00:00:00.5+01:00","status":"paused"}`))
	f.Add([]byte(`{"total":5,"release":{"per_second":1e3,"burst":null}}`))
	f.Add([]byte(`{"timezone":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := wire.ParsePrizePatch(body)
		if err != nil {
			var problem *wire.Problem
			if !errors.As(err, &problem) {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		if _, err := p.ApplyTo(wire.Definition{}); err != nil {
			return // of the right types, but not a definition; it need not survive
		}
		text, err := json.Marshal(&p)
		if err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		again, err := wire.ParsePrizePatch(text)
		if err != nil || !reflect.DeepEqual(p, again) {
			t.Errorf("%q: written as %s, read as %+v, %v", body, text, again, err)
		}
	})
}

func TestPatchKeepsApartAbsentAndNull(t *testing.T) {
	limit := int64(7)
	base := wire.Definition{Prize: "tv", Version: 3, Status: wire.StatusActive,
		PrizeSpec: wire.PrizeSpec{Kind: wire.KindCounter, Total: 10, DailyLimit: &limit, PerUserLimit: &limit, Timezone: "Asia/Tokyo"}}
	for body, change := range map[string]func(*wire.Definition){
		`{}`:                      func(*wire.Definition) {},
		`{"daily_limit":null}`:    func(d *wire.Definition) { d.DailyLimit = nil },
		`{"total":11}`:            func(d *wire.Definition) { d.Total = 11 },
		`{"timezone":null}`:       func(d *wire.Definition) { d.Timezone = "UTC" },
		`{"status":"ended"}`:      func(d *wire.Definition) { d.Status = wire.StatusEnded },
		`{"per_user_limit":null}`: func(d *wire.Definition) { d.PerUserLimit = nil },
		`{"release":{"per_second":1.5}}`: func(d *wire.Definition) {
			d.Release = &wire.Release{PerSecond: 1500, Burst: 2}
		},
	} {
		p, err := wire.ParsePrizePatch([]byte(body))
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		got, err := p.ApplyTo(base)
		want := base
		change(&want)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
}

func TestPatchOfOneEndOfTheWindowIsCheckedAgainstTheOther(t *testing.T) {
	start := wire.TimeOf(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC))
	base := wire.Definition{Status: wire.StatusActive, PrizeSpec: wire.PrizeSpec{Kind: wire.KindCounter, Total: 1, Timezone: "UTC", StartsAt: &start}}
	p := wire.PrizePatch{EndsAt: wire.To(start - 1)}
	_, err := p.ApplyTo(base)
	var problem *wire.Problem
	if !errors.As(err, &problem) || problem.Field != "ends_at" {
		t.Errorf("ApplyTo returned %v", err)
	}
}

func TestProblemsSurviveTheWire(t *testing.T) {
	granted := int64(7)
	want := wire.Problem{Code: wire.CodeBelowGranted, Status: 409, Detail: `"so"`, Field: "total", Granted: &granted,
		Slices: []uint16{1, 2}, RetryAfter: 20 * time.Millisecond, Checks: []wire.Check{{Name: "disk", Detail: "full"}, {Name: "clock", OK: true}}}
	body := wire.AppendProblem(nil, &want, "Conflict")
	var got wire.Problem
	if err := json.Unmarshal(body, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %+v, %v", body, got, err)
	}
}

func TestCodesAndOutcomesHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{"none": true}
	for c := wire.CodeBadRequest; int(c) < wire.CodeCount; c++ {
		if seen[c.String()] || wire.ParseCode(c.String()) != c {
			t.Errorf("code %d is %q", c, c)
		}
		seen[c.String()] = true
	}
	seen = map[string]bool{"none": true}
	for o := wire.Granted; o < wire.OutcomeCount; o++ {
		var back wire.Outcome
		if err := back.UnmarshalText([]byte(o.String())); seen[o.String()] || err != nil || back != o {
			t.Errorf("outcome %d is %q", o, o)
		}
		seen[o.String()] = true
	}
	if wire.ParseCode("none") != wire.NoProblem || new(wire.Outcome).UnmarshalText([]byte("none")) == nil {
		t.Error("none is a name")
	}
}

func TestIDs(t *testing.T) {
	long := strings.Repeat("x", 200)
	for id, want := range map[string]bool{"tv": true, "9": true, "A.b_c-9": true, long[:64]: true, long[:65]: false, "": false, ".a": false, "-a": false, "a b": false, "a/b": false, "é": false} {
		if wire.ValidPrizeID(id) != want || wire.ValidPrizeID([]byte(id)) != want {
			t.Errorf("prize id %q: not %v", id, want)
		}
	}
	for id, want := range map[string]bool{"r": true, " r ~": true, long[:64]: true, long[:65]: false, "": false, "r\x7f": false, "r\n": false, "é": false} {
		if wire.ValidRequestID(id) != want {
			t.Errorf("request id %q: not %v", id, want)
		}
	}
	for id, want := range map[string]bool{"u": true, "u 1": true, "é": true, "a\u3000b": true, long[:128]: true, long[:129]: false, "": false,
		" u": false, "u ": false, "\u3000u": false, "u\u00a0": false, "u\t1": false, "u\x7f": false, "é\u0085": false, "é\x01": false, "u\xff": false, "é\u2028é": true} {
		if wire.ValidUser(id) != want || wire.ValidUser([]byte(id)) != want {
			t.Errorf("user %q: not %v", id, want)
		}
	}
	for text, want := range map[string]wire.GrantID{"1-42": 1<<48 | 42, "32767-281474976710655": 1<<63 - 1, "0-1": 0, "1-0": 0, "32768-1": 0, "1-281474976710656": 0, "01-1": 0, "+1-1": 0, "1": 0, "1-": 0, "-1": 0, "1-2-3": 0} {
		got, err := wire.ParseGrantID(text)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("grant id %q: %d, %v", text, got, err)
		}
	}
}

func TestTimesHaveSixDecimals(t *testing.T) {
	for _, at := range []time.Time{time.Unix(0, 0), time.Date(2026, 2, 28, 23, 59, 59, 999999000, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 1000, time.UTC)} {
		got, err := json.Marshal(wire.TimeOf(at))
		if want := `"` + at.UTC().Format("2006-01-02T15:04:05.000000Z") + `"`; err != nil || string(got) != want {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
		var back wire.Time
		if err := json.Unmarshal(got, &back); err != nil || !back.Time().Equal(at) {
			t.Errorf("%s came back as %s, %v", got, back, err)
		}
	}
}

func TestRates(t *testing.T) {
	for text, want := range map[string]wire.Rate{"1": 1000, "0.5": 500, "0.001": 1, "100.25": 100250, "0": 0, "1000000000": wire.MaxRate} {
		var r wire.Rate
		if err := json.Unmarshal([]byte(text), &r); err != nil || r != want || r.String() != text {
			t.Errorf("%s: %d %s, %v", text, r, r, err)
		}
	}
	for _, text := range []string{"-1", "1e3", "0.0001", "1.2345", `"1"`, "99999999999999999999", "true"} {
		var r wire.Rate
		if err := json.Unmarshal([]byte(text), &r); !errors.Is(err, wire.ErrRate) {
			t.Errorf("%s: %d, %v", text, r, err)
		}
	}
}

func BenchmarkAppendDrawAnswer(b *testing.B) {
	a := wire.DrawAnswer{Outcome: wire.Granted, GrantID: 1<<48 | 1234567, GrantedAt: 1795341600123456, Prize: []byte("tv"), User: []byte("user-0001234567")}
	dst := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		dst = wire.AppendDrawAnswer(dst[:0], &a)
	}
}
