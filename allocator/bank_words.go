package allocator

import "slices"

// To is a word and the slice that it is for.
type To struct {
	Slice SliceNo
	Word  Word
}

// Words appends to out what slices have to hear about a prize by the committed
// state. The bank's leader sends it after each change and again until the
// notes that come back show that it was heard.
func (b *Bank) Words(no PrizeNo, out []To) []To {
	v := b.vault(no)
	if v == nil {
		return out
	}
	for i := range v.slices {
		s := SliceNo(i + 1)
		if v.slices[i].acked < v.def.Version {
			out = append(out, To{s, v.defineWord()})
		}
		v.accounts(func(name Purse, a *account) {
			if w, ok := b.word(v, a, s); ok {
				w.Prize, w.Purse, w.Version = no, name, v.def.Version
				out = append(out, To{s, w})
			}
		})
	}
	return out
}

// Answer appends to out what a slice has to hear on its note. It says nothing
// that the note shows to be known, so that two leaders who answer each other
// come to an end.
func (b *Bank) Answer(n *Note, out []To) []To {
	v := b.vault(n.Prize)
	if v == nil || int(n.Slice) > len(v.slices) {
		return out
	}
	if n.Version < v.def.Version {
		out = append(out, To{n.Slice, v.defineWord()})
	}
	a := v.account(n.Purse)
	if a == nil {
		return v.answerClosed(n, out)
	}
	l := &a.lines[n.Slice-1]
	if n.Open > 0 && n.Returns <= l.returns {
		out = append(out, To{n.Slice, Word{
			Kind: WordReceived, Prize: n.Prize, Purse: n.Purse, Version: v.def.Version, N: n.Returns,
		}})
	}
	if w, ok := b.word(v, a, n.Slice); ok && (w.Kind != WordPaced || n.Version < v.def.Version || n.Paced < w.Until) {
		w.Prize, w.Purse, w.Version = n.Prize, n.Purse, v.def.Version
		out = append(out, To{n.Slice, w})
	}
	return out
}

// answerClosed tells a slice that a date is closed for good: its draws get
// nothing any more, and what it returns is not missed.
func (v *vault) answerClosed(n *Note, out []To) []To {
	if n.Purse.Day >= v.closed || n.Purse.Epoch != v.def.DayEpoch {
		return out
	}
	w := Word{Prize: n.Prize, Purse: n.Purse, Version: v.def.Version}
	if n.Open > 0 {
		w.Kind, w.N = WordReceived, n.Returns
		out = append(out, To{n.Slice, w})
	}
	if n.Need > 0 && n.Empty && !(n.Dry && n.Version == v.def.Version) {
		w.Kind, w.N = WordDry, 0
		out = append(out, To{n.Slice, w})
	}
	return out
}

func (v *vault) defineWord() Word {
	return Word{Kind: WordDefine, Prize: v.def.No, Version: v.def.Version, Define: v.def}
}

// word returns what one slice has to hear about one account, if anything.
func (b *Bank) word(v *vault, a *account, s SliceNo) (Word, bool) {
	l := &a.lines[s-1]
	switch {
	case l.open > 0:
		return Word{Kind: WordLot, N: l.lots, Tokens: l.open}, true
	case a.said == v.def.Version:
		return Word{Kind: WordDry}, l.told < a.said
	case l.need > 0 && v.unreleased(a):
		return Word{Kind: WordPaced, Until: v.bucket.next(v.def.Release)}, true
	}
	if wanted := v.recall(a, s); wanted > 0 {
		return Word{Kind: WordRecall, Tokens: wanted}, true
	}
	return Word{}, false
}

// unreleased reports whether all tokens that are left are in the pool and wait
// for the prize's pace. Unlike dry it needs no version to end: the slices were
// told until when it holds.
func (v *vault) unreleased(a *account) bool {
	return a == &v.stock && v.def.Release.On() && a.pool > 0 && v.bucket.tokens() == 0 &&
		v.ackedAll() == v.def.Version && a.allEmpty()
}

// recall returns how many tokens slice s should give back: for a smaller total,
// or for the first slice in the queue that needs them. From the queue's head
// nothing is recalled: it keeps what it has until it has all that it needs, so
// that the last stock token and the last day token meet in one place. A slice
// behind the head is served if this purse is all that it lacks: it will grant at
// once, so that a slice that can't be reached holds up only those who need its
// tokens, and nobody takes from another what it can't use.
func (v *vault) recall(a *account, s SliceNo) int64 {
	l := &a.lines[s-1]
	if l.empty() {
		return 0
	}
	if a == &v.stock && v.shrink.on {
		return v.missing()
	}
	if len(v.queue) > 0 && v.queue[0] == s || v.served(s) {
		return 0
	}
	for i, q := range v.queue {
		need := a.lines[q-1].need
		switch {
		case need == 0 || i > 0 && v.lacks(q) > 1:
		case q == s:
			return 0
		default:
			return need
		}
	}
	return 0
}

// served reports whether a lot is on its way to a slice. Until it has arrived
// the slice keeps what else it holds: two slices that need tokens of two purses
// would otherwise go on taking from each other the half that they have.
func (v *vault) served(s SliceNo) bool {
	open := false
	v.accounts(func(_ Purse, a *account) { open = open || a.lines[s-1].open > 0 })
	return open
}

// lacks returns of how many purses a slice needs tokens.
func (v *vault) lacks(s SliceNo) int {
	n := 0
	v.accounts(func(_ Purse, a *account) {
		if a.lines[s-1].need > 0 {
			n++
		}
	})
	return n
}

// Busy returns the prizes for which a slice still has something to hear, in
// order: the bank's leader repeats their words.
func (b *Bank) Busy() []PrizeNo {
	numbers := make([]PrizeNo, 0, len(b.busy))
	for no := range b.busy {
		numbers = append(numbers, no)
	}
	slices.Sort(numbers)
	return numbers
}
