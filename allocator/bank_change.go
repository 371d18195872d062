package allocator

// change commits an operator's order. What makes tokens is held back, what
// takes them away recalls them: both are finished by settle.
func (b *Bank) change(c *Change) ChangeOutcome {
	v := b.vault(b.byID[c.Prize])
	if v == nil {
		return b.create(c)
	}
	out := ChangeOutcome{Prize: v.def.No, Version: v.def.Version}
	if c.Remark != "" {
		b.record(c.Actor, c.Remark, v)
		out.Verdict = ChangeRemarked
		return out
	}
	if out.Verdict = b.refuse(v, c); out.Verdict != 0 {
		return out
	}
	old := v.def
	v.def = merged(old, c)
	v.def.Version++
	switch ended := v.def.Status >= StatusEnded || v.def.EndsAt != 0 && v.def.EndsAt <= b.now; {
	case !ended:
		v.ended = 0
	case v.ended == 0:
		v.ended = b.now
	}
	b.ops++
	v.op = Operation{Number: b.ops, Version: v.def.Version, State: OperationPending}
	if old.PerUserLimit == 0 && v.def.PerUserLimit > 0 {
		v.probation = b.ops
	}
	asked := v.def
	if c.Set&FieldTotal != 0 {
		v.resize()
	}
	redate(v, &old)
	if v.def.Release != old.Release {
		v.pace(b.now)
	}
	b.record(c.Actor, describe(&old, &asked), v)
	return ChangeOutcome{Verdict: ChangeDone, Prize: v.def.No, Operation: b.ops, Version: v.def.Version}
}

func (b *Bank) create(c *Change) ChangeOutcome {
	if !c.Create || c.Remark != "" {
		return ChangeOutcome{Verdict: ChangeUnknown}
	}
	if c.If != 0 && c.If != Absent {
		return ChangeOutcome{Verdict: ChangeWrongIf}
	}
	if len(b.prizes) > maxPrizes {
		return ChangeOutcome{Verdict: ChangeFull}
	}
	def := merged(Definition{Status: StatusActive, Zone: "UTC"}, c)
	if !valid(&def) || c.Prize == "" {
		return ChangeOutcome{Verdict: ChangeBadValues}
	}
	def.No = PrizeNo(len(b.prizes))
	def.ID = c.Prize
	def.Version = 1
	if def.DailyLimit > 0 {
		def.DayEpoch = 1
	}
	v := newVault(def, b.cfg.Slices)
	v.stock.size = def.Total
	v.stock.pool = def.Total
	v.pace(b.now)
	b.ops++
	v.op = Operation{Number: b.ops, Version: 1, State: OperationPending}
	b.prizes = append(b.prizes, v)
	b.byID[c.Prize] = def.No
	b.record(c.Actor, "create "+summary(&def), v)
	return ChangeOutcome{Verdict: ChangeCreated, Prize: def.No, Operation: b.ops, Version: 1}
}

// refuse says why a change can't be, 0 where it can.
func (b *Bank) refuse(v *vault, c *Change) ChangeVerdict {
	to := merged(v.def, c)
	switch {
	case c.If != 0 && c.If != v.def.Version:
		return ChangeWrongIf
	case v.def.Status == StatusDeleted:
		return ChangeDeleted
	case v.def.Archived:
		return ChangeArchived
	case to.Kind != v.def.Kind:
		return ChangeKind
	case to.Zone != v.def.Zone && v.used():
		return ChangeZone
	case !valid(&to):
		return ChangeBadValues
	default:
		return 0
	}
}

// used reports whether tokens have ever left the bank: there may be grants.
func (v *vault) used() bool {
	for i := range v.stock.lines {
		if v.stock.lines[i].lots > 0 {
			return true
		}
	}
	return false
}

// resize takes the change of the total to the stock account. v.def.Total stays
// the total that holds: a smaller one holds once tokens were recalled for it.
func (v *vault) resize() {
	a, target := &v.stock, v.def.Total
	// One target at a time: the new one replaces what was being recalled.
	a.pool += a.reserve
	a.reserve = 0
	v.shrink = shrink{}
	switch {
	case target > a.size:
		v.hold(a, target-a.size)
		a.size = target
	case target < a.size:
		v.shrink = shrink{on: true, target: target, op: v.op.Number}
		v.def.Total = a.size
	}
}

// redate takes the change of the daily limit to the days' accounts. A higher
// limit adds held tokens to each. Any other change, also one of the zone,
// starts a new day epoch: the slices drop their day purses and say what they
// have granted, and each date is funded anew with what the new limit leaves.
func redate(v *vault, old *Definition) {
	limit, moved := v.def.DailyLimit, v.def.Zone != old.Zone
	switch {
	case limit == old.DailyLimit && !moved:
	case old.DailyLimit > 0 && limit > old.DailyLimit && !moved:
		for _, a := range v.days {
			if limit > a.size {
				v.hold(a, limit-a.size)
				a.size = limit
			}
		}
	default:
		v.def.DayEpoch = v.def.Version
		v.days = nil
	}
}

// pace starts the prize's token bucket full.
func (v *vault) pace(now Micros) {
	v.bucket = bucket{level: v.def.Release.Burst * bucketUnit, at: now}
}

// archive lets the slices forget a prize that is over.
func (b *Bank) archive(no PrizeNo) {
	v := b.vault(no)
	if v == nil || v.def.Archived || !v.over(b.now) {
		return
	}
	v.def.Archived = true
	v.def.Version++
	b.record("tombola", "archive", v)
}

// over reports whether the prize had ended at the instant at.
func (v *vault) over(at Micros) bool {
	if v.ended != 0 {
		return v.ended <= at // not before, though its end be set to a time long ago
	}
	return v.def.EndsAt != 0 && v.def.EndsAt <= at
}

func merged(def Definition, c *Change) Definition {
	if c.Set&FieldKind != 0 {
		def.Kind = c.To.Kind
	}
	if c.Set&FieldStatus != 0 {
		def.Status = c.To.Status
	}
	if c.Set&FieldTotal != 0 {
		def.Total = c.To.Total
	}
	if c.Set&FieldDailyLimit != 0 {
		def.DailyLimit = c.To.DailyLimit
	}
	if c.Set&FieldPerUserLimit != 0 {
		def.PerUserLimit = c.To.PerUserLimit
	}
	if c.Set&FieldZone != 0 {
		def.Zone = c.To.Zone
	}
	if c.Set&FieldStartsAt != 0 {
		def.StartsAt = c.To.StartsAt
	}
	if c.Set&FieldEndsAt != 0 {
		def.EndsAt = c.To.EndsAt
	}
	if c.Set&FieldRelease != 0 {
		def.Release = c.To.Release
	}
	return def
}

// valid reports whether a definition makes sense. Operators get better errors
// from the edge; this keeps nonsense out of the state whatever sent it.
func valid(f *Definition) bool {
	return f.Kind == KindCounter &&
		f.Status >= StatusActive && f.Status <= StatusDeleted &&
		f.Total > 0 && f.Total <= MaxTotal && f.Zone != "" &&
		(f.EndsAt == 0 || f.StartsAt < f.EndsAt) &&
		f.Release.Burst <= maxBurst && f.Release.On() == (f.Release.Burst > 0)
}
