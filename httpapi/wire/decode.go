package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

// member is one name and value of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// members reads body as one JSON object without duplicates. encoding/json alone
// would take a field twice, in any case, and invalid UTF-8.
func members(body []byte) ([]member, error) {
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	if len(trimmed) == 0 || trimmed[0] != '{' || !json.Valid(body) || !utf8.Valid(body) {
		return nil, NewProblem(CodeBadRequest, "the body is not a JSON object")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if _, err := dec.Token(); err != nil {
		return nil, unreadable(err)
	}
	var list []member
	seen := make(map[string]bool)
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, unreadable(err)
		}
		name, _ := key.(string)
		if seen[name] {
			return nil, InvalidField(name, "is there twice")
		}
		seen[name] = true
		m := member{name: name}
		if err := dec.Decode(&m.value); err != nil {
			return nil, unreadable(err)
		}
		list = append(list, m)
	}
	return list, nil
}

// unreadable is the problem of a body that broke off while it was read.
func unreadable(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return NewProblem(CodeBadRequest, "the body is not a JSON object: %v", err)
}

// decode reads m into f, or says that it must be what.
func decode[T any](m member, f *Field[T], what string) error {
	f.Set = true
	if err := json.Unmarshal(m.value, &f.Value); err != nil {
		return InvalidField(m.name, "must be %s", what)
	}
	return nil
}

// ParsePrizePatch reads the body of PATCH. It checks the members' types and
// names; PrizePatch.ApplyTo and PrizeSpec.Check know what values are allowed.
func ParsePrizePatch(body []byte) (PrizePatch, error) {
	var p PrizePatch
	list, err := members(body)
	if err != nil {
		return p, err
	}
	const (
		number  = "a whole number"
		instant = "a time of RFC 3339"
	)
	for _, m := range list {
		switch m.name {
		case "kind":
			err = decode(m, &p.Kind, "a string")
		case "total":
			err = decode(m, &p.Total, number)
		case "daily_limit":
			err = decode(m, &p.DailyLimit, number)
		case "per_user_limit":
			err = decode(m, &p.PerUserLimit, number)
		case "timezone":
			err = decode(m, &p.Timezone, "a string")
		case "starts_at":
			err = decode(m, &p.StartsAt, instant)
		case "ends_at":
			err = decode(m, &p.EndsAt, instant)
		case "status":
			err = decode(m, &p.Status, "a string")
		case "release":
			p.Release, err = parseRelease(m.value)
		default:
			err = InvalidField(m.name, "there is no such field")
		}
		if err != nil {
			return PrizePatch{}, err
		}
	}
	return p, nil
}

// parseRelease reads the pace. A missing burst is a second's worth.
func parseRelease(value []byte) (Field[Release], error) {
	if string(value) == "null" {
		return Null[Release](), nil
	}
	list, err := members(value)
	if err != nil {
		var p *Problem
		if errors.As(err, &p) && p.Code == CodeInvalid {
			p.Field = "release." + p.Field
			return Field[Release]{}, p
		}
		return Field[Release]{}, InvalidField("release", "must be an object")
	}
	var rate Field[Rate]
	var burst Field[int64]
	for _, m := range list {
		name := m.name
		m.name = "release." + name
		switch name {
		case "per_second":
			err = decode(m, &rate, "a number with at most three decimals")
		case "burst":
			err = decode(m, &burst, "a whole number")
		default:
			err = InvalidField(m.name, "there is no such field")
		}
		if err != nil {
			return Field[Release]{}, err
		}
	}
	if rate.Value == nil {
		return Field[Release]{}, InvalidField("release.per_second", "is required")
	}
	r := Release{PerSecond: *rate.Value, Burst: rate.Value.defaultBurst()}
	if burst.Value != nil {
		r.Burst = *burst.Value
	}
	return To(r), nil
}

// ParsePrizeSpec reads and checks the body of PUT. Kind may be omitted.
func ParsePrizeSpec(body []byte) (PrizeSpec, error) {
	p, err := ParsePrizePatch(body)
	if err != nil {
		return PrizeSpec{}, err
	}
	if p.Status.Set {
		return PrizeSpec{}, InvalidField("status", "is changed with PATCH")
	}
	if !p.Total.Set {
		return PrizeSpec{}, InvalidField("total", "is required")
	}
	d, err := p.ApplyTo(Definition{PrizeSpec: PrizeSpec{Kind: KindCounter, Timezone: DefaultTimezone}})
	return d.PrizeSpec, err
}

// VoidRequest is the body of a void.
type VoidRequest struct {
	// Restock returns the token to the prize and the count to the user.
	Restock bool `json:"restock"`
}

// ParseVoid reads the body of a void; an empty one restocks nothing.
func ParseVoid(body []byte) (VoidRequest, error) {
	var v VoidRequest
	if len(body) == 0 {
		return v, nil
	}
	list, err := members(body)
	if err != nil {
		return v, err
	}
	for _, m := range list {
		if m.name != "restock" {
			return v, InvalidField(m.name, "there is no such field")
		}
		var f Field[bool]
		if err := decode(m, &f, "true or false"); err != nil {
			return v, err
		}
		if f.Value == nil {
			return v, InvalidField(m.name, "must be true or false")
		}
		v.Restock = *f.Value
	}
	return v, nil
}
