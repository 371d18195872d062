package config_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"tombola/node/config"
)

// full names every flag once.
func full() []string {
	return []string{
		"--node-id=n1", "--data=/d", "--http=0.0.0.0:1", "--admin-http=127.0.0.1:2", "--cluster=0.0.0.0:3", "--gossip=0.0.0.0:4",
		"--advertise-http=h:1", "--advertise-cluster=h:3", "--advertise-gossip=h:4",
		"--bootstrap-expect=3", "--join=b:4,c:4", "--slices=6",
		"--mysql=tombola:s3cr3t@tcp(db:3306)/tombola?timeout=3s", "--mysql-dsn-file=/dsn", "--sqlite=/s.db",
		"--admin-token-file=/at", "--draw-token-file=/dt",
		"--tls-cert=/c", "--tls-key=/k", "--cluster-ca=/ca", "--cluster-cert=/cc", "--cluster-key=/ck", "--gossip-key-file=/gk",
		"--chaos-clock-file=/cl", "--accept-clock-back=2026-11-22T10:00:00Z", "--election-timeout=1s", "--disk-stall-timeout=5s", "--retain=90m", "--log-level=debug", "--log-format=json",
	}
}

func printed(t *testing.T, c config.Config) string {
	t.Helper()
	var out strings.Builder
	if err := config.Print(&out, c); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestEverySettingIsPrintedUnderItsFlagsName(t *testing.T) {
	out := "\n" + printed(t, mustParse(t, full()...))
	var grammar struct {
		Config config.Config `embed:""`
	}
	k, err := kong.New(&grammar, kong.NoDefaultHelp())
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range k.Model.Flags {
		if flag.Name == "config" {
			continue
		}
		if !strings.Contains(out, "\n"+flag.Name+":") {
			t.Errorf("--%s is not printed", flag.Name)
		}
		if want := "TOMBOLA_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_")); len(flag.Envs) != 1 || flag.Envs[0] != want {
			t.Errorf("--%s has the variables %q, want %s", flag.Name, flag.Envs, want)
		}
	}
}

func TestWhatIsPrintedCanBeReadBack(t *testing.T) {
	args := full()
	for i, a := range args {
		args[i] = strings.Replace(a, "s3cr3t", "***", 1)
	}
	first := mustParse(t, args...)
	file := write(t, "printed.yaml", printed(t, first))
	second := mustParse(t, "--config", file)
	second.File = ""
	if !reflect.DeepEqual(first, second) {
		t.Errorf("read back:\n%+v\nwant:\n%+v", second, first)
	}
}

func TestPasswordsAreNotPrinted(t *testing.T) {
	out := printed(t, mustParse(t, full()...))
	if strings.Contains(out, "s3cr3t") {
		t.Errorf("the password is there:\n%s", out)
	}
	if !strings.Contains(out, "mysql: tombola:***@tcp(db:3306)/tombola?timeout=3s\n") {
		t.Errorf("the rest of the DSN is not:\n%s", out)
	}
	for dsn, want := range map[string]string{
		"":                               "",
		"u@tcp(h:1)/d":                   "u@tcp(h:1)/d",
		"/d":                             "/d",
		"tcp(h:1)/d":                     "tcp(h:1)/d",
		"u:p@ss:w/rd@tcp(h:1)/d":         "u:***@tcp(h:1)/d",
		":p@tcp(h:1)/d":                  ":***@tcp(h:1)/d",
		"mysql://u:p@h:3306/d":           "***",
		"no separators but a s3cr3t":     "***",
		"u:p/w@d":                        "***",
		"u:s3cr3t@unix(/run/my.sock)/db": "u:***@unix(/run/my.sock)/db",
	} {
		if got := config.HideDSN(dsn); got != want {
			t.Errorf("HideDSN(%q) = %q, want %q", dsn, got, want)
		}
	}
}

func TestAnErrorAboutADSNHidesItsPassword(t *testing.T) {
	for _, dsn := range []string{"u:s3cr3t@tcp(h:1", "mysql://u:s3cr3t@h/d", "u:s3cr3t@tcp(h:1)/", "u:s3cr3t@tcp(h:1)/d?parseTime=s3cr3t"} {
		err := config.Validate(config.Complete(mustParse(t, "--mysql", dsn), "host"))
		if err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%q: %v", dsn, err)
		}
	}
}
