package membership

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Pace of the loop.
const (
	lookInterval    = time.Second // how often it looks without being told of a change
	joinIntervalMax = 16          // in looks; joins back off to this while nothing changes
	moveLooks       = 15          // how long a moved server keeps telling the others
	repeatReport    = 30          // in looks; how often an unchanged reason to wait is logged
	updateTimeout   = time.Second // for a changed announcement to be sent
)

// poke wakes whoever waits for a change.
func (v *view) poke() {
	v.mu.Lock()
	defer v.mu.Unlock()
	close(v.changed)
	v.changed = make(chan struct{})
}

// run joins other servers, keeps joining while some are missing, and creates
// the cluster, until ctx ends.
func (m *Membership) run(ctx context.Context) {
	l := &loop{m: m, said: m.self(), joined: make(map[string]bool), wait: 1}
	defer l.joins.Wait()
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	l.join()
	for {
		changed := m.view.change()
		if !m.settled() {
			l.bootstrap()
		}
		l.warnOfOthers()
		l.announce()
		select {
		case <-ctx.Done():
			return
		case <-changed:
			l.wait = 1
		case <-tick.C:
			l.looks++
			l.join()
		}
	}
}

// loop is what run remembers from one look to the next.
type loop struct {
	m     *Membership
	said  announced // what others were told last
	looks int       // counts ticks

	reported   string // the reason to wait that was logged last
	reportedAt int    // and when, in looks
	foreign    map[string]ID

	wait int // looks between two joins
	next int // the look at which to join next
	// moving is the look until which this server tells all others its new
	// address: as long as they may take to find out that the old one is dead.
	moving int
	joins  sync.WaitGroup

	mu      sync.Mutex
	joined  map[string]bool // join addresses that answered once
	joining bool
}

// join contacts the addresses that have not answered yet and, while servers
// are missing, all of them again: gossip forgets the dead after a while and
// never looks for them by itself.
func (l *loop) join() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.joining {
		return
	}
	if l.m.view.takeMisplaced() {
		l.moving = l.looks + moveLooks
	}
	misplaced := l.looks < l.moving
	if l.looks < l.next && !misplaced {
		return
	}
	targets := l.targets(misplaced)
	if len(targets) == 0 {
		return
	}
	l.next = l.looks + l.wait
	l.wait = min(2*l.wait, joinIntervalMax)
	if !l.m.settled() {
		l.wait = 1
	}
	l.joining = true
	l.joins.Add(1)
	go func() {
		defer l.joins.Done()
		l.contact(targets)
		l.mu.Lock()
		l.joining = false
		l.mu.Unlock()
	}()
}

func (l *loop) contact(targets []string) {
	var all sync.WaitGroup
	for _, target := range targets {
		all.Go(func() {
			if n, err := l.m.list.Join([]string{target}); err != nil || n == 0 {
				l.m.log.Debug("join failed", "address", target, "error", err)
				return
			}
			l.mu.Lock()
			first := !l.joined[target]
			l.joined[target] = true
			l.mu.Unlock()
			if first {
				l.m.view.poke() // a lone server waits for the first contact
			}
		})
	}
	all.Wait()
}

// targets returns the addresses to contact now. Those who hold this server to
// be elsewhere must hear from it until they believe that it moved. The caller
// holds mu.
func (l *loop) targets(misplaced bool) []string {
	var targets, missing []string
	for _, addr := range l.m.options.Join {
		if !l.joined[addr] {
			targets = append(targets, addr)
		}
	}
	for _, k := range l.m.Members() {
		if (misplaced || !k.Alive) && !k.Self && k.GossipAddr != "" {
			missing = append(missing, k.GossipAddr)
		}
	}
	if len(missing) > 0 || !l.m.settled() {
		targets = append(append(targets, l.m.options.Join...), missing...)
	}
	slices.Sort(targets)
	return slices.Compact(targets)
}

// bootstrap creates the cluster if that can be done now.
func (l *loop) bootstrap() {
	m := l.m
	self := m.self()
	if self.Expect == 1 && !l.metSomeone() {
		l.report(decision{report: "waiting for a server to join to answer"})
		return
	}
	d := decide(self, m.view.sightings())
	if d.commit != nil {
		if err := m.commit(*d.commit); err != nil {
			l.report(decision{level: slog.LevelError, report: err.Error()})
		}
		return
	}
	m.mu.Lock()
	m.announced.Cluster = d.propose
	m.mu.Unlock()
	l.report(d)
}

// metSomeone reports whether a join address has answered, or there is none. A
// single server that was told to join others must not create a cluster of its
// own before it has asked them.
func (l *loop) metSomeone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.m.options.Join) == 0 || len(l.joined) > 0
}

// report logs why there is no cluster yet, when the reason is new and now and
// then.
func (l *loop) report(d decision) {
	if d.report == l.reported && l.looks-l.reportedAt < repeatReport {
		return
	}
	l.reported, l.reportedAt = d.report, l.looks
	l.m.log.Log(context.Background(), d.level, d.report)
}

// warnOfOthers logs, once each, servers of other clusters and servers that
// want to be of this one but are not.
func (l *loop) warnOfOthers() {
	self := l.m.self()
	if !self.Settled {
		return
	}
	if l.foreign == nil {
		l.foreign = make(map[string]ID)
	}
	for _, s := range l.m.view.sightings() {
		if !s.alive || !s.Settled || s.Cluster == self.Cluster || l.foreign[s.Server] == s.Cluster {
			continue
		}
		l.foreign[s.Server] = s.Cluster
		l.m.log.Error("a server of another cluster gossips with this one: its --join or its data directory is wrong",
			"server", s.Server, "its_cluster", s.Cluster, "cluster", self.Cluster)
	}
}

// announce tells the others what changed about this server.
func (l *loop) announce() {
	self := l.m.self()
	if self == l.said {
		return
	}
	l.m.voice.set(self)
	if err := l.m.list.UpdateNode(updateTimeout); err != nil {
		l.m.log.Debug("announcement is slow to be sent", "error", err) // it stays queued
	}
	l.said = self
}

// commit writes the cluster down and takes it.
func (m *Membership) commit(c Cluster) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := saveCluster(m.options.DataDir, c); err != nil {
		return err
	}
	m.settle(c)
	m.log.Info("cluster created", "cluster", c.ID, "slices", c.Slices, "servers", c.FounderIDs())
	return nil
}
