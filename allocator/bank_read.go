package allocator

// Now returns the time of the last entry.
func (b *Bank) Now() Micros { return b.now }

// Lookup returns the number of a prize, by its id.
func (b *Bank) Lookup(id string) (PrizeNo, bool) {
	no, ok := b.byID[id]
	return no, ok
}

// Definition returns a prize's definition.
func (b *Bank) Definition(no PrizeNo) (Definition, bool) {
	v := b.vault(no)
	if v == nil {
		return Definition{}, false
	}
	return v.def, true
}

// Definitions returns up to limit definitions with numbers above after, in
// order of creation.
func (b *Bank) Definitions(after PrizeNo, limit int) []Definition {
	var defs []Definition
	for no := int64(after) + 1; no < int64(len(b.prizes)) && len(defs) < limit; no++ {
		defs = append(defs, b.prizes[no].def)
	}
	return defs
}

// LineState is one slice's side of an account, for operators and verify.
type LineState struct {
	Slice   SliceNo
	Lots    uint64
	LotSum  int64
	Open    int64 // size of the last lot while it is not acknowledged
	Returns uint64
	RetSum  int64
	Empty   bool // the slice's word that it is empty counts
	Need    int64
}

// AccountState is one purse's tokens as the bank sees them:
// Size = Before + Pool + Held + Reserve + the sum of LotSum - RetSum.
type AccountState struct {
	Purse   Purse
	Size    int64
	Before  int64
	Pool    int64
	Held    int64
	Reserve int64
	Dry     bool
	Lines   []LineState
}

// VaultState is a prize as the bank keeps it.
type VaultState struct {
	Def       Definition
	Operation Operation
	Accounts  []AccountState
	// Behind lists the slices that have not committed Def.Version.
	Behind []SliceNo
	// Target is the total of a resize down under way, 0 without one.
	Target int64
}

// Settled reports whether a change holds on every slice, or has failed. A
// later change that took its place says nothing about it where it failed, so
// then every slice must have what came before, and no recall be under way.
func (st *VaultState) Settled(change *ChangeOutcome) bool {
	op := &st.Operation
	if op.Number < change.Operation || op.State == OperationPending {
		return false
	}
	return op.Number == change.Operation || len(st.Behind) == 0 && st.Target == 0
}

// State returns a prize as the bank keeps it.
func (b *Bank) State(no PrizeNo) (VaultState, bool) {
	var st VaultState
	ok := b.ReadState(no, &st)
	return st, ok
}

// ReadState is State into st, whose memory it uses again.
func (b *Bank) ReadState(no PrizeNo, st *VaultState) bool {
	v := b.vault(no)
	if v == nil {
		return false
	}
	accounts := st.Accounts[:0]
	*st = VaultState{Def: v.def, Operation: v.op, Behind: st.Behind[:0]}
	if v.shrink.on {
		st.Target = v.shrink.target
	}
	for i := range v.slices {
		if v.slices[i].acked < v.def.Version {
			st.Behind = append(st.Behind, SliceNo(i+1))
		}
	}
	v.accounts(func(name Purse, a *account) {
		var lines []LineState
		if len(accounts) < cap(accounts) {
			lines = accounts[:len(accounts)+1][len(accounts)].Lines[:0]
		}
		for i := range a.lines {
			l := &a.lines[i]
			lines = append(lines, LineState{
				Slice: SliceNo(i + 1), Lots: l.lots, LotSum: l.lotSum, Open: l.open,
				Returns: l.returns, RetSum: l.retSum, Empty: l.empty(), Need: l.need,
			})
		}
		accounts = append(accounts, AccountState{
			Purse: name, Size: a.size, Before: a.before, Pool: a.pool, Held: a.held, Reserve: a.reserve,
			Dry: a.said == v.def.Version, Lines: lines,
		})
	})
	st.Accounts = accounts
	return true
}

// Received reports whether the bank has accepted a slice's returns of a purse
// up to number n and holds none of the prize's tokens back.
func (b *Bank) Received(no PrizeNo, name Purse, s SliceNo, n uint64) bool {
	v := b.vault(no)
	if v == nil || int(s) > len(v.slices) {
		return false
	}
	a := v.account(name)
	return a == nil || a.lines[s-1].returns >= n && a.held == 0
}

// Over returns the prizes that ended before the instant and are not archived.
func (b *Bank) Over(before Micros) []PrizeNo {
	var numbers []PrizeNo
	for _, v := range b.prizes[1:] {
		if !v.def.Archived && v.over(before) {
			numbers = append(numbers, v.def.No)
		}
	}
	return numbers
}

// Audit calls yield with the audit entries whose Seq is below before, or all
// where that is 0, newest first, until it returns false. What yield is given is
// valid until it returns.
func (b *Bank) Audit(before uint64, yield func(*AuditEntry) bool) {
	for i := len(b.audit) - 1; i >= 0; i-- {
		if e := &b.audit[i]; (before == 0 || e.Seq < before) && !yield(e) {
			return
		}
	}
}
