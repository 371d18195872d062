package allocator

// DayCount is a number of grants on one date.
type DayCount struct {
	Day    Day
	Grants int64
}

// Note is what a slice tells the bank about one of its purses: its whole
// position, not a difference, so that a note may be lost, repeated or late.
type Note struct {
	Slice   SliceNo
	Prize   PrizeNo
	Purse   Purse
	Version Version // the definition that the slice has committed

	Lots    uint64 // the last lot accepted
	Returns uint64 // the last return sent
	Open    int64  // size of that return while the slice does not know it accepted
	Empty   bool   // the purse was empty when it stood at Lots and Returns
	Dry     bool   // the slice knows that the bank said dry at Version
	Paced   Micros // the slice knows that at Version nothing is released before

	Need int64 // tokens that parked draws wait for
	Want int64 // tokens that the slice would like ahead of need

	// Of the stock purse's notes only:
	Strays int64      // grants made away from their user's home
	Before []DayCount // grants a date had before the current day epoch
}

// WordKind says what the bank tells a slice.
type WordKind uint8

// The bank's words.
const (
	WordDefine   WordKind = 1 // a prize's definition
	WordLot      WordKind = 2 // lot N of Tokens tokens
	WordReceived WordKind = 3 // return N was accepted
	WordRecall   WordKind = 4 // please return about Tokens tokens
	WordDry      WordKind = 5 // at Version no slice holds a token, nor does the bank
	WordPaced    WordKind = 6 // at Version nothing is released before Until
)

// Word is what the bank tells one slice. Words may be lost, repeated or late.
type Word struct {
	Kind    WordKind
	Prize   PrizeNo
	Purse   Purse
	Version Version
	N       uint64
	Tokens  int64
	Until   Micros
	Define  Definition // of WordDefine
}

// AppendNotes appends the encoding of notes to b.
func AppendNotes(b []byte, notes []Note) []byte {
	b = append(b, formatVersion)
	b = appendUint(b, uint64(len(notes)))
	for i := range notes {
		b = appendNote(b, &notes[i])
	}
	return b
}

// DecodeNotes reads what AppendNotes wrote.
func DecodeNotes(b []byte) ([]Note, error) {
	d := decoder{b: b}
	d.version()
	notes := make([]Note, 0, d.count(noteSize))
	for range cap(notes) {
		notes = append(notes, d.note())
	}
	if !d.done() {
		d.fail("bytes after the notes")
	}
	return notes, d.err
}

// noteSize is the least number of bytes that a note takes.
const noteSize = 12

func appendNote(b []byte, n *Note) []byte {
	b = appendUint(b, uint64(n.Slice))
	b = appendUint(b, uint64(n.Prize))
	b = appendPurse(b, n.Purse)
	b = appendUint(b, uint64(n.Version))
	b = appendUint(b, n.Lots)
	b = appendUint(b, n.Returns)
	b = appendUint(b, uint64(n.Open))
	b = appendBool(b, n.Empty)
	b = appendBool(b, n.Dry)
	b = appendUint(b, uint64(n.Paced))
	b = appendUint(b, uint64(n.Need))
	b = appendUint(b, uint64(n.Want))
	b = appendUint(b, uint64(n.Strays))
	b = appendUint(b, uint64(len(n.Before)))
	for _, c := range n.Before {
		b = appendUint(appendInt(b, int64(c.Day)), uint64(c.Grants))
	}
	return b
}

func (d *decoder) note() Note {
	n := Note{
		Slice:   d.slice(),
		Prize:   d.prize(),
		Purse:   d.purse(),
		Version: d.revision(),
		Lots:    d.uint(),
		Returns: d.uint(),
		Open:    d.tokens(),
		Empty:   d.bool(),
		Dry:     d.bool(),
		Paced:   d.now(),
		Need:    d.tokens(),
		Want:    d.tokens(),
		Strays:  d.tokens(),
	}
	k := d.count(2)
	if k > keptDays {
		d.fail("more dates than a slice keeps")
		k = 0
	}
	if k > 0 {
		n.Before = make([]DayCount, k)
		for i := range n.Before {
			n.Before[i] = DayCount{Day: d.day(), Grants: d.tokens()}
		}
	}
	return n
}

// AppendWords appends the encoding of words to b.
func AppendWords(b []byte, words []Word) []byte {
	b = append(b, formatVersion)
	b = appendUint(b, uint64(len(words)))
	for i := range words {
		b = appendWord(b, &words[i])
	}
	return b
}

// DecodeWords reads what AppendWords wrote.
func DecodeWords(b []byte) ([]Word, error) {
	d := decoder{b: b}
	d.version()
	words := make([]Word, 0, d.count(wordSize))
	for range cap(words) {
		words = append(words, d.word())
	}
	if !d.done() {
		d.fail("bytes after the words")
	}
	return words, d.err
}

// wordSize is the least number of bytes that a word takes.
const wordSize = 8

func appendWord(b []byte, w *Word) []byte {
	b = append(b, byte(w.Kind))
	if w.Kind == WordDefine {
		return appendDefinition(b, &w.Define)
	}
	b = appendUint(b, uint64(w.Prize))
	b = appendPurse(b, w.Purse)
	b = appendUint(b, uint64(w.Version))
	b = appendUint(b, w.N)
	b = appendUint(b, uint64(w.Tokens))
	return appendUint(b, uint64(w.Until))
}

func (d *decoder) word() Word {
	w := Word{Kind: WordKind(d.byte())}
	switch {
	case w.Kind == WordDefine:
		w.Define = d.defined()
		w.Prize, w.Version = w.Define.No, w.Define.Version
	case w.Kind >= WordLot && w.Kind <= WordPaced:
		w.Prize = d.prize()
		w.Purse = d.purse()
		w.Version = d.revision()
		w.N = d.uint()
		w.Tokens = d.tokens()
		w.Until = d.now()
	default:
		d.fail("unknown kind of word")
	}
	return w
}
