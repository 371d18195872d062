package forward

import (
	"encoding/binary"
	"fmt"

	"tombola/allocator"
)

// A call is: id, group, milliseconds left or 0 (uvarints), method (one byte of
// length and its bytes), body. A reply is: id (uvarint), status (1), and then
// the body, or for an error its code (one byte of length and its bytes) and
// text. A post is: group (uvarint), kind (1), payload.

const (
	replyDone  = 0
	replyError = 1
)

// maxMethod bounds a method's name and an error's code, in bytes.
const maxMethod = 255

// callFrame is a call as read; method and body alias the frame.
type callFrame struct {
	id        uint64
	group     uint16
	remaining uint32
	method    []byte
	body      []byte
}

func appendCall(b []byte, c callFrame) []byte {
	start := len(b)
	b = beginFrame(b, frameCall)
	b = binary.AppendUvarint(b, c.id)
	b = binary.AppendUvarint(b, uint64(c.group))
	b = binary.AppendUvarint(b, uint64(c.remaining))
	b = append(b, byte(len(c.method)))
	b = append(b, c.method...)
	b = append(b, c.body...)
	endFrame(b, start, 0)
	return b
}

func decodeCall(payload []byte) (callFrame, error) {
	r := reader{b: payload}
	c := callFrame{
		id:        r.uvarint(1<<64 - 1),
		group:     uint16(r.uvarint(allocator.MaxSlices)),
		remaining: uint32(r.uvarint(1<<32 - 1)),
		method:    r.bytes(maxMethod),
	}
	c.body = r.b
	if r.bad {
		return callFrame{}, fmt.Errorf("%w: call", errMalformed)
	}
	return c, nil
}

// replyFrame is a reply as read; its body aliases the frame.
type replyFrame struct {
	id     uint64
	failed *RemoteError // nil where the call was done
	body   []byte
}

func appendReply(b []byte, p replyFrame) []byte {
	start := len(b)
	b = beginFrame(b, frameReply)
	b = binary.AppendUvarint(b, p.id)
	if p.failed == nil {
		b = append(b, replyDone)
		b = append(b, p.body...)
	} else {
		code := p.failed.Code[:min(len(p.failed.Code), maxMethod)]
		text := p.failed.Text[:min(len(p.failed.Text), keepBuffer)]
		b = append(b, replyError, byte(len(code)))
		b = append(b, code...)
		b = append(b, text...)
	}
	endFrame(b, start, 0)
	return b
}

func decodeReply(payload []byte) (replyFrame, error) {
	r := reader{b: payload}
	p := replyFrame{id: r.uvarint(1<<64 - 1)}
	switch status := r.byte(); {
	case r.bad || status > replyError:
		return replyFrame{}, fmt.Errorf("%w: reply", errMalformed)
	case status == replyDone:
		p.body = r.b
	default:
		p.failed = &RemoteError{Code: string(r.bytes(maxMethod))}
		if r.bad {
			return replyFrame{}, fmt.Errorf("%w: reply", errMalformed)
		}
		p.failed.Text = string(r.b)
	}
	return p, nil
}

func appendPost(b []byte, group uint16, kind byte, payload []byte) []byte {
	start := len(b)
	b = beginFrame(b, framePost)
	b = binary.AppendUvarint(b, uint64(group))
	b = append(b, kind)
	b = append(b, payload...)
	endFrame(b, start, 0)
	return b
}

// decodePost returns a post's parts; payload aliases the frame.
func decodePost(frame []byte) (group uint16, kind byte, payload []byte, err error) {
	r := reader{b: frame}
	group, kind = uint16(r.uvarint(allocator.MaxSlices)), r.byte()
	if r.bad {
		return 0, 0, nil, fmt.Errorf("%w: post", errMalformed)
	}
	return group, kind, r.b, nil
}

// appendSign appends a ping or pong.
func appendSign(b []byte, kind byte) []byte {
	start := len(b)
	b = beginFrame(b, kind)
	endFrame(b, start, 0)
	return b
}
