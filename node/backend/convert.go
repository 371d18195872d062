package backend

import (
	"errors"

	"tombola/allocator"
	"tombola/httpapi/wire"
)

// definition returns a definition as clients see it.
func definition(def *allocator.Definition) wire.Definition {
	d := wire.Definition{
		Prize: def.ID, Version: uint64(def.Version), Status: statusName(def.Status),
		PrizeSpec: wire.PrizeSpec{
			Kind: wire.KindCounter, Total: def.Total,
			DailyLimit: limit(def.DailyLimit), PerUserLimit: limit(def.PerUserLimit),
			Timezone: def.Zone, StartsAt: instant(def.StartsAt), EndsAt: instant(def.EndsAt),
		},
	}
	if def.Release.On() {
		d.Release = &wire.Release{PerSecond: wire.Rate(def.Release.PerSecondMilli), Burst: def.Release.Burst}
	}
	return d
}

// fromSpec returns what a client says a prize is as the bank wants it.
func fromSpec(s *wire.PrizeSpec) allocator.Definition {
	def := allocator.Definition{Kind: allocator.KindCounter, Total: s.Total, Zone: s.Timezone}
	if s.DailyLimit != nil {
		def.DailyLimit = *s.DailyLimit
	}
	if s.PerUserLimit != nil {
		def.PerUserLimit = *s.PerUserLimit
	}
	if s.StartsAt != nil {
		def.StartsAt = allocator.Micros(*s.StartsAt)
	}
	if s.EndsAt != nil {
		def.EndsAt = allocator.Micros(*s.EndsAt)
	}
	if s.Release != nil {
		def.Release = allocator.Release{PerSecondMilli: int64(s.Release.PerSecond), Burst: s.Release.Burst}
	}
	return def
}

// fieldsOf returns which fields a patch sets.
func fieldsOf(p *wire.PrizePatch) allocator.Field {
	var set allocator.Field
	for _, f := range []struct {
		on    bool
		field allocator.Field
	}{
		{p.Kind.Set, allocator.FieldKind},
		{p.Status.Set, allocator.FieldStatus},
		{p.Total.Set, allocator.FieldTotal},
		{p.DailyLimit.Set, allocator.FieldDailyLimit},
		{p.PerUserLimit.Set, allocator.FieldPerUserLimit},
		{p.Timezone.Set, allocator.FieldZone},
		{p.StartsAt.Set, allocator.FieldStartsAt},
		{p.EndsAt.Set, allocator.FieldEndsAt},
		{p.Release.Set, allocator.FieldRelease},
	} {
		if f.on {
			set |= f.field
		}
	}
	return set
}

func statusName(s allocator.Status) string {
	switch s {
	case allocator.StatusPaused:
		return wire.StatusPaused
	case allocator.StatusEnded:
		return wire.StatusEnded
	case allocator.StatusDeleted:
		return wire.StatusDeleted
	default:
		return wire.StatusActive
	}
}

func statusOf(name string) allocator.Status {
	switch name {
	case wire.StatusPaused:
		return allocator.StatusPaused
	case wire.StatusEnded:
		return allocator.StatusEnded
	case wire.StatusDeleted:
		return allocator.StatusDeleted
	default:
		return allocator.StatusActive
	}
}

func limit(v int64) *int64 {
	if v == 0 {
		return nil
	}
	return &v
}

func instant(m allocator.Micros) *wire.Time {
	if m == 0 {
		return nil
	}
	t := wire.Time(m)
	return &t
}

// asProblem returns err as what a client should be told.
func asProblem(err error) *wire.Problem {
	var p *wire.Problem
	if errors.As(err, &p) {
		return p
	}
	return wire.NewProblem(wire.CodeInternal, "%v", err)
}
