// Command simulate runs seeds of the allocator's simulation on all cores. It ends
// with a table of what they met, or with the shortest story that it finds of the
// first seed that fails.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"tombola/allocator/sim"
)

func main() {
	if err := run(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(out io.Writer, args []string) error {
	flags := flag.NewFlagSet("simulate", flag.ContinueOnError)
	seeds := flags.Uint64("seeds", 1_000_000, "how many seeds to run")
	from := flags.Uint64("from", 1, "the first seed")
	steps := flags.Int("steps", 240, "steps of each run")
	workers := flags.Int("workers", runtime.GOMAXPROCS(0), "runs at the same time")
	every := flags.Duration("progress", 10*time.Second, "how often to say how far it is")
	table := flags.Bool("table", true, "print what was met")
	if err := flags.Parse(args); err != nil {
		return err
	}
	b := &batch{next: *from, end: *from + *seeds, steps: *steps, began: time.Now()}
	stop := b.progress(out, *every, *from)
	var all sync.WaitGroup
	for range *workers {
		all.Go(b.work)
	}
	all.Wait()
	stop()
	passed := time.Since(b.began)
	if b.failure != nil {
		fmt.Fprintf(out, "seed %d fails after %v and %d seeds\n", b.failure.Seed, passed.Round(time.Millisecond), b.tally.Runs)
		return story(out, sim.Options{Seed: b.failure.Seed, Steps: *steps}, b.failure)
	}
	fmt.Fprintf(out, "%d seeds in %v\n", b.tally.Runs, passed.Round(time.Millisecond))
	if *table {
		b.tally.Print(out)
		for _, m := range b.tally.Missing() {
			fmt.Fprintf(out, "never met: %v\n", m)
		}
	}
	return nil
}

// batch is the seeds that are left, shared by the workers.
type batch struct {
	steps int
	began time.Time
	done  atomic.Uint64

	mu      sync.Mutex
	next    uint64
	end     uint64
	tally   sim.Tally
	failure *sim.Failure
}

// take returns some seeds, none once all are taken or one has failed.
func (b *batch) take() (from, to uint64) {
	const some = 64
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failure != nil {
		return 0, 0
	}
	from, to = b.next, min(b.next+some, b.end)
	b.next = to
	return from, to
}

func (b *batch) work() {
	tally := &sim.Tally{}
	s := sim.New(tally)
	for from, to := b.take(); from < to; from, to = b.take() {
		for seed := from; seed < to; seed++ {
			if f := s.Run(sim.Options{Seed: seed, Steps: b.steps}); f != nil {
				b.mu.Lock()
				if b.failure == nil || f.Seed < b.failure.Seed {
					b.failure = f
				}
				b.mu.Unlock()
				break
			}
		}
		b.done.Add(to - from)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tally.Add(tally)
}

// progress says now and then how far the batch is, until what it returns is called.
func (b *batch) progress(out io.Writer, every time.Duration, from uint64) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-end:
				return
			case <-ticker.C:
			}
			done, passed := b.done.Load(), time.Since(b.began)
			left := time.Duration(float64(passed) / float64(max(1, done)) * float64(b.end-from-done))
			fmt.Fprintf(out, "%d of %d seeds, %.0f a second, about %v left\n",
				done, b.end-from, float64(done)/passed.Seconds(), left.Round(time.Second))
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}

// story makes a failing run short and tells it.
func story(out io.Writer, opt sim.Options, failure *sim.Failure) error {
	s := sim.New(&sim.Tally{})
	short, failure := s.Minimise(opt, failure)
	fmt.Fprintf(out, "as short as it gets: %d of %d steps\n\n", short.Left(), opt.Steps)
	short.Story = func(line string) { fmt.Fprintln(out, line) }
	if f := s.Run(short); f != nil {
		failure = f
	}
	return fmt.Errorf("%w\nreplay the whole of it: go test ./allocator/sim -run TestSim -v -seed %d", failure, opt.Seed)
}
