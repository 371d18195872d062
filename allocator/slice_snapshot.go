package allocator

import (
	"encoding/binary"
	"fmt"
	"io"

	"tombola/allocator/ledger"
)

// SliceImage is a slice as it was when Freeze was called.
type SliceImage struct {
	head   []byte
	ledger *ledger.Frozen
	last   uint64
	sunk   uint64
}

// Freeze returns an image of the slice. It is quick whatever the slice holds;
// the slice goes on while the image is encoded. Release it in the end.
func (s *Slice) Freeze() *SliceImage {
	b := []byte{formatVersion}
	b = appendUint(b, uint64(s.cfg.Slice))
	b = appendUint(b, uint64(s.cfg.Slices))
	b = appendUint(b, uint64(s.now))
	b = appendUint(b, s.sunk)
	b = appendUint(b, uint64(len(s.zones)))
	for _, z := range s.zones {
		b = appendText(b, z)
	}
	b = appendUint(b, uint64(len(s.prizes)-1))
	for _, p := range s.prizes[1:] {
		b = appendBool(b, p != nil)
		if p != nil {
			b = appendPrize(b, p)
		}
	}
	return &SliceImage{head: b, ledger: s.ledger.Freeze(), last: s.ledger.Last(), sunk: s.sunk}
}

// Last returns the sequence of the last event in the image.
func (m *SliceImage) Last() uint64 { return m.last }

// Sunk returns the sequence up to which the sink held all events.
func (m *SliceImage) Sunk() uint64 { return m.sunk }

// Release frees what the image holds.
func (m *SliceImage) Release() { m.ledger.Release() }

// Encode writes the image. It may run beside the slice's Apply.
func (m *SliceImage) Encode(w io.Writer) error {
	if err := writeBlock(w, m.head); err != nil {
		return fmt.Errorf("allocator: encode slice: %w", err)
	}
	return m.ledger.Encode(w)
}

// DecodeSlice reads what Encode wrote. cfg must name the same slice.
func DecodeSlice(r io.Reader, cfg SliceConfig) (*Slice, error) {
	head, err := readBlock(r)
	if err != nil {
		return nil, fmt.Errorf("allocator: decode slice: %w", err)
	}
	s := NewSlice(cfg)
	d := decoder{b: head}
	d.version()
	if no, of := d.slice(), d.uint(); d.err == nil && (no != cfg.Slice || of != uint64(cfg.Slices)) {
		return nil, fmt.Errorf("%w: image of slice %d of %d, want %d of %d", ErrFormat, no, of, cfg.Slice, cfg.Slices)
	}
	s.now = d.now()
	s.sunk = d.uint()
	for range d.count(1) {
		s.zones = append(s.zones, d.text(maxText))
	}
	for range d.count(1) {
		var p *prize
		if d.bool() {
			p = d.prizeState()
			if d.err != nil {
				return nil, d.err
			}
			if int(p.def.No) != len(s.prizes) || p.zone >= len(s.zones) {
				d.fail("prize out of order")
				return nil, d.err
			}
			s.mark(p)
		}
		s.prizes = append(s.prizes, p)
	}
	if !d.done() {
		d.fail("bytes after the prizes")
	}
	if d.err != nil {
		return nil, d.err
	}
	if s.ledger, err = ledger.Decode(r); err != nil {
		return nil, fmt.Errorf("allocator: decode slice: %w", err)
	}
	return s, nil
}

func appendPrize(b []byte, p *prize) []byte {
	b = appendDefinition(b, &p.def)
	b = appendUint(b, uint64(p.zone))
	b = appendInt(b, int64(p.closed))
	b = appendUint(b, uint64(p.granted))
	b = appendUint(b, uint64(p.voided))
	b = appendUint(b, uint64(p.restocked))
	b = appendUint(b, uint64(p.strays))
	b = appendUint(b, p.last)
	b = appendBool(b, p.forgotten)
	b = appendPurseState(b, &p.stock)
	b = appendUint(b, uint64(len(p.days)))
	for i := range p.days {
		book := &p.days[i]
		b = appendInt(b, int64(book.day))
		b = appendUint(b, uint64(book.sent))
		b = appendUint(b, uint64(book.counts))
		b = appendUint(b, uint64(book.before))
		b = appendPurseState(b, &book.purse)
	}
	return b
}

func (d *decoder) prizeState() *prize {
	p := &prize{
		def: d.defined(), zone: int(min(d.uint(), maxPrizes)), closed: d.day(), granted: d.tokens(),
		voided: d.tokens(), restocked: d.tokens(), strays: d.tokens(), last: d.uint(), forgotten: d.bool(),
		stock: d.purseState(),
	}
	for range d.count(14) {
		p.days = append(p.days, dayBook{
			day: d.day(), sent: d.tokens(), counts: d.tokens(), before: d.tokens(), purse: d.purseState(),
		})
	}
	return p
}

func appendPurseState(b []byte, p *purse) []byte {
	b = appendUint(b, uint64(p.tokens))
	b = appendUint(b, p.lots)
	b = appendUint(b, uint64(p.lotSum))
	b = appendUint(b, p.returns)
	b = appendUint(b, uint64(p.retSum))
	b = appendUint(b, uint64(p.open))
	b = appendUint(b, uint64(p.restock))
	b = appendUint(b, uint64(p.dry))
	b = appendUint(b, uint64(p.pacedAt))
	return appendUint(b, uint64(p.released))
}

func (d *decoder) purseState() purse {
	return purse{
		tokens: d.tokens(), lots: d.uint(), lotSum: d.sum(), returns: d.uint(), retSum: d.sum(), open: d.tokens(),
		restock: d.tokens(), dry: d.revision(), pacedAt: d.revision(), released: d.now(),
	}
}

// maxSum bounds cumulative sums: far beyond what lots can come to, and small
// enough to add two.
const maxSum = 1 << 62

// sum reads a cumulative sum, which may exceed any one total.
func (d *decoder) sum() int64 {
	v := d.uint()
	if v > maxSum {
		d.fail("sum too large")
		return 0
	}
	return int64(v)
}

// maxBlock bounds a block of a snapshot, in bytes.
const maxBlock = 1 << 30

// writeBlock writes b with its length in front.
func writeBlock(w io.Writer, b []byte) error {
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(b)))
	if _, err := w.Write(n[:]); err != nil {
		return err
	}
	_, err := w.Write(b)
	return err
}

// readBlock reads what writeBlock wrote. It takes memory as bytes arrive, so
// that a wrong length can't ask for much.
func readBlock(r io.Reader) ([]byte, error) {
	var n [8]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint64(n[:])
	if size > maxBlock {
		return nil, fmt.Errorf("%w: block of %d bytes", ErrFormat, size)
	}
	var b []byte
	for uint64(len(b)) < size {
		part := make([]byte, min(size-uint64(len(b)), 1<<20))
		if _, err := io.ReadFull(r, part); err != nil {
			return nil, err
		}
		b = append(b, part...)
	}
	return b, nil
}
