package wire

import (
	"fmt"
	"strconv"
	"strings"
)

// maxSlice and seqBits say how a grant's number is made of its parts.
const (
	maxSlice = 32767
	seqBits  = 48
)

// GrantID is a grant's number: the slice in the top 16 bits, the sequence in
// the lower 48. Its text, and so its JSON, is "1-42".
type GrantID uint64

// AppendGrantID appends the text of id.
func AppendGrantID(dst []byte, id GrantID) []byte {
	dst = strconv.AppendUint(dst, uint64(id>>seqBits), 10)
	dst = append(dst, '-')
	return strconv.AppendUint(dst, uint64(id)&(1<<seqBits-1), 10)
}

// String returns the text of id.
func (id GrantID) String() string { return string(AppendGrantID(nil, id)) }

// MarshalText implements encoding.TextMarshaler.
func (id GrantID) MarshalText() ([]byte, error) { return AppendGrantID(nil, id), nil }

// UnmarshalText reads what String wrote.
func (id *GrantID) UnmarshalText(text []byte) error {
	v, err := ParseGrantID(string(text))
	if err != nil {
		return err
	}
	*id = v
	return nil
}

// ParseGrantID reads what String wrote and no other form: no signs, leading
// zeros or white space, so that one grant has one text.
func ParseGrantID(s string) (GrantID, error) {
	left, right, _ := strings.Cut(s, "-")
	slice, err1 := strconv.ParseUint(left, 10, 16)
	seq, err2 := strconv.ParseUint(right, 10, seqBits)
	id := GrantID(slice<<seqBits | seq)
	if err1 != nil || err2 != nil || slice == 0 || slice > maxSlice || seq == 0 || id.String() != s {
		return 0, fmt.Errorf("wire: %q is no grant id", s)
	}
	return id, nil
}
