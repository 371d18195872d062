package config_test

import (
	"testing"

	"tombola/node/config"
)

func TestSizesAreReadAsTheyAreWritten(t *testing.T) {
	for text, want := range map[string]config.Size{
		"0": 0, "1000": 1000, "512KiB": 512 << 10, "256MiB": 256 << 20, "3GiB": 3 << 30, "7TiB": 7 << 40,
	} {
		var s config.Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s: %d, %v; want %d", text, s, err, want)
		}
		if got := want.String(); got != text {
			t.Errorf("%d is written %s, want %s", want, got, text)
		}
	}
}

func TestWhatIsNoSizeIsRefused(t *testing.T) {
	for _, text := range []string{"", "-1", "1.5GiB", "12MB", "MiB", "1 GiB", "9000000TiB", "9999999999999999999999"} {
		var s config.Size
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %d", text, s)
		}
	}
}
