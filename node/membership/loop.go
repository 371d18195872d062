package membership

import (
	"context"
	"log/slog"
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
	l := &loop{m: m, joiner: newJoiner(m), said: m.self(), foreign: make(map[string]ID)}
	defer l.joiner.running.Wait()
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	l.joiner.join(l.looks)
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
			l.joiner.hurry()
		case <-tick.C:
			l.looks++
			l.joiner.join(l.looks)
		}
	}
}

// loop is what run remembers from one look to the next.
type loop struct {
	m          *Membership
	joiner     *joiner
	said       announced // what others were told last
	looks      int       // counts ticks
	reported   string    // the reason to wait that was logged last
	reportedAt int       // and when, in looks
	foreign    map[string]ID
}

// bootstrap creates the cluster if that can be done now.
func (l *loop) bootstrap() {
	m := l.m
	self := m.self()
	if self.Expect == 1 && !l.joiner.metSomeone() {
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

// report logs why there is no cluster yet, when the reason is new and now and
// then.
func (l *loop) report(d decision) {
	if d.report == l.reported && l.looks-l.reportedAt < repeatReport {
		return
	}
	l.reported, l.reportedAt = d.report, l.looks
	l.m.options.Logger.Log(context.Background(), d.level, "no cluster yet", "why", d.report)
}

// warnOfOthers logs, once each, servers of other clusters.
func (l *loop) warnOfOthers() {
	self := l.m.self()
	if !self.Settled {
		return
	}
	for _, s := range l.m.view.sightings() {
		if !s.alive || !s.Settled || s.Cluster == self.Cluster || l.foreign[s.Server] == s.Cluster {
			continue
		}
		l.foreign[s.Server] = s.Cluster
		l.m.options.Logger.Error("a server of another cluster gossips with this one: its --join or its data directory is wrong",
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
		l.m.options.Logger.Debug("announcement is slow to be sent", "error", err) // it stays queued
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
	m.options.Logger.Info("cluster created", "cluster", c.ID, "slices", c.Slices, "servers", c.FounderIDs())
	return nil
}
