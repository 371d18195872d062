package linearize

import (
	"fmt"

	"github.com/anishathalye/porcupine"

	"tombola/httpapi/wire"
)

// Kind is what an operation does.
type Kind int

// A void is an operation Void and, with restock, a Restock of the stock token
// and, where there is a daily limit, one of the day's token: with the same
// call, and the same return unless that of the token is unknown.
const (
	Draw Kind = iota
	Void
	RestockStock
	RestockDay
	Resize
)

// Input is what a client asked for. Users, request ids and grants are small
// numbers that a Names gave out; 0 is none.
type Input struct {
	Kind    Kind
	User    int
	Request int
	Grant   int // to void
	Restock bool
	Total   int // to resize to
}

// Output is what it was told.
type Output struct {
	// Unknown: it may take effect at any time from the call on, or never.
	Unknown bool
	Outcome wire.Outcome // of a draw
	Grant   int          // of a draw that was granted
	Repeat  bool
	Voided  bool
	Code    wire.Code // of a void or a resize that was refused
	Total   int       // that holds, of a resize
	Granted int       // of a refused resize
}

// The room in a state. Histories are short.
const (
	MaxUsers    = 32
	MaxRequests = 96
	MaxGrants   = 96
)

// anonymous stands for a grant whose id nobody has been told.
const anonymous = -1

// The life of a grant.
const (
	live uint8 = 1 << iota
	voided
	stockOnItsWay
	dayOnItsWay
)

// state is a prize. It is comparable, and copied by each step.
type state struct {
	total, used, usedToday int // used: granted and not restocked, or on its way back
	stockWay, dayWay       int // tokens on their way back
	counts                 [MaxUsers]int8
	requests               [MaxRequests]int8
	grants                 [MaxGrants]uint8
	owners                 [MaxGrants]int8
}

// Prize is how a history's prize begins. A limit of 0 is none.
type Prize struct{ Total, Daily, PerUser int }

// Model returns the object.
func (p Prize) Model() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{state{total: p.Total}} },
		Step: func(s, in, out any) []any {
			st, i, o := s.(state), in.(Input), out.(Output)
			var next []any
			if o.Unknown {
				next = append(next, s)
			}
			if after, ok := p.step(st, &i, &o); ok {
				next = append(next, after)
			}
			return next
		},
		Equal:             func(a, b any) bool { return a.(state) == b.(state) },
		DescribeOperation: func(in, out any) string { return Describe(in.(Input), out.(Output)) },
		DescribeState: func(s any) string {
			st := s.(state)
			return fmt.Sprintf("%d of %d used (%d on their way back), %d today (%d)", st.used, st.total, st.stockWay, st.usedToday, st.dayWay)
		},
	}
	return m.ToModel()
}

// step returns the state after an operation took effect with this answer, and
// whether it can. An unknown operation takes effect as it would with the answer
// that changes something.
func (p Prize) step(s state, i *Input, o *Output) (state, bool) {
	switch i.Kind {
	case Draw:
		return p.draw(s, i, o)
	case Void:
		return p.void(s, i, o)
	case RestockStock:
		if s.grants[i.Grant]&stockOnItsWay == 0 {
			return s, false
		}
		s.grants[i.Grant] &^= stockOnItsWay
		s.stockWay--
		s.used--
		return s, true
	case RestockDay:
		if s.grants[i.Grant]&dayOnItsWay == 0 {
			return s, false
		}
		s.grants[i.Grant] &^= dayOnItsWay
		s.dayWay--
		s.usedToday--
		return s, true
	default:
		return p.resize(s, i, o)
	}
}

func (p Prize) draw(s state, i *Input, o *Output) (state, bool) {
	known := i.Request != 0 && s.requests[i.Request] != 0
	limited := p.PerUser > 0 && int(s.counts[i.User]) >= p.PerUser
	soldOut := s.used >= s.total
	dayOver := p.Daily > 0 && s.usedToday >= p.Daily
	switch {
	case o.Unknown:
		return p.grant(s, i, 0), !known && !limited && !soldOut && !dayOver
	case o.Outcome == wire.Granted && o.Repeat:
		return repeat(s, i, o)
	case o.Outcome == wire.Granted:
		fresh := s.grants[o.Grant] == 0
		return p.grant(s, i, o.Grant), fresh && !o.Voided && !known && !limited && !soldOut && !dayOver
	case known:
		return s, false
	case o.Outcome == wire.UserLimit:
		return s, limited
	case o.Outcome == wire.SoldOut:
		return s, !limited && soldOut
	case o.Outcome == wire.DailyLimit:
		return s, !limited && dayOver
	default:
		return s, false // nothing else can be said of these prizes
	}
}

// grant gives a token to the draw i, as grant g or as one without a known id.
func (p Prize) grant(s state, i *Input, g int) state {
	s.used++
	s.usedToday++
	s.counts[i.User]++
	if i.Request != 0 {
		s.requests[i.Request] = anonymous
	}
	if g != 0 {
		s.grants[g], s.owners[g] = live, int8(i.User)
		if i.Request != 0 {
			s.requests[i.Request] = int8(g)
		}
	}
	return s
}

// repeat answers with the grant of the request id. Where that was not known
// until now, it is.
func repeat(s state, i *Input, o *Output) (state, bool) {
	if i.Request == 0 {
		return s, false
	}
	switch s.requests[i.Request] {
	case anonymous:
		if o.Voided || s.grants[o.Grant] != 0 {
			return s, false
		}
		s.requests[i.Request] = int8(o.Grant)
		s.grants[o.Grant], s.owners[o.Grant] = live, int8(i.User)
		return s, true
	case int8(o.Grant):
		return s, o.Voided == (s.grants[o.Grant]&voided != 0)
	default:
		return s, false
	}
}

func (p Prize) void(s state, i *Input, o *Output) (state, bool) {
	g := s.grants[i.Grant]
	if o.Code == wire.CodeConflict {
		return s, g&voided != 0
	}
	if o.Code != wire.NoProblem || g&live == 0 {
		return s, false
	}
	s.grants[i.Grant] = voided
	if i.Restock {
		s.counts[s.owners[i.Grant]]--
		s.grants[i.Grant] |= stockOnItsWay
		s.stockWay++
		if p.Daily > 0 {
			s.grants[i.Grant] |= dayOnItsWay
			s.dayWay++
		}
	}
	return s, true
}

func (p Prize) resize(s state, i *Input, o *Output) (state, bool) {
	if o.Code == wire.CodeBelowGranted {
		return s, i.Total < o.Granted && s.used-s.stockWay <= o.Granted && o.Granted <= s.used
	}
	if o.Code != wire.NoProblem {
		return s, false
	}
	if !o.Unknown && o.Total != i.Total {
		return s, o.Total == s.total // superseded: what holds is another's
	}
	s.total = i.Total
	return s, s.used <= s.total
}
