package allocator

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// formatVersion is the version of every encoding of this package. A decoder
// reads the current version and the one before; there is none before 1.
const formatVersion = 1

// entryVersion is the version of entries. Since version 2 no date that is far
// from an entry's time counts, and none goes before it has been over for long
// (dates.go). Entries of version 1 are applied as they were written.
const entryVersion = 2

// ErrFormat is wrapped by the errors of every decoder: the bytes are not what
// this package writes.
var ErrFormat = errors.New("allocator: malformed encoding")

func appendUint(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }

func appendInt(b []byte, v int64) []byte { return binary.AppendVarint(b, v) }

func appendText[T ~string | ~[]byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// decoder reads the primitives back. The first failure sticks: callers read
// all fields of a thing and ask for err once.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s with %d bytes left", ErrFormat, what, len(d.b))
	}
	d.b = nil
}

func (d *decoder) done() bool { return len(d.b) == 0 }

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail("byte missing")
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) bool() bool {
	switch d.byte() {
	case 0:
		return false
	case 1:
		return true
	default:
		d.fail("not a boolean")
		return false
	}
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail("bad number")
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail("bad number")
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count reads a length of things that take at least size bytes each, so that
// no input can ask for more memory than it has bytes.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.b)/size) {
		d.fail("count beyond the input")
		return 0
	}
	return int(n)
}

// bytes reads a text of at most limit bytes, as a part of the input.
func (d *decoder) bytes(limit int) []byte {
	n := d.uint()
	if n > uint64(len(d.b)) || n > uint64(limit) {
		d.fail("text too long")
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) text(limit int) string { return string(d.bytes(limit)) }

func (d *decoder) slice() SliceNo {
	v := d.uint()
	if v == 0 || v > MaxSlices {
		d.fail("not a slice number")
		return 0
	}
	return SliceNo(v)
}

func (d *decoder) prize() PrizeNo {
	v := d.uint()
	if v == 0 || v > maxPrizes {
		d.fail("not a prize number")
		return 0
	}
	return PrizeNo(v)
}

func (d *decoder) day() Day {
	v := d.int()
	if v < -1<<31 || v > 1<<31-1 {
		d.fail("not a day")
		return 0
	}
	return Day(v)
}

// tokens reads a number of tokens.
func (d *decoder) tokens() int64 {
	v := d.uint()
	if v > MaxTotal {
		d.fail("too many tokens")
		return 0
	}
	return int64(v)
}

// entry reads the version of an entry, and reports whether it has the rules of
// version 2.
func (d *decoder) entry() (dated bool) {
	v := d.byte()
	if (v < entryVersion-1 || v > entryVersion) && d.err == nil {
		d.err = fmt.Errorf("%w: an entry of version %d, this build reads up to %d", ErrFormat, v, entryVersion)
	}
	return v >= 2
}

func (d *decoder) version() {
	if v := d.byte(); v != formatVersion && d.err == nil {
		d.err = fmt.Errorf("%w: version %d, this build reads %d", ErrFormat, v, formatVersion)
		d.b = nil
	}
}

// maxVersion bounds the versions of a prize, so that one more never overflows.
const maxVersion = 1 << 48

// maxPrizes bounds the prizes of a cluster over its life: the machines keep
// them in a table by number, which no input may make huge.
const maxPrizes = 1 << 22

// revision reads the version of a prize.
func (d *decoder) revision() Version {
	v := d.uint()
	if v > maxVersion {
		d.fail("not a version")
		return 0
	}
	return Version(v)
}

// now reads a leader's clock.
func (d *decoder) now() Micros {
	v := d.uint()
	if v > maxSum {
		d.fail("not a time")
		return 0
	}
	return Micros(v)
}

func appendPurse(b []byte, p Purse) []byte {
	return appendUint(appendInt(b, int64(p.Day)), uint64(p.Epoch))
}

func (d *decoder) purse() Purse {
	return Purse{Day: d.day(), Epoch: d.revision()}
}

func appendDefinition(b []byte, f *Definition) []byte {
	b = appendUint(b, uint64(f.No))
	b = appendText(b, f.ID)
	b = appendUint(b, uint64(f.Version))
	b = append(b, byte(f.Kind), byte(f.Status))
	b = appendUint(b, uint64(f.Total))
	b = appendUint(b, uint64(f.DailyLimit))
	b = appendUint(b, uint64(f.PerUserLimit))
	b = appendText(b, f.Zone)
	b = appendInt(b, int64(f.StartsAt))
	b = appendInt(b, int64(f.EndsAt))
	b = appendUint(b, uint64(f.Release.PerSecondMilli))
	b = appendUint(b, uint64(f.Release.Burst))
	b = appendUint(b, uint64(f.DayEpoch))
	return appendBool(b, f.Archived)
}

func (d *decoder) definition() Definition {
	return Definition{
		No:           d.prize(),
		ID:           d.text(maxText),
		Version:      d.revision(),
		Kind:         Kind(d.byte()),
		Status:       Status(d.byte()),
		Total:        d.tokens(),
		DailyLimit:   d.tokens(),
		PerUserLimit: d.tokens(),
		Zone:         d.text(maxText),
		StartsAt:     Micros(d.int()),
		EndsAt:       Micros(d.int()),
		Release:      Release{PerSecondMilli: d.tokens(), Burst: d.tokens()},
		DayEpoch:     d.revision(),
		Archived:     d.bool(),
	}
}

// defined reads a definition that a bank has made.
func (d *decoder) defined() Definition {
	def := d.definition()
	if d.err == nil && (!valid(&def) || def.ID == "" || def.Version == 0 || def.DayEpoch > def.Version ||
		def.DailyLimit > 0 && def.DayEpoch == 0) {
		d.fail("not a definition")
	}
	return def
}
