package linearize_test

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"tombola/httpapi/wire"
	"tombola/internal/linearize"
)

// op is an operation from call to end. Users, requests and grants are numbers.
func op(call, end int64, in linearize.Input, out linearize.Output) linearize.Op {
	return linearize.Op{Call: call, Return: end, Input: in, Output: out}
}

func drawn(call, end int64, user, request, grant int) linearize.Op {
	return op(call, end, linearize.Input{User: user, Request: request}, linearize.Output{Outcome: wire.Granted, Grant: grant})
}

func repeated(call, end int64, user, request, grant int) linearize.Op {
	o := drawn(call, end, user, request, grant)
	o.Output.Repeat = true
	return o
}

func refused(call, end int64, user, request int, outcome wire.Outcome) linearize.Op {
	return op(call, end, linearize.Input{User: user, Request: request}, linearize.Output{Outcome: outcome})
}

func unknown(call int64, user, request int) linearize.Op {
	return op(call, 0, linearize.Input{User: user, Request: request}, linearize.Output{Unknown: true})
}

func takenBack(call, end int64, grant int, restock bool) linearize.Op {
	return op(call, end, linearize.Input{Kind: linearize.Void, Grant: grant, Restock: restock}, linearize.Output{})
}

func resized(call, end int64, to int) linearize.Op {
	return op(call, end, linearize.Input{Kind: linearize.Resize, Total: to}, linearize.Output{Total: to})
}

func belowGranted(call, end int64, to, granted int) linearize.Op {
	return op(call, end, linearize.Input{Kind: linearize.Resize, Total: to}, linearize.Output{Code: wire.CodeBelowGranted, Granted: granted})
}

func judge(t *testing.T, p linearize.Prize, ops []linearize.Op, want porcupine.CheckResult) {
	t.Helper()
	h := linearize.History{Prize: p, Ops: ops}
	if got, err := h.Check(time.Minute, ""); err != nil || got != want {
		t.Errorf("%s, %v; want %s:\n%s", got, err, want, h.Lines())
	}
}

func TestWrongHistoriesAreFound(t *testing.T) {
	one, two := linearize.Prize{Total: 1}, linearize.Prize{Total: 2}
	later := takenBack(3, 4, 1, true)
	later.TokenUnknown = true
	for name, h := range map[string]struct {
		prize linearize.Prize
		ops   []linearize.Op
	}{
		"more granted than there is":        {one, []linearize.Op{drawn(1, 9, 1, 0, 1), drawn(1, 9, 2, 0, 2)}},
		"two grants for one request id":     {two, []linearize.Op{drawn(1, 9, 1, 1, 1), drawn(1, 9, 1, 1, 2)}},
		"a repeat names another grant":      {two, []linearize.Op{drawn(1, 2, 1, 1, 1), repeated(3, 4, 1, 1, 2)}},
		"one grant for two requests":        {two, []linearize.Op{drawn(1, 2, 1, 1, 1), drawn(3, 4, 1, 2, 1)}},
		"a repeat of nothing":               {two, []linearize.Op{repeated(1, 2, 1, 1, 1)}},
		"sold out while a token is left":    {two, []linearize.Op{drawn(1, 2, 1, 0, 1), refused(3, 4, 2, 0, wire.SoldOut)}},
		"sold out before it was":            {one, []linearize.Op{refused(1, 2, 2, 0, wire.SoldOut), drawn(3, 4, 1, 0, 1)}},
		"a user has more than the limit":    {linearize.Prize{Total: 9, PerUser: 1}, []linearize.Op{drawn(1, 9, 1, 1, 1), drawn(1, 9, 1, 2, 2)}},
		"user limit said to one without":    {linearize.Prize{Total: 9, PerUser: 1}, []linearize.Op{drawn(1, 2, 1, 1, 1), refused(3, 4, 2, 0, wire.UserLimit)}},
		"a void does not give a count back": {linearize.Prize{Total: 9, PerUser: 1}, []linearize.Op{drawn(1, 2, 1, 1, 1), takenBack(3, 4, 1, true), refused(5, 6, 1, 2, wire.UserLimit)}},
		"a void without restock gives one":  {linearize.Prize{Total: 9, PerUser: 1}, []linearize.Op{drawn(1, 2, 1, 1, 1), takenBack(3, 4, 1, false), drawn(5, 6, 1, 2, 2)}},
		"more than the day has":             {linearize.Prize{Total: 9, Daily: 1}, []linearize.Op{drawn(1, 9, 1, 0, 1), drawn(1, 9, 2, 0, 2)}},
		"the day is not over":               {linearize.Prize{Total: 9, Daily: 2}, []linearize.Op{drawn(1, 2, 1, 0, 1), refused(3, 4, 2, 0, wire.DailyLimit)}},
		"the day's token is not given back": {linearize.Prize{Total: 9, Daily: 1}, []linearize.Op{drawn(1, 2, 1, 0, 1), takenBack(3, 4, 1, true), refused(5, 6, 2, 0, wire.DailyLimit)}},
		"a granted answer is lost":          {two, []linearize.Op{drawn(1, 2, 1, 1, 1), drawn(3, 4, 1, 1, 2)}},
		"a repeat is refused":               {one, []linearize.Op{drawn(1, 2, 1, 1, 1), refused(3, 4, 1, 1, wire.SoldOut)}},
		"an unknown draw is done twice":     {two, []linearize.Op{unknown(1, 1, 1), drawn(3, 4, 2, 0, 1), drawn(5, 6, 1, 1, 2), refused(7, 8, 3, 0, wire.SoldOut), drawn(9, 10, 3, 0, 3)}},
		"a smaller total did not hold":      {two, []linearize.Op{resized(1, 2, 1), drawn(3, 4, 1, 0, 1), drawn(5, 6, 2, 0, 2)}},
		"a larger total did not hold":       {one, []linearize.Op{drawn(1, 2, 1, 0, 1), resized(3, 4, 2), refused(5, 6, 2, 0, wire.SoldOut)}},
		"a total below what is granted":     {two, []linearize.Op{drawn(1, 2, 1, 0, 1), drawn(3, 4, 2, 0, 2), resized(5, 6, 1)}},
		"below granted though it is not":    {two, []linearize.Op{drawn(1, 2, 1, 0, 1), belowGranted(3, 4, 1, 2)}},
		"a restocked token is lost":         {one, []linearize.Op{drawn(1, 2, 1, 0, 1), takenBack(3, 4, 1, true), refused(5, 6, 2, 0, wire.SoldOut)}},
		"a token comes back twice":          {one, []linearize.Op{drawn(1, 2, 1, 0, 1), later, drawn(5, 6, 2, 0, 2), drawn(7, 8, 3, 0, 3)}},
		"voided twice":                      {two, []linearize.Op{drawn(1, 2, 1, 0, 1), takenBack(3, 4, 1, true), takenBack(5, 6, 1, true)}},
		"a repeat does not know of a void":  {two, []linearize.Op{drawn(1, 2, 1, 1, 1), takenBack(3, 4, 1, false), repeated(5, 6, 1, 1, 1)}},
		"a void without restock restocks":   {one, []linearize.Op{drawn(1, 2, 1, 0, 1), takenBack(3, 4, 1, false), drawn(5, 6, 2, 0, 2)}},
	} {
		t.Run(name, func(t *testing.T) { judge(t, h.prize, h.ops, porcupine.Illegal) })
	}
}

