package allocator

// The commands of the bank's entry.
const (
	cmdNote    = 1
	cmdChange  = 2
	cmdArchive = 3
)

// BankWriter builds one entry of the bank's log.
type BankWriter struct {
	buf   []byte
	count int
}

// Begin starts an entry in buf, behind what buf holds already. now is the
// leader's clock.
func (w *BankWriter) Begin(buf []byte, now Micros) {
	w.buf = appendUint(append(buf, entryVersion), uint64(now))
	w.count = 0
}

// Note adds what a slice said.
func (w *BankWriter) Note(n *Note) {
	w.buf = appendNote(append(w.buf, cmdNote), n)
	w.count++
}

// Change adds an operator's order.
func (w *BankWriter) Change(c *Change) {
	w.buf = appendChange(append(w.buf, cmdChange), c)
	w.count++
}

// Archive adds the order to let the slices forget a prize that is over.
func (w *BankWriter) Archive(no PrizeNo) {
	w.buf = appendUint(append(w.buf, cmdArchive), uint64(no))
	w.count++
}

// Count returns how many commands were added.
func (w *BankWriter) Count() int { return w.count }

// Size returns the length of the entry so far, with what Begin's buf held.
func (w *BankWriter) Size() int { return len(w.buf) }

// Bytes returns the entry.
func (w *BankWriter) Bytes() []byte { return w.buf }

// BankResult is what an entry of the bank came to.
type BankResult struct {
	// Changes holds what became of the entry's changes, in their order.
	Changes []ChangeOutcome
	// Touched lists the prizes for which slices may have something to hear.
	Touched []PrizeNo
}

// Reset empties the result for another entry.
func (r *BankResult) Reset() { r.Changes, r.Touched = r.Changes[:0], r.Touched[:0] }

// Apply decides the commands of one entry, in order. It depends on the entry
// and the state alone. An error means that the entry is not one of ours: the
// state is then not to be used any more.
func (b *Bank) Apply(entry []byte, res *BankResult) error {
	d := decoder{b: entry}
	b.dated = d.entry()
	b.now = clamp(b.now, d.now())
	for !d.done() {
		b.command(&d, res)
	}
	return d.err
}

func (b *Bank) command(d *decoder, res *BankResult) {
	var no PrizeNo
	switch d.byte() {
	case cmdNote:
		n := d.note()
		if d.err != nil {
			return
		}
		no = n.Prize
		b.note(&n)
	case cmdChange:
		c := d.change()
		if d.err != nil {
			return
		}
		out := b.change(&c)
		no = out.Prize
		res.Changes = append(res.Changes, out)
	case cmdArchive:
		no = d.prize()
		b.archive(no)
	default:
		d.fail("unknown command")
		return
	}
	if v := b.vault(no); v != nil {
		b.settle(v)
		res.Touched = append(res.Touched, no)
	}
}
