package ledger

// Reset empties the ledger, as New makes it, and keeps memory for the next use:
// a simulation makes very many small ones. No view may be open.
func (l *Ledger) Reset() {
	for _, g := range l.grants.all() {
		if g.seq != 0 {
			*l.bySeq.table(hashOfSeq(g.seq)) = table{}
			*l.byRequest.table(hashOfRequest(g.req)) = table{}
		}
	}
	for _, u := range l.users.all() {
		if u.newest != 0 {
			*l.byUser.table(hashOfUser(u.prize, u.hash)) = table{}
		}
	}
	l.grants.reset()
	l.users.reset()
	clear(l.newest)
	l.last = 0
}

// reset empties the arena and keeps its first chunk.
func (a *arena[T]) reset() {
	if len(a.dirs) != 1 || a.dirs[0] == nil || a.dirs[0][0] == nil || a.views.refresh() != 0 {
		*a = newArena[T](a.views)
		return
	}
	u, first := a.usage[0], a.dirs[0][0]
	*first = chunk[T]{}
	*a.dirs[0] = dir[T]{first}
	*u = usage{born: u.born, births: [dirLen]uint64{u.births[0]}}
	a.n, a.low = 0, 0
}
