package membership

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestGarbageOnTheGossipPortDoesNotFloodTheLog(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(1000, 0)
	l := newGossipLog(slog.New(slog.NewTextHandler(&out, nil)), func() time.Time { return now })
	complain := func(times int) {
		for range times {
			if _, err := l.Write([]byte("[ERR] memberlist: what is this")); err != nil {
				t.Fatal(err)
			}
		}
	}
	complain(1000)
	if n := strings.Count(out.String(), "what is this"); n != gossipLines {
		t.Errorf("%d lines", n)
	}
	if _, err := l.Write([]byte("[WARN] memberlist: something else")); err != nil || !strings.Contains(out.String(), "something else") {
		t.Error("a line of another level was held back")
	}
	now = now.Add(gossipWhile)
	complain(1)
	if n := strings.Count(out.String(), "what is this"); n != gossipLines+1 || !strings.Contains(out.String(), "lines=990") {
		t.Errorf("later: %s", out.String())
	}
}
