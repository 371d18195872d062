package httpapi_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"tombola/httpapi"
)

func TestAConnectionOpenedAheadClosesWithoutAWord(t *testing.T) {
	_, addr := listen(t, newFake(), func(c *httpapi.Config) { c.Limits.Idle = 50 * time.Millisecond })
	got, err := io.ReadAll(dial(t, addr))
	if err != nil || len(got) != 0 {
		t.Fatalf("an unused connection was told %q, %v", got, err)
	}
}

func TestAConnectionOpenedAheadMayWaitLongerThanARequest(t *testing.T) {
	const read = 10 * time.Millisecond
	_, addr := listen(t, newFake(), func(c *httpapi.Config) { c.Limits = httpapi.Limits{Read: read, Idle: time.Minute} })
	c := dial(t, addr)
	<-time.After(5 * read) // what is tested is that this passes unnoticed
	if _, err := io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: t\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("status %d", response.StatusCode)
	}
}

func TestABodyMuchTooLargeIsAnsweredNotReset(t *testing.T) {
	_, addr := listen(t, newFake(), func(c *httpapi.Config) { c.Limits.Read = 10 * time.Second })
	for range 20 {
		body := bytes.Repeat([]byte("x"), 4<<20)
		response, err := http.Post("http://"+addr+"/v1/prizes/car/draw", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusRequestEntityTooLarge {
			t.Fatalf("status %d", response.StatusCode)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestADrainingServerAsksForConnectionsToBeClosed(t *testing.T) {
	s, addr := listen(t, newFake(), nil)
	defer http.DefaultClient.CloseIdleConnections()
	for _, drained := range []bool{false, true} {
		if drained {
			s.Drain()
		}
		response, err := http.Get("http://" + addr + "/livez")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK || response.Close != drained {
			t.Errorf("draining %v: status %d, close %v", drained, response.StatusCode, response.Close)
		}
	}
}
