package wire

import (
	"encoding/json"
	"fmt"
	"time"
)

// Time is an instant in microseconds since the Unix epoch. Its JSON is RFC 3339
// in UTC with six decimals. What is finer than a microsecond is cut off when
// read.
type Time int64

// TimeOf returns t as a Time.
func TimeOf(t time.Time) Time { return Time(t.UnixMicro()) }

// Time returns t as a time.Time in UTC.
func (t Time) Time() time.Time { return time.UnixMicro(int64(t)).UTC() }

// String returns t as it stands in JSON.
func (t Time) String() string { return string(AppendTime(nil, t)) }

// MarshalText implements encoding.TextMarshaler.
func (t Time) MarshalText() ([]byte, error) { return AppendTime(nil, t), nil }

// UnmarshalJSON reads RFC 3339 with any offset.
func (t *Time) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("wire: read time: %w", err)
	}
	v, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return fmt.Errorf("wire: read time: %w", err)
	}
	*t = TimeOf(v)
	return nil
}

// AppendTime appends t as 2026-11-22T10:00:00.123456Z. Years are taken to have
// four digits.
func AppendTime(dst []byte, t Time) []byte {
	tt := t.Time()
	year, month, day := tt.Date()
	hour, minute, sec := tt.Clock()
	dst = appendDigits(dst, year, 4)
	dst = append(dst, '-')
	dst = appendDigits(dst, int(month), 2)
	dst = append(dst, '-')
	dst = appendDigits(dst, day, 2)
	dst = append(dst, 'T')
	dst = appendDigits(dst, hour, 2)
	dst = append(dst, ':')
	dst = appendDigits(dst, minute, 2)
	dst = append(dst, ':')
	dst = appendDigits(dst, sec, 2)
	dst = append(dst, '.')
	dst = appendDigits(dst, tt.Nanosecond()/1000, 6)
	return append(dst, 'Z')
}

// appendDigits appends v with leading zeros up to width, which is at most 6.
func appendDigits(dst []byte, v, width int) []byte {
	var buf [6]byte
	for i := width - 1; i >= 0; i-- {
		buf[i] = byte('0' + v%10)
		v /= 10
	}
	return append(dst, buf[:width]...)
}
