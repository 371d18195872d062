package sim

// group is what bank and slices have in common as Raft groups. The machine in
// front has applied all that is committed; another replica applies the same log
// late, and is the next leader's.
type group struct {
	data    []byte // committed entries, one behind the other
	ends    []int
	applied int // entries that the replica behind has applied
	term    int
	server  int // where the leader runs
	noMajor int // the step at which the group has a majority again
	flying  bool
}

func (g *group) resetGroup(server int) {
	*g = group{data: g.data[:0], ends: g.ends[:0], server: server, noMajor: -1}
}

// commit appends an entry to the log.
func (g *group) commitEntry(entry []byte) {
	g.data = append(g.data, entry...)
	g.ends = append(g.ends, len(g.data))
	g.flying = false
}

// entry returns committed entry i.
func (g *group) entry(i int) []byte {
	from := 0
	if i > 0 {
		from = g.ends[i-1]
	}
	return g.data[from:g.ends[i]:g.ends[i]]
}

// fate is what becomes of an entry that its leader could not finish.
type fate int

const (
	fateLost      fate = iota // no later leader has it
	fateUnknown               // committed, and its proposer was gone by then
	fateSuccessor             // the next leader had it and commits it in its term
)

// draw is a client's request on its way to an answer.
type draw struct {
	prize   int
	user    int
	request int // 0 for none
	state   state
	slice   int // that answered, or may have decided
}

type state uint8

const (
	waiting  state = iota // in a queue, parked or in an entry
	answered              // for good
	unknown               // its client was told that nobody knows
	gaveUp                // its client was told that it was certainly not done
)

// scratch is memory that steps share.
type scratch struct {
	image imageBuffer
	other imageBuffer
}

// imageBuffer is a bytes.Buffer of the few methods that images need.
type imageBuffer struct {
	b   []byte
	off int
}

func (w *imageBuffer) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

func (w *imageBuffer) reset() { w.b, w.off = w.b[:0], 0 }
