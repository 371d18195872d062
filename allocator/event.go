package allocator

// AppendEvent appends e's encoding to b: what the outbox keeps.
func AppendEvent(b []byte, e *Event) []byte {
	b = append(b, formatVersion, byte(e.Kind))
	b = appendUint(b, e.Seq)
	b = appendUint(b, uint64(e.Prize))
	b = appendInt(b, int64(e.At))
	b = appendInt(b, int64(e.Day))
	if e.Kind == EventVoid {
		return appendBool(appendUint(b, e.Grant), e.Restock)
	}
	b = appendText(b, e.User)
	return appendText(b, e.RequestID)
}

// DecodeEvent reads what AppendEvent wrote. The event's User and RequestID are
// parts of b.
func DecodeEvent(b []byte) (Event, error) {
	d := decoder{b: b}
	d.version()
	e := Event{Kind: EventKind(d.byte()), Seq: d.uint(), Prize: d.prize(), At: Micros(d.int()), Day: d.day()}
	switch e.Kind {
	case EventGrant:
		e.User = d.bytes(maxText)
		e.RequestID = d.bytes(maxText)
	case EventVoid:
		e.Grant = d.uint()
		e.Restock = d.bool()
	default:
		d.fail("unknown kind of event")
	}
	if e.Seq == 0 || e.Seq > MaxSeq {
		d.fail("not a sequence")
	}
	if !d.done() {
		d.fail("bytes after the event")
	}
	return e, d.err
}