func TestRightHistoriesAreLetPass(t *testing.T) {
	one, two := linearize.Prize{Total: 1}, linearize.Prize{Total: 2}
	later := takenBack(3, 4, 1, true)
	later.TokenUnknown = true
	for name, h := range map[string]struct {
		prize linearize.Prize
		ops   []linearize.Op
	}{
		"one of two gets the last token":           {one, []linearize.Op{drawn(1, 9, 1, 0, 1), refused(1, 9, 2, 0, wire.SoldOut)}},
		"an unknown draw took effect":              {one, []linearize.Op{unknown(1, 1, 1), refused(3, 4, 2, 0, wire.SoldOut), repeated(5, 6, 1, 1, 1)}},
		"an unknown draw never did":                {one, []linearize.Op{unknown(1, 1, 1), drawn(3, 4, 2, 0, 1)}},
		"an unknown draw did later":                {two, []linearize.Op{unknown(1, 1, 1), drawn(3, 4, 2, 0, 1), refused(5, 6, 3, 0, wire.SoldOut), repeated(7, 8, 1, 1, 2)}},
		"sold out while a token comes back":        {one, []linearize.Op{drawn(1, 2, 1, 1, 1), takenBack(3, 9, 1, true), refused(6, 7, 2, 0, wire.SoldOut), drawn(10, 11, 2, 0, 2)}},
		"sold out until a token comes back":        {one, []linearize.Op{drawn(1, 2, 1, 0, 1), later, refused(5, 6, 2, 0, wire.SoldOut), drawn(7, 8, 2, 0, 2)}},
		"the count comes back before the token":    {linearize.Prize{Total: 1, PerUser: 1}, []linearize.Op{drawn(1, 2, 1, 1, 1), takenBack(3, 9, 1, true), refused(5, 6, 1, 2, wire.SoldOut), drawn(7, 8, 1, 3, 2)}},
		"a total below what is granted is refused": {two, []linearize.Op{drawn(1, 2, 1, 0, 1), drawn(3, 4, 2, 0, 2), belowGranted(5, 6, 1, 2)}},
		"a larger total serves again":              {one, []linearize.Op{drawn(1, 2, 1, 0, 1), refused(3, 4, 2, 0, wire.SoldOut), resized(5, 6, 2), drawn(7, 8, 2, 0, 2)}},
	} {
		t.Run(name, func(t *testing.T) { judge(t, h.prize, h.ops, porcupine.Ok) })
	}
}
