package allocator

// The commands of a slice's entry.
const (
	cmdDraw   = 1
	cmdWord   = 2 // a word of the bank, as it came
	cmdReturn = 3 // send tokens back to the bank
	cmdVoid   = 4
	cmdSunk   = 5 // the sink has confirmed events
	cmdForget = 6
)

// EntryWriter builds one entry of a slice's log: a batch of commands, decided
// in Apply in the order in which they were added.
type EntryWriter struct {
	buf   []byte
	count int
}

// Begin starts an entry in buf, behind what buf holds already. now is the
// leader's clock, days the date in each of the slice's zones (Slice.Zones), in
// their order.
func (w *EntryWriter) Begin(buf []byte, now Micros, days []Day) {
	buf = append(buf, entryVersion)
	buf = appendUint(buf, uint64(now))
	buf = appendUint(buf, uint64(len(days)))
	last := Day(0)
	for _, d := range days {
		buf = appendInt(buf, int64(d-last))
		last = d
	}
	w.buf, w.count = buf, 0
}

// Draw adds a draw. requestID may be empty.
func (w *EntryWriter) Draw(prize PrizeNo, user, requestID []byte) {
	w.add(cmdDraw)
	w.buf = appendUint(w.buf, uint64(prize))
	w.buf = appendText(w.buf, user)
	w.buf = appendText(w.buf, requestID)
}

// Word adds what the bank said. Recalls are for the leader, who answers with
// Return: they are not logged.
func (w *EntryWriter) Word(word *Word) {
	w.add(cmdWord)
	w.buf = appendWord(w.buf, word)
}

// Return adds the order to send up to tokens tokens of a purse back.
func (w *EntryWriter) Return(prize PrizeNo, purse Purse, tokens int64) {
	w.add(cmdReturn)
	w.buf = appendUint(w.buf, uint64(prize))
	w.buf = appendPurse(w.buf, purse)
	w.buf = appendUint(w.buf, uint64(tokens))
}

// Void adds the order to take back the grant with sequence seq.
func (w *EntryWriter) Void(seq uint64, restock bool) {
	w.add(cmdVoid)
	w.buf = appendBool(appendUint(w.buf, seq), restock)
}

// Sunk adds the news that the sink holds all events up to seq.
func (w *EntryWriter) Sunk(seq uint64) {
	w.add(cmdSunk)
	w.buf = appendUint(w.buf, seq)
}

// Forget adds the order to forget up to budget records of an archived prize.
func (w *EntryWriter) Forget(prize PrizeNo, budget int) {
	w.add(cmdForget)
	w.buf = appendUint(appendUint(w.buf, uint64(prize)), uint64(budget))
}

func (w *EntryWriter) add(op byte) {
	w.buf = append(w.buf, op)
	w.count++
}

// Count returns how many commands were added.
func (w *EntryWriter) Count() int { return w.count }

// Size returns the length of the entry so far, with what Begin's buf held.
func (w *EntryWriter) Size() int { return len(w.buf) }

// Bytes returns the entry. The writer may be used again after Begin, the bytes
// stay valid if Begin is given another buffer.
func (w *EntryWriter) Bytes() []byte { return w.buf }

// Result is what an entry came to: an outcome for each command, in order, and
// the events to append to the slice's outbox. It may be used for one entry
// after the other.
type Result struct {
	Outcomes []Outcome
	// Events alias the entry that they came from.
	Events []Event
	// Heard are the prizes that words of the bank among the commands were about.
	Heard []PrizeNo
}

// Reset empties the result for another entry.
func (r *Result) Reset() {
	r.Outcomes, r.Events, r.Heard = r.Outcomes[:0], r.Events[:0], r.Heard[:0]
}

// Apply decides the commands of one entry, in order, and appends what each
// came to to res. It depends on the entry and the state alone, so that all
// replicas agree. An error means that the entry is not one of ours: the state
// is then not to be used any more.
func (s *Slice) Apply(entry []byte, res *Result) error {
	d := decoder{b: entry}
	s.dated = d.entry()
	s.now = clamp(s.now, d.now())
	s.days = s.days[:0]
	last := Day(0)
	for range d.count(1) {
		last += d.day()
		s.days = append(s.days, last)
	}
	for !d.done() {
		out, err := s.command(&d, res)
		if d.err != nil {
			break
		}
		if err != nil {
			return err
		}
		res.Outcomes = append(res.Outcomes, out)
	}
	return d.err
}

func (s *Slice) command(d *decoder, res *Result) (Outcome, error) {
	switch d.byte() {
	case cmdDraw:
		prize, user, request := d.prize(), d.bytes(maxText), d.bytes(maxText)
		if d.err != nil {
			return Outcome{}, d.err
		}
		return s.draw(prize, user, request, res)
	case cmdWord:
		word := d.word()
		if d.err != nil {
			return Outcome{}, d.err
		}
		res.Heard = append(res.Heard, word.Prize)
		return s.hear(&word), nil
	case cmdReturn:
		prize, purse, tokens := d.prize(), d.purse(), d.tokens()
		return s.sendBack(prize, purse, tokens), nil
	case cmdVoid:
		seq, restock := d.uint(), d.bool()
		if d.err != nil {
			return Outcome{}, d.err
		}
		return s.void(seq, restock, res)
	case cmdSunk:
		return s.sunkTo(d.uint()), nil
	case cmdForget:
		return s.forget(d.prize(), int(min(d.uint(), maxForget))), nil
	default:
		d.fail("unknown command")
		return Outcome{}, d.err
	}
}
