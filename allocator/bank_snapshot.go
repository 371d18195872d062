package allocator

import (
	"fmt"
	"io"
)

// BankImage is a bank as it was when Freeze was called.
type BankImage struct{ b []byte }

// Freeze returns an image of the bank, which holds definitions and sums: a few
// hundred bytes a prize.
func (b *Bank) Freeze() *BankImage {
	e := []byte{formatVersion}
	e = appendUint(e, uint64(b.cfg.Slices))
	e = appendUint(e, uint64(b.now))
	e = appendUint(e, b.ops)
	e = appendUint(e, uint64(len(b.prizes)-1))
	for _, v := range b.prizes[1:] {
		e = appendVault(e, v)
	}
	e = appendUint(e, b.audits)
	e = appendUint(e, uint64(len(b.audit)))
	for i := range b.audit {
		a := &b.audit[i]
		e = appendInt(e, int64(a.At))
		e = appendText(e, a.Actor)
		e = appendText(e, a.Prize)
		e = appendUint(e, uint64(a.Version))
		e = appendText(e, a.Action)
	}
	return &BankImage{b: e}
}

// Encode writes the image. It may run beside the bank's Apply.
func (m *BankImage) Encode(w io.Writer) error {
	if err := writeBlock(w, m.b); err != nil {
		return fmt.Errorf("allocator: encode bank: %w", err)
	}
	return nil
}

// Release frees what the image holds.
func (m *BankImage) Release() { m.b = nil }

// maxAction bounds the text of an audit entry, in bytes.
const maxAction = 4096

// DecodeBank reads what Encode wrote. cfg must be that of the same cluster.
func DecodeBank(r io.Reader, cfg BankConfig) (*Bank, error) {
	block, err := readBlock(r)
	if err != nil {
		return nil, fmt.Errorf("allocator: decode bank: %w", err)
	}
	b := NewBank(cfg)
	d := decoder{b: block}
	d.version()
	if n := d.uint(); d.err == nil && n != uint64(cfg.Slices) {
		return nil, fmt.Errorf("%w: bank of %d slices, want %d", ErrFormat, n, cfg.Slices)
	}
	b.now = d.now()
	b.ops = d.uint()
	for range d.count(1) {
		v := d.vault(cfg.Slices)
		if d.err != nil {
			return nil, d.err
		}
		if int(v.def.No) != len(b.prizes) {
			d.fail("prize out of order")
			return nil, d.err
		}
		b.prizes = append(b.prizes, v)
		b.byID[v.def.ID] = v.def.No
		if b.unsettled(v) {
			b.busy[v.def.No] = struct{}{}
		}
	}
	b.audits = d.uint()
	for range d.count(5) {
		b.audit = append(b.audit, AuditEntry{
			At: Micros(d.int()), Actor: d.text(maxText), Prize: d.text(maxText),
			Version: d.revision(), Action: d.text(maxAction),
		})
	}
	if !d.done() || uint64(len(b.audit)) > b.audits {
		d.fail("bytes after the bank")
	}
	for i := range b.audit {
		b.audit[i].Seq = b.audits - uint64(len(b.audit)-1-i)
	}
	return b, d.err
}

func appendVault(b []byte, v *vault) []byte {
	b = appendDefinition(b, &v.def)
	for i := range v.slices {
		m := &v.slices[i]
		b = appendUint(b, uint64(m.acked))
		b = appendUint(b, uint64(m.strays))
		b = appendUint(b, uint64(len(m.before)))
		for _, c := range m.before {
			b = appendUint(appendInt(b, int64(c.Day)), uint64(c.Grants))
		}
	}
	b = appendAccount(b, &v.stock)
	b = appendInt(b, int64(v.closed))
	b = appendUint(b, uint64(len(v.days)))
	for _, a := range v.days {
		b = appendAccount(b, a)
	}
	b = appendUint(b, uint64(len(v.queue)))
	for _, s := range v.queue {
		b = appendUint(b, uint64(s))
	}
	b = appendBool(b, v.shrink.on)
	b = appendUint(b, uint64(v.shrink.target))
	b = appendUint(b, v.shrink.op)
	b = appendInt(b, int64(v.ended))
	b = appendUint(b, uint64(v.bucket.level))
	b = appendUint(b, uint64(v.bucket.at))
	b = appendUint(b, v.op.Number)
	b = appendUint(b, uint64(v.op.Version))
	b = append(b, byte(v.op.State))
	b = appendUint(b, uint64(v.op.Granted))
	return appendUint(b, v.probation)
}

func (d *decoder) vault(n int) *vault {
	v := newVault(d.defined(), n)
	for i := range v.slices {
		m := &v.slices[i]
		m.acked, m.strays = d.revision(), d.tokens()
		for range d.count(2) {
			m.before = append(m.before, DayCount{Day: d.day(), Grants: d.tokens()})
		}
	}
	d.account(&v.stock)
	v.closed = d.day()
	for range d.count(8) {
		a := &account{lines: make([]line, n)}
		if d.account(a); d.err != nil {
			return v
		}
		v.days = append(v.days, a)
	}
	for range d.count(1) {
		s := d.slice()
		if int(s) > n {
			d.fail("slice beyond the cluster")
		}
		v.queue = append(v.queue, s)
	}
	v.shrink = shrink{on: d.bool(), target: d.tokens(), op: d.uint()}
	v.ended = Micros(d.int())
	v.bucket = bucket{level: int64(min(d.uint(), 2*maxBurst*bucketUnit)), at: d.now()}
	v.op = Operation{Number: d.uint(), Version: d.revision(), State: OperationState(d.byte()), Granted: d.tokens()}
	v.probation = d.uint()
	return v
}

func appendAccount(b []byte, a *account) []byte {
	b = appendInt(b, int64(a.day))
	b = appendUint(b, uint64(a.size))
	b = appendUint(b, uint64(a.before))
	b = appendUint(b, uint64(a.pool))
	b = appendUint(b, uint64(a.held))
	b = appendUint(b, uint64(a.heldFor))
	b = appendUint(b, uint64(a.reserve))
	b = appendUint(b, uint64(a.said))
	for i := range a.lines {
		l := &a.lines[i]
		b = appendUint(b, l.lots)
		b = appendUint(b, uint64(l.lotSum))
		b = appendUint(b, uint64(l.open))
		b = appendUint(b, l.returns)
		b = appendUint(b, uint64(l.retSum))
		b = appendBool(b, l.claimed)
		b = appendUint(b, l.claimLots)
		b = appendUint(b, l.claimReturn)
		b = appendUint(b, uint64(l.told))
		b = appendUint(b, uint64(l.need))
		b = appendUint(b, uint64(l.want))
		b = appendInt(b, int64(l.asked))
	}
	return b
}

func (d *decoder) account(a *account) {
	a.day, a.size, a.before, a.pool, a.held = d.day(), d.tokens(), d.tokens(), d.tokens(), d.tokens()
	a.heldFor, a.reserve, a.said = d.revision(), d.tokens(), d.revision()
	for i := range a.lines {
		a.lines[i] = line{
			lots: d.uint(), lotSum: d.sum(), open: d.tokens(), returns: d.uint(), retSum: d.sum(),
			claimed: d.bool(), claimLots: d.uint(), claimReturn: d.uint(), told: d.revision(),
			need: d.tokens(), want: d.tokens(), asked: Micros(d.int()),
		}
	}
}
