package sim

// Minimise makes a failing run short: it leaves out kinds of faults, and steps in
// ever smaller pieces, as long as the same promise is still broken. It returns
// what is left and how that fails.
func (s *Sim) Minimise(opt Options, failure *Failure) (Options, *Failure) {
	opt.Story = nil
	if failure.Step < opt.Steps {
		opt.Steps = failure.Step + 1
	}
	opt.Drop = make([]bool, opt.Steps)
	try := func(next Options) bool {
		f := s.Run(next)
		if f == nil || f.Rule != failure.Rule {
			return false
		}
		opt, failure = next, f
		return true
	}
	for i := range faults {
		next := opt
		next.Without |= 1 << i
		try(next)
	}
	for size := (opt.Steps + 1) / 2; size > 0; size /= 2 {
		for again := true; again; {
			again = false
			for from := 0; from < opt.Steps; from += size {
				if next, changed := without(opt, from, from+size); changed {
					again = try(next) || again
				}
			}
			again = again && size == 1
		}
	}
	return opt, failure
}

// without returns opt with steps left out, and whether that changes anything.
func without(opt Options, from, to int) (Options, bool) {
	drop, changed := append([]bool(nil), opt.Drop...), false
	for i := from; i < min(to, len(drop)); i++ {
		changed = changed || !drop[i]
		drop[i] = true
	}
	opt.Drop = drop
	return opt, changed
}

// Left returns how many steps of a run are not left out.
func (o *Options) Left() int {
	left := o.Steps
	for _, dropped := range o.Drop {
		if dropped {
			left--
		}
	}
	return left
}
