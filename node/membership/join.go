package membership

import (
	"slices"
	"sync"
)

// joiner keeps contacting other servers until all are seen. It counts time in
// the loop's looks.
type joiner struct {
	m       *Membership
	running sync.WaitGroup // contacts under way

	mu      sync.Mutex
	joined  map[string]bool // join addresses that answered once
	joining bool
	wait    int // looks between two joins
	next    int // the look at which to join next
	// moving is the look until which this server tells all others its new
	// address: as long as they may take to find out that the old one is dead.
	moving int
}

func newJoiner(m *Membership) *joiner {
	return &joiner{m: m, joined: make(map[string]bool), wait: 1}
}

// hurry ends the backing off: something has changed.
func (j *joiner) hurry() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.wait = 1
}

// join contacts the addresses that have not answered yet and, while servers
// are missing, all of them again: gossip forgets the dead after a while and
// never looks for them by itself.
func (j *joiner) join(now int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.joining {
		return
	}
	if j.m.view.takeMisplaced() {
		j.moving = now + moveLooks
	}
	misplaced := now < j.moving
	if now < j.next && !misplaced {
		return
	}
	targets := j.targets(misplaced)
	if len(targets) == 0 {
		return
	}
	j.next = now + j.wait
	j.wait = min(2*j.wait, joinIntervalMax)
	if !j.m.settled() {
		j.wait = 1
	}
	j.joining = true
	j.running.Add(1)
	go func() {
		defer j.running.Done()
		j.contact(targets)
		j.mu.Lock()
		j.joining = false
		j.mu.Unlock()
	}()
}

func (j *joiner) contact(targets []string) {
	var all sync.WaitGroup
	for _, target := range targets {
		all.Go(func() {
			if n, err := j.m.list.Join([]string{target}); err != nil || n == 0 {
				j.m.options.Logger.Debug("join failed", "address", target, "error", err)
				return
			}
			j.mu.Lock()
			first := !j.joined[target]
			j.joined[target] = true
			j.mu.Unlock()
			if first {
				j.m.view.poke() // a lone server waits for the first contact
			}
		})
	}
	all.Wait()
}

// targets returns the addresses to contact now. Those who hold this server to
// be elsewhere must hear from it until they believe that it moved. The caller
// holds mu.
func (j *joiner) targets(misplaced bool) []string {
	var targets, missing []string
	for _, addr := range j.m.options.Join {
		if !j.joined[addr] {
			targets = append(targets, addr)
		}
	}
	for _, k := range j.m.Members() {
		if (misplaced || !k.Alive) && !k.Self && k.GossipAddr != "" {
			missing = append(missing, k.GossipAddr)
		}
	}
	if len(missing) > 0 || !j.m.settled() {
		targets = append(append(targets, j.m.options.Join...), missing...)
	}
	slices.Sort(targets)
	return slices.Compact(targets)
}

// metSomeone reports whether a join address has answered, or there is none. A
// single server that was told to join others must not create a cluster of its
// own before it has asked them.
func (j *joiner) metSomeone() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.m.options.Join) == 0 || len(j.joined) > 0
}
