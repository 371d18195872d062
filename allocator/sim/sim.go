package sim

import (
	"fmt"
	"time"
	_ "time/tzdata" // zones are the same on every machine

	"tombola/allocator"
)

const (
	maxSlices = 4
	servers   = 3
	maxPrizes = 2
	users     = 8 // of the crowd; the end of a run has others
	requests  = 4 // ids that a user makes up
)

// Options say what a run is.
type Options struct {
	Seed    uint64
	Steps   int
	Drop    []bool // steps to leave out, by number
	Without Fault  // faults to leave out
	// Story, if set, is told what happens.
	Story func(line string)
}

// Failure says how a run broke a promise.
type Failure struct {
	Seed uint64
	Step int    // the number of steps for what the end of the run found
	Rule string // the promise, in few words
	Text string
}

func (f *Failure) Error() string {
	return fmt.Sprintf("sim: seed %d, step %d: %s: %s", f.Seed, f.Step, f.Rule, f.Text)
}

// Sim makes runs, one after the other. It keeps the memory of one for the next.
type Sim struct {
	opt   Options
	step  int
	rng   rng
	now   allocator.Micros // true time
	skew  [servers]allocator.Micros
	zones map[string]*time.Location

	kit   [maxSlices + 1][]*replicas // by number of slices
	n     int
	bank  bankGroup
	sites []*site

	net    []parcel
	draws  []draw
	swarm  swarm
	oracle oracle
	tally  *Tally
	seen   [marks]bool
	bytes  scratch
	tripAt Mark // for tests: a mark that breaks the run, 0 for none
}

// New returns a Sim that counts into tally.
func New(tally *Tally) *Sim {
	s := &Sim{zones: make(map[string]*time.Location), tally: tally}
	for _, name := range zoneNames() {
		loc, err := time.LoadLocation(name)
		if err != nil {
			panic(err) // the zones are part of this program
		}
		s.zones[name] = loc
	}
	return s
}

// Run makes the run that opt describes. It returns nil if every promise held.
func (s *Sim) Run(opt Options) (failure *Failure) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Failure:
			failure = r
		default:
			failure = &Failure{Rule: "no panic", Text: fmt.Sprint(r)}
		}
		if failure != nil {
			failure.Seed, failure.Step = opt.Seed, s.step
		}
	}()
	s.begin(opt)
	for s.step = 0; s.step < opt.Steps; s.step++ {
		if s.step < len(opt.Drop) && opt.Drop[s.step] {
			continue
		}
		s.rng.begin(opt.Seed, s.step)
		s.act()
		if s.step%32 == 31 {
			s.checkAll()
		}
	}
	s.rng.begin(opt.Seed, s.step)
	s.finish()
	s.tally.Runs++
	s.tally.Steps += uint64(opt.Steps)
	return nil
}

// fail ends the run.
func (s *Sim) fail(rule, format string, args ...any) {
	panic(&Failure{Rule: rule, Text: fmt.Sprintf(format, args...)})
}

// says reports whether somebody listens: stories are put together only then.
func (s *Sim) says() bool { return s.opt.Story != nil }

func (s *Sim) say(format string, args ...any) {
	if s.says() {
		s.opt.Story(fmt.Sprintf("%4d  ", s.step) + fmt.Sprintf(format, args...))
	}
}

// hit counts a fault or a rare state.
func (s *Sim) hit(m Mark) {
	s.tally.Times[m]++
	if m == s.tripAt && m != 0 {
		s.fail("never "+m.String(), "for a test")
	}
	if !s.seen[m] {
		s.seen[m] = true
		s.tally.Seeds[m]++
	}
}

// replicas are the machines of one slice, used again by later runs.
type replicas struct{ front, back *allocator.Slice }

// begin builds the world of a seed.
func (s *Sim) begin(opt Options) {
	s.opt, s.step, s.seen = opt, -1, [marks]bool{}
	r := &s.rng
	r.begin(opt.Seed, -1)
	s.n = 2 + r.n(3)
	s.now = startOf(r)
	for i := range s.skew {
		s.skew[i] = allocator.Micros(r.n(1_000_000) - 500_000)
	}
	s.swarm.choose(r)
	s.swarm.without = opt.Without
	s.net, s.draws = s.net[:0], s.draws[:0]
	s.oracle.reset(s)
	s.bank.reset(s)
	for len(s.kit[s.n]) < s.n {
		cfg := allocator.SliceConfig{Slice: allocator.SliceNo(len(s.kit[s.n]) + 1), Slices: s.n, Key: key()}
		s.kit[s.n] = append(s.kit[s.n], &replicas{allocator.NewSlice(cfg), allocator.NewSlice(cfg)})
	}
	for len(s.sites) < s.n {
		s.sites = append(s.sites, &site{})
	}
	for i := range s.n {
		s.sites[i].reset(s, allocator.SliceNo(i+1), s.kit[s.n][i])
	}
	for i := range 1 + r.n(2)*r.n(2) {
		s.create(i)
	}
}

func key() allocator.HashKey { return allocator.HashKey{K0: 1, K1: 2} }

// site returns the slice with number no.
func (s *Sim) site(no allocator.SliceNo) *site { return s.sites[no-1] }

// clock returns what a server's clock shows.
func (s *Sim) clock(server int) allocator.Micros { return s.now + s.skew[server] }
