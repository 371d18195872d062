package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"tombola/node/config"
)

// parse is what the serve command does, up to but without Complete.
func parse(t *testing.T, args ...string) (config.Config, error) {
	t.Helper()
	var grammar struct {
		Serve struct {
			Config config.Config `embed:""`
		} `cmd:""`
	}
	k, err := kong.New(&grammar)
	if err != nil {
		t.Fatalf("grammar: %v", err)
	}
	_, err = k.Parse(append([]string{"serve"}, args...))
	return grammar.Serve.Config, err
}

func mustParse(t *testing.T, args ...string) config.Config {
	t.Helper()
	c, err := parse(t, args...)
	if err != nil {
		t.Fatalf("parse %q: %v", args, err)
	}
	return c
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsMakeAWorkingSingleNode(t *testing.T) {
	c := config.Complete(mustParse(t), "alpha")
	if err := config.Validate(c); err != nil {
		t.Fatalf("the defaults are refused: %v", err)
	}
	var out strings.Builder
	if err := config.Print(&out, c); err != nil {
		t.Fatal(err)
	}
	want := `node-id: alpha
data: /var/lib/tombola
disk-floor: 256MiB
snapshot-bytes: 64MiB
http: 127.0.0.1:7070
cluster: 127.0.0.1:7170
gossip: 127.0.0.1:7270
advertise-http: 127.0.0.1:7070
advertise-cluster: 127.0.0.1:7170
advertise-gossip: 127.0.0.1:7270
bootstrap-expect: 1
slices: 1
sqlite: /var/lib/tombola/tombola.db
election-timeout: 500ms
disk-stall-timeout: 3s
retain: 24h
log-level: info
log-format: text
`
	if out.String() != want {
		t.Errorf("printed:\n%s\nwant:\n%s", out.String(), want)
	}
}

func TestAFlagGoesBeforeAVariableBeforeTheFileBeforeTheDefault(t *testing.T) {
	file := write(t, "tombola.yaml", "http: 127.0.0.1:1\ngossip: 127.0.0.1:2\nretain: 2h\nslices: 5\n")
	t.Setenv("TOMBOLA_HTTP", "127.0.0.1:11")
	t.Setenv("TOMBOLA_GOSSIP", "127.0.0.1:12")
	c := mustParse(t, "--config", file, "--http", "127.0.0.1:21")
	if got := c.Listen.HTTP; got != "127.0.0.1:21" {
		t.Errorf("flag, variable and file say http: got %s, want the flag's", got)
	}
	if got := c.Listen.Gossip; got != "127.0.0.1:12" {
		t.Errorf("variable and file say gossip: got %s, want the variable's", got)
	}
	if got := c.Timing.Retain; got != 2*time.Hour {
		t.Errorf("the file says retain: got %s, want the file's", got)
	}
	if got := c.Cluster.Slices; got != 5 {
		t.Errorf("the file says slices: got %d, want the file's", got)
	}
	if got := c.Listen.Cluster; got != "127.0.0.1:7170" {
		t.Errorf("nothing says cluster: got %s, want the default", got)
	}
}

func TestTheFileMayBeNamedByAVariable(t *testing.T) {
	t.Setenv("TOMBOLA_CONFIG", write(t, "tombola.yaml", "node-id: from-file\n"))
	if c := mustParse(t); c.NodeID != "from-file" {
		t.Errorf("node-id %q", c.NodeID)
	}
}

func TestAFileMayHoldListsCommentsQuotesAndEmptyKeys(t *testing.T) {
	file := write(t, "tombola.yaml", `---
# the third server
node-id: "n3"
join:
  - 10.0.0.1:7270   # the first
  - 10.0.0.2:7270
mysql: 'tombola:p@ss#word@tcp(db:3306)/tombola'
sqlite:
bootstrap-expect: 3
`)
	c := mustParse(t, "--config", file)
	if c.NodeID != "n3" || c.Cluster.BootstrapExpect != 3 || c.Sink.SQLite != "" {
		t.Errorf("got %+v", c)
	}
	if got := strings.Join(c.Cluster.Join, " "); got != "10.0.0.1:7270 10.0.0.2:7270" {
		t.Errorf("join: %q", got)
	}
	if c.Sink.MySQL != "tombola:p@ss#word@tcp(db:3306)/tombola" {
		t.Errorf("mysql: %q", c.Sink.MySQL)
	}
	c = mustParse(t, "--config", write(t, "short.yaml", "join: a:1,b:2"))
	if len(c.Cluster.Join) != 2 {
		t.Errorf("join as one line: %q", c.Cluster.Join)
	}
	mustParse(t, "--config", write(t, "empty.yaml", "# nothing yet\n"))
}

func TestAFileThatSaysSomethingElseIsRefusedWithItsLine(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown key":       {"http: 127.0.0.1:1\nhtttp: x\n", `:2: unknown key "htttp"`},
		"config in a file":  {"config: other.yaml\n", `:1: unknown key "config"`},
		"reload in a file":  {"reload: x\n", `:1: unknown key "reload"`},
		"not a number":      {"\nslices: many\n", ":2:"},
		"not a duration":    {"http: a:1\nretain: 3 parsecs\n", ":2:"},
		"a mapping":         {"http:\n  host: x\n", ":"},
		"a list of lists":   {"join:\n  - [a]\n", ":2:"},
		"a comma in a list": {"join:\n  - 'a,b'\n", ":2:"},
		"no mapping":        {"- http\n", ":1:"},
		"twice":             {"http: a:1\nhttp: a:2\n", ":2:"},
		"no YAML":           {"http: [a\n", ":1:"},
	} {
		t.Run(name, func(t *testing.T) {
			file := write(t, "tombola.yaml", c.text)
			_, err := parse(t, "--config", file)
			if err == nil {
				t.Fatal("accepted")
			}
			if got := err.Error(); !strings.Contains(got, file+c.want) {
				t.Errorf("error %q does not have %q", got, c.want)
			}
			if strings.Count(err.Error(), "\n") > 0 {
				t.Errorf("the error has several lines: %q", err)
			}
		})
	}
	if _, err := parse(t, "--config", "/does/not/exist.yaml"); err == nil || !strings.Contains(err.Error(), "--config") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestAFileOfAnyShapeIsReadOrRefused(t *testing.T) {
	for _, text := range []string{"", "\x00", "&a", "*a", "a: *b", "? x", "<<: {}", "http: !!str 5:1", "http: |\n  a:1\n", "{http: 'a:1'}", "--- \n---\nhttp: a:1\n"} {
		_, err := parse(t, "--config", write(t, "tombola.yaml", text))
		if err != nil && !strings.Contains(err.Error(), "config: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestCompleteFillsInWhatWasLeftOpenOnly(t *testing.T) {
	c := config.Complete(mustParse(t, "--node-id", "n1", "--data", "/d", "--bootstrap-expect", "3",
		"--http", "0.0.0.0:80", "--cluster", "10.0.0.1:7170", "--advertise-gossip", "n1.example:7270"), "host")
	if c.NodeID != "n1" || c.Cluster.Slices != 3 || c.Sink.SQLite != "/d/tombola.db" {
		t.Errorf("got %+v", c)
	}
	if want := (config.Advertise{HTTP: "host:80", Cluster: "10.0.0.1:7170", Gossip: "n1.example:7270"}); c.Advertise != want {
		t.Errorf("advertised: %+v, want %+v", c.Advertise, want)
	}
	c = config.Complete(mustParse(t, "--mysql-dsn-file", "/dsn", "--slices", "8"), "host")
	if c.Sink.SQLite != "" || c.Cluster.Slices != 8 {
		t.Errorf("got %+v", c)
	}
	again := config.Complete(c, "other")
	if again.NodeID != "host" || again.Advertise != c.Advertise {
		t.Errorf("completing twice changes it: %+v", again)
	}
}
