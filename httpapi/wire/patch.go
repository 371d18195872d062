package wire

import "encoding/json"

// Field is one member of a patch: absent (the zero value), null, or a value.
type Field[T any] struct {
	Set   bool // the member is there
	Value *T   // nil for null
}

// To returns a Field with a value.
func To[T any](v T) Field[T] { return Field[T]{Set: true, Value: &v} }

// Null returns a Field that is null: it takes the limit away.
func Null[T any]() Field[T] { return Field[T]{Set: true} }

// IsZero reports whether the member is absent, for the option omitzero.
func (f Field[T]) IsZero() bool { return !f.Set }

// MarshalJSON implements json.Marshaler.
func (f Field[T]) MarshalJSON() ([]byte, error) { return json.Marshal(f.Value) }

// UnmarshalJSON implements json.Unmarshaler.
func (f *Field[T]) UnmarshalJSON(data []byte) error {
	f.Set, f.Value = true, nil
	return json.Unmarshal(data, &f.Value)
}

// PrizePatch changes some members of a prize: absent ones stay, null ones go
// back to "no limit" (or to the default zone).
type PrizePatch struct {
	Kind         Field[string]  `json:"kind,omitzero"`
	Total        Field[int64]   `json:"total,omitzero"`
	DailyLimit   Field[int64]   `json:"daily_limit,omitzero"`
	PerUserLimit Field[int64]   `json:"per_user_limit,omitzero"`
	Timezone     Field[string]  `json:"timezone,omitzero"`
	StartsAt     Field[Time]    `json:"starts_at,omitzero"`
	EndsAt       Field[Time]    `json:"ends_at,omitzero"`
	Release      Field[Release] `json:"release,omitzero"`
	Status       Field[string]  `json:"status,omitzero"`
}

// ApplyTo returns d with p's changes, or the *Problem that makes the result
// unacceptable. Whether the change is possible for a prize that has granted
// already (another kind or zone, a total below what is granted) is for the bank
// to decide. Version is left as it is.
func (p *PrizePatch) ApplyTo(d Definition) (Definition, error) {
	if p.Kind.Set {
		if p.Kind.Value == nil {
			return d, InvalidField("kind", "can't be null")
		}
		d.Kind = *p.Kind.Value
	}
	if p.Total.Set {
		if p.Total.Value == nil {
			return d, InvalidField("total", "can't be null")
		}
		d.Total = *p.Total.Value
	}
	if p.Status.Set {
		if p.Status.Value == nil {
			return d, InvalidField("status", "can't be null")
		}
		d.Status = *p.Status.Value
	}
	if p.Timezone.Set {
		d.Timezone = DefaultTimezone
		if p.Timezone.Value != nil {
			d.Timezone = *p.Timezone.Value
		}
	}
	set(&d.DailyLimit, p.DailyLimit)
	set(&d.PerUserLimit, p.PerUserLimit)
	set(&d.StartsAt, p.StartsAt)
	set(&d.EndsAt, p.EndsAt)
	set(&d.Release, p.Release)
	if p.Status.Set && !settable(d.Status) {
		return d, InvalidField("status", `must be "active", "paused" or "ended"`)
	}
	return d, d.Check()
}

// set takes over what f holds, if it is there.
func set[T any](dst **T, f Field[T]) {
	if f.Set {
		*dst = f.Value
	}
}

// settable reports whether an operator may set status.
func settable(status string) bool {
	return status == StatusActive || status == StatusPaused || status == StatusEnded
}
