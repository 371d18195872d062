package forward

import (
	"encoding/binary"
	"fmt"

	"tombola/allocator"
	"tombola/node/draws"
)

// maxHops is the largest number of hops that a frame can carry; routing allows
// far fewer.
const maxHops = 15

// maxRemaining bounds the time a draw may bring along, in milliseconds.
const maxRemaining = 60_000

// drawItem is one draw of a frame; its bytes alias the frame.
type drawItem struct {
	id        uint64
	group     uint16
	prize     allocator.PrizeNo
	hops      uint8
	remaining uint32 // milliseconds
	user      []byte
	requestID []byte
}

// appendDraw encodes d, which has remaining milliseconds left.
func appendDraw(b []byte, id uint64, group uint16, d *draws.Draw, remaining uint32) []byte {
	b = binary.AppendUvarint(b, id)
	b = binary.AppendUvarint(b, uint64(group))
	b = binary.AppendUvarint(b, uint64(d.Prize))
	b = append(b, min(d.Hops, maxHops))
	b = binary.AppendUvarint(b, uint64(remaining))
	user, requestID := d.User(), d.RequestID()
	b = append(b, byte(len(user)))
	b = append(b, user...)
	b = append(b, byte(len(requestID)))
	return append(b, requestID...)
}

// decodeDraws appends the draws of a frame to items.
func decodeDraws(f frame, items []drawItem) ([]drawItem, error) {
	if f.kind != frameDraws || f.count > maxBatch {
		return items, fmt.Errorf("%w: kind %d with %d where draws were due", errMalformed, f.kind, f.count)
	}
	r := reader{b: f.payload}
	for range f.count {
		var it drawItem
		it.id = r.uvarint(1<<64 - 1)
		it.group = uint16(r.uvarint(allocator.MaxSlices))
		it.prize = allocator.PrizeNo(r.uvarint(1<<32 - 1))
		it.hops = r.byte()
		it.remaining = uint32(r.uvarint(maxRemaining))
		it.user = r.bytes(draws.MaxUser)
		it.requestID = r.bytes(draws.MaxRequestID)
		if r.bad || it.hops > maxHops {
			return items, fmt.Errorf("%w: draw %d of %d", errMalformed, len(items)+1, f.count)
		}
		items = append(items, it)
	}
	if len(r.b) > 0 {
		return items, fmt.Errorf("%w: %d bytes after its %d draws", errMalformed, len(r.b), f.count)
	}
	return items, nil
}

// answerItem is one answer of a frame.
type answerItem struct {
	id     uint64
	answer draws.Answer
}

// Flags of an answer.
const (
	answerRepeat = 1 << iota
	answerVoided
	answerFlags = answerRepeat | answerVoided
)

func appendAnswer(b []byte, id uint64, a *draws.Answer) []byte {
	var flags byte
	if a.Repeat {
		flags |= answerRepeat
	}
	if a.GrantVoided {
		flags |= answerVoided
	}
	b = binary.AppendUvarint(b, id)
	b = append(b, byte(a.Failure))
	b = binary.AppendUvarint(b, uint64(a.Slice))
	b = append(b, byte(a.Verdict), flags)
	b = binary.AppendUvarint(b, a.Seq)
	b = binary.AppendVarint(b, int64(a.At))
	return binary.AppendVarint(b, int64(a.Until))
}

// decodeAnswers appends the answers of a frame to items.
func decodeAnswers(f frame, items []answerItem) ([]answerItem, error) {
	if f.kind != frameAnswers || f.count > maxBatch {
		return items, fmt.Errorf("%w: kind %d with %d where answers were due", errMalformed, f.kind, f.count)
	}
	r := reader{b: f.payload}
	for range f.count {
		var it answerItem
		it.id = r.uvarint(1<<64 - 1)
		it.answer.Failure = draws.Failure(r.byte())
		it.answer.Slice = allocator.SliceNo(r.uvarint(allocator.MaxSlices))
		it.answer.Verdict = allocator.Verdict(r.byte())
		flags := r.byte()
		it.answer.Repeat, it.answer.GrantVoided = flags&answerRepeat != 0, flags&answerVoided != 0
		it.answer.Seq = r.uvarint(allocator.MaxSeq)
		it.answer.At = allocator.Micros(r.varint())
		it.answer.Until = allocator.Micros(r.varint())
		if r.bad || flags&^answerFlags != 0 {
			return items, fmt.Errorf("%w: answer %d of %d", errMalformed, len(items)+1, f.count)
		}
		items = append(items, it)
	}
	if len(r.b) > 0 {
		return items, fmt.Errorf("%w: %d bytes after its %d answers", errMalformed, len(r.b), f.count)
	}
	return items, nil
}

// reader takes values off a payload. After the first one that is not there it
// is bad and returns zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) fail() {
	r.bad, r.b = true, nil
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) uvarint(most uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > most {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// bytes takes a length of one byte and as many bytes, at most most.
func (r *reader) bytes(most int) []byte {
	n := int(r.byte())
	if n > most || n > len(r.b) {
		r.fail()
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}
