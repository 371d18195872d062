package config_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tombola/node/config"
)

func none(string) string { return "" }

func load(t *testing.T, getenv func(string) string, args ...string) (config.Secrets, string, error) {
	t.Helper()
	var log strings.Builder
	s, err := config.LoadSecrets(mustParse(t, args...), getenv, slog.New(slog.NewTextHandler(&log, nil)))
	return s, log.String(), err
}

func TestSecretsComeFromTheirFilesWithoutTheLastNewline(t *testing.T) {
	admin, draw := write(t, "admin", "adm1n\n"), write(t, "draw", "dr4w\r\n")
	dsn := write(t, "dsn", "u:p@tcp(h:1)/d\n")
	key := write(t, "key", "AAECAwQFBgcICQoLDA0ODw==\n")
	s, log, err := load(t, none, "--admin-token-file", admin, "--draw-token-file", draw, "--mysql-dsn-file", dsn, "--gossip-key-file", key)
	if err != nil {
		t.Fatal(err)
	}
	if s.AdminToken != "adm1n" || s.DrawToken != "dr4w" || s.MySQL != "u:p@tcp(h:1)/d" || len(s.GossipKey) != 16 {
		t.Errorf("got %+v", s)
	}
	if log != "" {
		t.Errorf("private files are warned of: %s", log)
	}
}

func TestAVariableHoldsTheTokenItselfAndAFileGoesBeforeIt(t *testing.T) {
	env := func(name string) string {
		return map[string]string{config.AdminTokenEnv: "from-env", config.DrawTokenEnv: "draw-env"}[name]
	}
	s, _, err := load(t, env)
	if err != nil || s.AdminToken != "from-env" || s.DrawToken != "draw-env" {
		t.Errorf("got %+v, %v", s, err)
	}
	s, _, err = load(t, env, "--admin-token-file", write(t, "admin", "from-file"))
	if err != nil || s.AdminToken != "from-file" {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestNoSecretsAreNeeded(t *testing.T) {
	s, _, err := load(t, none, "--mysql", "u:p@tcp(h:1)/d")
	if err != nil || s.AdminToken != "" || s.MySQL != "u:p@tcp(h:1)/d" {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestASecretThatCantBeUsedIsRefused(t *testing.T) {
	for flag, texts := range map[string][]string{
		"admin-token-file": {"", "\n", "two words", "tab\t", "ünicode", "line1\nline2"},
		"draw-token-file":  {"", "a b"},
		"mysql-dsn-file":   {"", "not a dsn s3cr3t"},
		"gossip-key-file":  {"", "not base64!", "AAAA"},
	} {
		for _, text := range texts {
			_, _, err := load(t, none, "--"+flag, write(t, "file", text))
			if err == nil || !strings.HasPrefix(err.Error(), "config: --"+flag+": ") || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("--%s with %q: %v", flag, text, err)
			}
			if !errors.Is(err, config.ErrSecret) && !errors.Is(err, config.ErrInvalid) {
				t.Errorf("--%s with %q: %v is neither ErrSecret nor ErrInvalid", flag, text, err)
			}
		}
		_, _, err := load(t, none, "--"+flag, filepath.Join(t.TempDir(), "missing"))
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("--%s with a file that is not there: %v", flag, err)
		}
	}
}

func TestASecretThatEverybodyCanReadIsWarnedOf(t *testing.T) {
	path := write(t, "admin", "adm1n")
	if err := os.Chmod(path, 0o644); err != nil { //nolint:gosec // that is the case to test
		t.Fatal(err)
	}
	_, log, err := load(t, none, "--admin-token-file", path)
	if err != nil || !strings.Contains(log, "level=WARN") || !strings.Contains(log, "--admin-token-file") || strings.Contains(log, "adm1n") {
		t.Errorf("%v, logged %q", err, log)
	}
}

func TestCertificatesThatCantBeReadNameTheirFlags(t *testing.T) {
	missing := config.TLS{Cert: "/no", Key: "/no", ClusterCA: "/no", ClusterCert: "/no", ClusterKey: "/no"}
	if _, err := missing.LoadHTTPCert(); err == nil || !strings.HasPrefix(err.Error(), "config: --tls-cert") {
		t.Errorf("got %v", err)
	}
	if _, _, err := missing.LoadCluster(); err == nil || !strings.HasPrefix(err.Error(), "config: --cluster-cert") {
		t.Errorf("got %v", err)
	}
	if (config.TLS{}).HTTP() || (config.TLS{}).Cluster() || !missing.HTTP() || !missing.Cluster() {
		t.Error("TLS is used where no file is named, or not where one is")
	}
}

func TestLogsFollowLevelAndFormat(t *testing.T) {
	var out bytes.Buffer
	logger, err := config.NewLogger(&out, config.Log{Level: "warn", Format: "json"})
	if err != nil {
		t.Fatal(err)
	}
	logger.Info("quiet")
	logger.Warn("loud", "a", 1)
	if got := out.String(); !strings.HasPrefix(got, "{") || !strings.Contains(got, `"msg":"loud"`) || strings.Contains(got, "quiet") {
		t.Errorf("logged %q", got)
	}
	for _, l := range []config.Log{{Level: "x", Format: "text"}, {Level: "info", Format: "x"}} {
		if _, err := config.NewLogger(&out, l); !errors.Is(err, config.ErrInvalid) {
			t.Errorf("%+v: %v", l, err)
		}
	}
}
