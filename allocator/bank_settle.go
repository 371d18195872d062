package allocator

import "slices"

// settle does all that can be done for a prize after something about it
// changed: lets held tokens go, serves those who asked, says dry where it is
// true, and finishes operations.
func (b *Bank) settle(v *vault) {
	v.judge(b)
	if v.def.Release.On() {
		v.bucket.fill(v.def.Release, b.now)
	}
	acked := v.ackedAll()
	v.accounts(func(_ Purse, a *account) {
		if a.held > 0 && acked >= a.heldFor {
			a.pool += a.held
			a.held = 0
		}
	})
	v.shrinkStep()
	b.serve(v)
	v.accounts(func(_ Purse, a *account) { v.sayDry(a) })
	b.dequeue(v)
	v.finish()
	if b.unsettled(v) {
		b.busy[v.def.No] = struct{}{}
	} else {
		delete(b.busy, v.def.No)
	}
}

// judge ends the probation of a user limit that there was none before: it
// stands if no slice has granted away from a user's home.
func (v *vault) judge(b *Bank) {
	by := v.probation
	if by == 0 || v.ackedAll() < v.def.Version {
		return
	}
	v.probation = 0
	if v.def.PerUserLimit == 0 {
		return // it was taken away again meanwhile
	}
	for i := range v.slices {
		if v.slices[i].strays > 0 {
			v.def.PerUserLimit = 0
			v.def.Version++
			if v.op.Number == by {
				v.op.State = OperationStrays
			}
			b.record("tombola", "undo per_user_limit: grants were not routed by user", v)
			return
		}
	}
}

// shrinkStep moves tokens into the reserve of a resize down. Once they are
// enough they are destroyed; once no slice has any left and they are not, the
// target lies below what is granted and the total stays.
func (v *vault) shrinkStep() {
	if !v.shrink.on {
		return
	}
	a := &v.stock
	missing := v.missing()
	k := min(missing, a.pool)
	a.pool -= k
	a.reserve += k
	switch {
	case k == missing:
		a.size -= a.reserve
		a.reserve = 0
		v.def.Total = a.size
		v.def.Version++
		if v.op.Number == v.shrink.op {
			v.op.Version = v.def.Version
		}
		v.shrink = shrink{}
	case a.held == 0 && a.allEmpty():
		if v.op.Number == v.shrink.op {
			v.op.State = OperationBelowGranted
			v.op.Granted = a.size - a.reserve
		}
		a.pool += a.reserve
		a.reserve = 0
		v.shrink = shrink{}
	}
}

// missing returns how many tokens a resize down still lacks.
func (v *vault) missing() int64 { return v.stock.size - v.shrink.target - v.stock.reserve }

// serve gives tokens to the slices that asked: first to those whose draws
// wait, in the order in which they came, then ahead of need.
func (b *Bank) serve(v *vault) {
	b.dequeue(v)
	v.accounts(func(_ Purse, a *account) {
		waiting := false
		for _, s := range v.queue {
			l := &a.lines[s-1]
			if l.need > 0 && l.open == 0 {
				b.issue(v, a, s)
				waiting = waiting || l.need > 0
			}
		}
		if waiting || v.shrink.on && a == &v.stock {
			return
		}
		for i := range a.lines {
			if a.lines[i].want > 0 && a.lines[i].open == 0 {
				b.issue(v, a, SliceNo(i+1))
			}
		}
	})
}

// dequeue drops the slices that wait for nothing any more.
func (b *Bank) dequeue(v *vault) {
	v.queue = slices.DeleteFunc(v.queue, func(s SliceNo) bool { return !v.waits(s, b.now) })
}

// waits reports whether draws of a slice wait for tokens that it was not sent.
func (v *vault) waits(s SliceNo, now Micros) bool {
	wait := false
	v.accounts(func(_ Purse, a *account) {
		l := &a.lines[s-1]
		if !l.waiting(now) {
			l.need = 0
		}
		wait = wait || l.need > 0
	})
	return wait
}

// issue makes the next lot for a slice out of what is available.
func (b *Bank) issue(v *vault, a *account, s SliceNo) {
	avail := b.available(v, a, b.now)
	if avail == 0 {
		return
	}
	l := &a.lines[s-1]
	k := LotSize(avail, l.need, l.want, len(a.lines))
	a.pool -= k
	l.lots++
	l.lotSum += k
	l.open = k
	l.need, l.want = 0, 0
	if a == &v.stock && v.def.Release.On() {
		v.bucket.level -= k * bucketUnit
	}
}

// available returns the tokens of an account that may leave the bank at now.
func (b *Bank) available(v *vault, a *account, now Micros) int64 {
	if a != &v.stock || !v.def.Release.On() {
		return a.pool
	}
	bucket := v.bucket
	bucket.fill(v.def.Release, now)
	return min(a.pool, bucket.tokens())
}

// sayDry commits that no token of the account is left anywhere, once the pool
// is empty and every slice's "empty" counts.
func (v *vault) sayDry(a *account) {
	version := v.def.Version
	if a.said == version || a.pool > 0 || a.held > 0 || v.ackedAll() < version ||
		a == &v.stock && v.shrink.on || !a.allEmpty() {
		return
	}
	a.said = version
	for i := range a.lines {
		a.lines[i].need, a.lines[i].want = 0, 0
	}
}

// allEmpty reports whether every slice's word that it is empty counts.
func (a *account) allEmpty() bool {
	for i := range a.lines {
		if !a.lines[i].empty() {
			return false
		}
	}
	return true
}

// finish completes the last operation once its version and its tokens are
// everywhere.
func (v *vault) finish() {
	recalling := v.shrink.on && v.shrink.op == v.op.Number
	if v.op.State != OperationPending || recalling || v.probation != 0 || v.ackedAll() < v.op.Version {
		return
	}
	done := true
	v.accounts(func(_ Purse, a *account) { done = done && a.held == 0 })
	if done {
		v.op.State = OperationDone
	}
}

// unsettled reports whether some slice has something to hear of the prize.
func (b *Bank) unsettled(v *vault) bool {
	if v.ackedAll() < v.def.Version {
		return true
	}
	busy := false
	v.accounts(func(_ Purse, a *account) {
		for i := 0; i < len(a.lines) && !busy; i++ {
			_, busy = b.word(v, a, SliceNo(i+1))
		}
	})
	return busy
}
