package chaos

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"tombola/httpapi/wire"
)

func granted(user, request string, grant wire.GrantID) Draw {
	return Draw{Slice: 1, User: user, RequestID: request, Grant: grant}
}

func TestTheJudgeFindsEachKindOfWrong(t *testing.T) {
	ada, bob := granted("ada", "1", 11), granted("bob", "1", 12)
	both := map[wire.GrantID]Row{11: {"ada", "1"}, 12: {"bob", "1"}}
	for name, c := range map[string]struct {
		draws []Draw
		rows  map[wire.GrantID]Row
		want  Verdict
	}{
		"all is well":         {[]Draw{ada, bob}, both, Verdict{Granted: 2}},
		"a row is missing":    {[]Draw{ada, bob}, map[wire.GrantID]Row{11: {"ada", "1"}}, Verdict{Granted: 2, Lost: 1}},
		"a row is another's":  {[]Draw{ada}, map[wire.GrantID]Row{11: {"eve", "1"}}, Verdict{Granted: 1, Lost: 1}},
		"a row is nobody's":   {[]Draw{ada}, both, Verdict{Granted: 1, Foreign: 1}},
		"two have one grant":  {[]Draw{ada, granted("bob", "1", 11)}, map[wire.GrantID]Row{11: {"ada", "1"}}, Verdict{Granted: 2, Duplicated: 1, Lost: 1}},
		"one has two grants":  {[]Draw{ada}, map[wire.GrantID]Row{11: {"ada", "1"}, 13: {"ada", "1"}}, Verdict{Granted: 1, Duplicated: 1, Foreign: 1}},
		"one was not decided": {[]Draw{{User: "ada", Final: errors.New("refused")}}, nil, Verdict{Failed: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Judge(c.draws, c.rows)
			got.Examples = nil
			if !reflect.DeepEqual(*got, c.want) || got.Clean() != (name == "all is well") {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestSilenceCountsFromTheLastGrantToTheNext(t *testing.T) {
	at := func(slice int, seconds ...int) (draws []Draw) {
		for _, s := range seconds {
			draws = append(draws, Draw{Slice: slice, Grant: 1, Start: time.Duration(s-1) * time.Second, End: time.Duration(s) * time.Second})
		}
		return draws
	}
	draws := append(at(1, 3, 9, 1, 4), at(2, 2, 5, 6)...)
	draws = append(draws, Draw{Slice: 1, End: 6 * time.Second, Final: errors.New("not a grant")})
	got := Silences(draws, 3, 4*time.Second, 8*time.Second)
	want := []Silence{
		{4 * time.Second, 4 * time.Second}, // and nothing any more
		{2 * time.Second, 3 * time.Second}, // begun before
		{0, 8 * time.Second},
	}
	for s := range want {
		if got[s] != want[s] {
			t.Errorf("slice %d: %+v, want %+v", s+1, got[s], want[s])
		}
	}
	if got := LongestWait(draws); got != 6*time.Second {
		t.Errorf("longest wait %v", got)
	}
}
