package allocator

// note takes in what a slice said. Notes may be repeated, late and out of
// order: each part counts only if it is news.
func (b *Bank) note(n *Note) {
	v := b.vault(n.Prize)
	if v == nil || int(n.Slice) > len(v.slices) {
		return
	}
	if n.Purse.IsStock() {
		v.acknowledge(n)
	}
	a := v.account(n.Purse)
	if a == nil {
		if a = b.fund(v, n.Purse); a == nil {
			if b.dated && n.Open > 0 && v.overdue(n.Purse, b.now) {
				v.closed = n.Purse.Day + 1
			}
			return
		}
	}
	l := &a.lines[n.Slice-1]
	if n.Lots == l.lots {
		l.open = 0
	}
	if n.Returns == l.returns+1 && n.Open > 0 && n.Open <= l.out()+v.grantedBefore(n.Slice, a) {
		l.returns++
		l.retSum += n.Open
		v.takeBack(a, n.Open)
	}
	if n.Empty && (!l.claimed || n.Lots >= l.claimLots && n.Returns >= l.claimReturn) {
		l.claimed, l.claimLots, l.claimReturn = true, n.Lots, n.Returns
	}
	if n.Dry {
		l.told = max(l.told, n.Version)
	}
	if n.Lots == l.lots {
		// Asks count only from a slice that has accepted what it was sent
		// already: an older one has been served.
		l.need, l.want = n.Need, n.Want
		if n.Need > 0 {
			l.asked = b.now
			v.enqueue(n.Slice)
		}
	}
}

// acknowledge takes in which definition a slice has committed.
func (v *vault) acknowledge(n *Note) {
	m := &v.slices[n.Slice-1]
	if n.Version <= m.acked || n.Version > v.def.Version {
		return
	}
	m.acked, m.strays, m.before = n.Version, n.Strays, n.Before
}

// takeBack puts returned tokens where they can be given out again. While some
// slice may still believe that the prize is dry, they are new tokens to it and
// wait for a version that tells it otherwise.
func (v *vault) takeBack(a *account, tokens int64) {
	if a == &v.stock {
		if v.def.Release.On() {
			v.bucket.refund(tokens)
		}
	} else if excess := min(tokens, a.size-v.def.DailyLimit); excess > 0 {
		// More had been granted on the date than its limit, lowered since,
		// allows: what comes back only makes up for that.
		a.size -= excess
		if tokens -= excess; tokens == 0 {
			return
		}
	}
	if a.said == 0 || a.said < v.ackedAll() {
		a.pool += tokens
		return
	}
	if a.said == v.def.Version {
		v.def.Version++
	}
	v.hold(a, tokens)
}

// grantedBefore returns how many of a date's grants in a slice are older than
// the day epoch: they may come back as restocks though no lot was sent for them.
func (v *vault) grantedBefore(s SliceNo, a *account) int64 {
	if a == &v.stock {
		return 0
	}
	var grants int64
	for _, c := range v.slices[s-1].before {
		if c.Day == a.day {
			grants += c.Grants
		}
	}
	return grants
}

func (v *vault) enqueue(s SliceNo) {
	for _, q := range v.queue {
		if q == s {
			return
		}
	}
	v.queue = append(v.queue, s)
}

// Learns reports whether Apply of the note would change anything that matters:
// the bank's leader answers what is known already without a log entry. now is
// its clock.
func (b *Bank) Learns(n *Note, now Micros) bool {
	v := b.vault(n.Prize)
	if v == nil || int(n.Slice) > len(v.slices) {
		return false
	}
	now = clamp(b.now, now)
	m := &v.slices[n.Slice-1]
	if n.Purse.IsStock() && n.Version > m.acked && n.Version <= v.def.Version || v.lapsed(now) {
		return true
	}
	a := v.account(n.Purse)
	if a == nil {
		return v.fundable(n.Purse) && v.timely(n.Purse.Day, now) || n.Open > 0 && v.overdue(n.Purse, now)
	}
	l := &a.lines[n.Slice-1]
	switch {
	case n.Lots == l.lots && l.open > 0,
		n.Returns == l.returns+1 && n.Open > 0,
		n.Empty && !l.empty() && n.Lots == l.lots && n.Returns == l.returns,
		n.Dry && n.Version > l.told:
		return true
	case n.Lots != l.lots:
		return false
	case n.Need > 0:
		return l.need == 0 || n.Need > l.need || now-l.asked > needFor/4 || b.available(v, a, now) > 0
	default:
		return l.need > 0 || n.Want > l.want
	}
}

// lapsed reports whether a slice in the queue has stopped asking: an entry is
// due that takes it out, so that it holds up nobody.
func (v *vault) lapsed(now Micros) bool {
	for _, s := range v.queue {
		waits := false
		v.accounts(func(_ Purse, a *account) { waits = waits || a.lines[s-1].waiting(now) })
		if !waits {
			return true
		}
	}
	return false
}
