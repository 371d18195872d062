package membership

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// maxFounders bounds the search for the founders of an existing cluster.
const maxFounders = 16

// decision is what a server without a cluster does next.
type decision struct {
	propose ID       // the id to announce, or zero
	commit  *Cluster // the cluster to write down, or nil
	// report says why there is no cluster yet, for the log; level is Error
	// where only an operator can help.
	report string
	level  slog.Level
}

// sighting is another server as gossip knows it.
type sighting struct {
	announced
	alive bool
}

// decide is the rule by which a cluster comes to be. self has no cluster yet;
// seen are all other servers that gossip has told of. It depends on its
// arguments alone.
func decide(self announced, seen []sighting) decision {
	var settled, candidates []announced
	for _, s := range seen {
		switch {
		case s.Settled && s.Server != self.Server:
			settled = append(settled, s.announced)
		case s.alive && !s.Leaving && s.Expect > 0:
			candidates = append(candidates, s.announced)
		}
	}
	if len(settled) > 0 {
		return decideExisting(self, settled, seen)
	}
	if self.Expect == 0 {
		return decision{level: slog.LevelInfo, report: "waiting to be added to a cluster"}
	}
	return decideNew(self, candidates)
}

// decideNew is for servers of which none has a cluster.
func decideNew(self announced, others []announced) decision {
	for _, o := range others {
		if d := differing(self, o); d != "" {
			return decision{level: slog.LevelError, report: d}
		}
	}
	all := append([]announced{self}, others...)
	if len(all) > self.Expect {
		return decision{level: slog.LevelError, report: fmt.Sprintf(
			"%d servers want to create a cluster of %d: %s; stop the ones that do not belong to it", len(all), self.Expect, names(all))}
	}
	if len(all) < self.Expect {
		return decision{level: slog.LevelInfo, report: fmt.Sprintf(
			"waiting for servers: %d of %d seen: %s", len(all), self.Expect, names(all))}
	}
	c := found(all, self.Slices, self.Format)
	d := decision{propose: c.ID, level: slog.LevelInfo, report: "waiting for all servers to agree: " + names(all)}
	for _, o := range others {
		if o.Cluster != c.ID {
			return d
		}
	}
	d.commit = &c
	return d
}

// decideExisting is for when a cluster exists already. self belongs to it only
// if it was among those who created it, which the cluster's id proves.
func decideExisting(self announced, settled []announced, seen []sighting) decision {
	id := settled[0].Cluster
	for _, s := range settled {
		if s.Cluster != id {
			return decision{level: slog.LevelError, report: fmt.Sprintf(
				"%s belongs to cluster %s and %s to cluster %s: servers of different clusters gossip with each other",
				settled[0].Server, id, s.Server, s.Cluster)}
		}
	}
	outside := decision{level: slog.LevelError, report: fmt.Sprintf(
		"cluster %s exists already and was created without this server (%s): it stays out until it is added to the cluster",
		id, self.Server)}
	if self.Expect == 0 {
		return outside
	}
	if d := differing(self, settled[0]); d != "" {
		outside.report += "; " + d
		return outside
	}
	var others []announced
	for _, s := range seen {
		if s.Server != self.Server && (!s.Settled || s.Cluster == id) {
			others = append(others, s.announced)
		}
	}
	if len(others) >= maxFounders {
		return outside
	}
	if len(others)+1 < self.Expect {
		return decision{level: slog.LevelInfo, report: fmt.Sprintf(
			"cluster %s exists: waiting to see %d servers to learn whether this one is part of it, %d seen", id, self.Expect, len(others)+1)}
	}
	if c, ok := findFounders(id, self, []announced{self}, others); ok {
		return decision{propose: id, commit: &c}
	}
	return outside
}

// findFounders looks for the servers among others that, with those chosen,
// create the cluster called id.
func findFounders(id ID, self announced, chosen, others []announced) (Cluster, bool) {
	if len(chosen) == self.Expect {
		c := found(chosen, self.Slices, self.Format)
		return c, c.ID == id
	}
	for i := range others {
		if c, ok := findFounders(id, self, append(slices.Clip(chosen), others[i]), others[i+1:]); ok {
			return c, true
		}
	}
	return Cluster{}, false
}

// differing names the first setting in which two servers differ, with both
// values, or is empty.
func differing(a, b announced) string {
	for _, s := range []struct {
		name        string
		mine, their int
	}{
		{"format version", a.Format, b.Format},
		{"number of expected servers", a.Expect, b.Expect},
		{"number of slices", a.Slices, b.Slices},
	} {
		if s.mine != s.their {
			return fmt.Sprintf("%s and %s have different settings: the %s is %d on %s and %d on %s",
				a.Server, b.Server, s.name, s.mine, a.Server, s.their, b.Server)
		}
	}
	return ""
}

func names(servers []announced) string {
	ids := make([]string, len(servers))
	for i, s := range servers {
		ids[i] = s.Server
	}
	slices.Sort(ids)
	return strings.Join(ids, ", ")
}
