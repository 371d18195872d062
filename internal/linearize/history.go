package linearize

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"tombola/httpapi/wire"
)

// End is the return of an operation that was never answered.
const End = math.MaxInt64

// Op is an operation as a client saw it. Its times are of one monotonic clock.
type Op struct {
	Client       int
	Call, Return int64
	Input        Input
	Output       Output
	// TokenUnknown: a void is known to have been made, and its token will be
	// back at some later time (504 unconfirmed).
	TokenUnknown bool
}

// History is what happened to one prize.
type History struct {
	Prize Prize
	Ops   []Op
}

// operations returns the history as porcupine takes it: a void with restock is
// cut into its instants.
func (h *History) operations() []porcupine.Operation {
	var all []porcupine.Operation
	for _, op := range h.Ops {
		if op.Output.Unknown {
			op.Return = End
		}
		add := func(kind Kind, ret int64, out Output) {
			in := op.Input
			in.Kind = kind
			all = append(all, porcupine.Operation{ClientId: op.Client, Input: in, Output: out, Call: op.Call, Return: ret})
		}
		add(op.Input.Kind, op.Return, op.Output)
		if op.Input.Kind != Void || !op.Input.Restock || op.Output.Code != wire.NoProblem {
			continue
		}
		ret, out := op.Return, Output{Unknown: op.Output.Unknown || op.TokenUnknown}
		if out.Unknown {
			ret = End
		}
		add(RestockStock, ret, out)
		if h.Prize.Daily > 0 {
			add(RestockDay, ret, out)
		}
	}
	return all
}

// Check judges the history. Unknown means that the time did not suffice. Where
// it is illegal and picture is not empty, porcupine's visualisation is written
// there.
func (h *History) Check(timeout time.Duration, picture string) (porcupine.CheckResult, error) {
	m := h.Prize.Model()
	result, info := porcupine.CheckOperationsVerbose(m, h.operations(), timeout)
	if result != porcupine.Illegal || picture == "" {
		return result, nil
	}
	if err := porcupine.VisualizePath(m, info, picture); err != nil {
		return result, fmt.Errorf("linearize: picture of a history: %w", err)
	}
	return result, nil
}

// Lines lists the history by the times of the calls, for people.
func (h *History) Lines() string {
	ops := slices.Clone(h.Ops)
	slices.SortFunc(ops, func(a, b Op) int { return cmp.Compare(a.Call, b.Call) })
	var b strings.Builder
	fmt.Fprintf(&b, "total %d, daily limit %d, user limit %d (0: none)\n", h.Prize.Total, h.Prize.Daily, h.Prize.PerUser)
	for _, op := range ops {
		until := "never"
		if !op.Output.Unknown {
			until = time.Duration(op.Return).Round(time.Microsecond).String()
		}
		note := ""
		if op.TokenUnknown {
			note = ", its token comes later"
		}
		fmt.Fprintf(&b, "%14s to %14s  client %2d  %s%s\n",
			time.Duration(op.Call).Round(time.Microsecond), until, op.Client, Describe(op.Input, op.Output), note)
	}
	return b.String()
}

// PictureFile returns the name of a new file for a visualisation.
func PictureFile() (string, error) {
	f, err := os.CreateTemp("", "tombola-history-*.html")
	if err != nil {
		return "", fmt.Errorf("linearize: %w", err)
	}
	return f.Name(), f.Close()
}

// Describe writes an operation and its answer.
func Describe(i Input, o Output) string {
	var what string
	switch i.Kind {
	case Draw:
		what = fmt.Sprintf("draw by u%d as r%d", i.User, i.Request)
	case Void:
		what = fmt.Sprintf("void g%d restock %t", i.Grant, i.Restock)
	case RestockStock:
		what = fmt.Sprintf("token of g%d is back", i.Grant)
	case RestockDay:
		what = fmt.Sprintf("day token of g%d is back", i.Grant)
	default:
		what = fmt.Sprintf("resize to %d", i.Total)
	}
	switch {
	case o.Unknown:
		return what + ": unknown"
	case o.Code != wire.NoProblem:
		return fmt.Sprintf("%s: %s (granted %d)", what, o.Code, o.Granted)
	case i.Kind == Resize:
		return fmt.Sprintf("%s: total is %d", what, o.Total)
	case i.Kind != Draw:
		return what + ": done"
	case o.Outcome != wire.Granted:
		return what + ": " + o.Outcome.String()
	default:
		return fmt.Sprintf("%s: granted g%d repeat %t voided %t", what, o.Grant, o.Repeat, o.Voided)
	}
}

// Class names what an operation came to, for counting.
func Class(op *Op) string {
	o, what := &op.Output, [...]string{Draw: "draw", Void: "void", Resize: "resize"}[op.Input.Kind]
	switch {
	case o.Unknown:
		return what + " unknown"
	case o.Code != wire.NoProblem:
		return what + " " + o.Code.String()
	case op.TokenUnknown:
		return what + " unconfirmed"
	case op.Input.Kind != Draw:
		return what + " done"
	case o.Repeat:
		return what + " repeat"
	default:
		return what + " " + o.Outcome.String()
	}
}
