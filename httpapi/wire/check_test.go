package wire_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"tombola/httpapi/wire"
)

// TestAZoneThatIsAnotherOnEachServerIsRefused gives the process a directory of
// zones that has the files which many systems have beside the zones of IANA.
func TestAZoneThatIsAnotherOnEachServerIsRefused(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("ZONEINFO", dir)
	utc := []byte("TZif2" + string(make([]byte, 39)) + "TZif2" + string(make([]byte, 39)) + "\n<+05>-5\n")
	for _, name := range []string{"localtime", "posixrules"} {
		if err := os.WriteFile(filepath.Join(dir, name), utc, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"localtime", "posixrules", "Local", "right/UTC", "posix/UTC", "", "../localtime", "Mars/Base"} {
		spec := wire.PrizeSpec{Kind: wire.KindCounter, Total: 1, Timezone: name}
		var p *wire.Problem
		if err := spec.Check(); !errors.As(err, &p) || p.Field != "timezone" {
			t.Errorf("%q: %v, want a problem with timezone", name, err)
		}
	}
	for _, name := range []string{"UTC", "Asia/Shanghai", "America/Argentina/Buenos_Aires", "Etc/GMT+3"} {
		spec := wire.PrizeSpec{Kind: wire.KindCounter, Total: 1, Timezone: name}
		if err := spec.Check(); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}
