package membership

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestPlacementSpreadsLeaders(t *testing.T) {
	for _, c := range []struct {
		members []string
		slices  int
		want    [][]string
	}{
		{[]string{"c", "a", "b"}, 3, [][]string{{"c", "a", "b"}, {"a", "b", "c"}, {"b", "c", "a"}, {"c", "a", "b"}}},
		{[]string{"a"}, 2, [][]string{{"a"}, {"a"}, {"a"}}},
		{[]string{"b", "a"}, 2, [][]string{{"b", "a"}, {"a", "b"}, {"b", "a"}}},
		{[]string{"a", "b", "c", "d", "e"}, 1, [][]string{{"e", "a", "b"}, {"a", "b", "c"}}},
		{nil, 1, [][]string{nil, nil}},
	} {
		if got := Placement(c.members, c.slices); !reflect.DeepEqual(got, c.want) {
			t.Errorf("Placement(%v, %d) = %v, want %v", c.members, c.slices, got, c.want)
		}
	}
}

func TestPlacementIsBalanced(t *testing.T) {
	for n := 1; n <= 9; n++ {
		members := make([]string, n)
		for i := range members {
			members[i] = fmt.Sprintf("s%d", i)
		}
		for slicesCount := 1; slicesCount <= 40; slicesCount++ {
			leads, second := map[string]int{}, map[string]int{}
			for i, group := range Placement(members, slicesCount) {
				if len(group) != min(n, Replicas) {
					t.Fatalf("%d servers, %d slices: group %d has %d replicas", n, slicesCount, i, len(group))
				}
				distinct := map[string]bool{}
				for _, s := range group {
					distinct[s] = true
				}
				if len(distinct) != len(group) {
					t.Fatalf("group %d has a server twice: %v", i, group)
				}
				if i > 0 {
					leads[group[0]]++
					second[group[min(1, len(group)-1)]]++
				}
			}
			for _, s := range members {
				if want := slicesCount / n; leads[s] < want || leads[s] > want+1 {
					t.Errorf("%d servers, %d slices: %s leads %d", n, slicesCount, s, leads[s])
				}
			}
		}
	}
}

func candidate(node string, change func(*announced)) announced {
	a := announced{Server: node + ".00000001", ClusterAddr: node + ":1", Expect: 3, Slices: 3, Format: Format}
	copy(a.Seed[:], node)
	if change != nil {
		change(&a)
	}
	return a
}

func seen(as ...announced) []sighting {
	var all []sighting
	for _, a := range as {
		all = append(all, sighting{announced: a, alive: true})
	}
	return all
}

func TestClusterIsCreatedOnlyWhenAllProposeIt(t *testing.T) {
	a, b, c := candidate("a", nil), candidate("b", nil), candidate("c", nil)
	if d := decide(a, seen(b)); d.propose != (ID{}) || d.commit != nil || !strings.Contains(d.report, "2 of 3") {
		t.Fatalf("two of three: %+v", d)
	}
	d := decide(a, seen(b, c))
	if d.propose == (ID{}) || d.commit != nil {
		t.Fatalf("nobody else proposes yet: %+v", d)
	}
	if other := decide(c, seen(a, b)); other.propose != d.propose {
		t.Fatal("two servers propose different clusters")
	}
	b.Cluster = d.propose
	if d := decide(a, seen(b, c)); d.commit != nil {
		t.Fatal("created while one server does not propose it")
	}
	c.Cluster = d.propose
	if d := decide(a, seen(b, c)); d.commit == nil || d.commit.ID != d.propose {
		t.Fatalf("all propose: %+v", d)
	}
}

func TestClusterIsNotCreatedByTooMany(t *testing.T) {
	a := candidate("a", nil)
	d := decide(a, seen(candidate("b", nil), candidate("c", nil), candidate("d", nil)))
	if d.commit != nil || d.propose != (ID{}) || !strings.Contains(d.report, "a.00000001, b.00000001, c.00000001, d.00000001") {
		t.Fatalf("%+v", d)
	}
	leaving := candidate("d", func(a *announced) { a.Leaving = true })
	waiting := candidate("e", func(a *announced) { a.Expect = 0 })
	dead := sighting{announced: candidate("f", nil)}
	others := append(seen(candidate("b", nil), candidate("c", nil), leaving, waiting), dead)
	if d := decide(a, others); d.propose == (ID{}) {
		t.Fatalf("counts servers that are no candidates: %+v", d)
	}
}

func TestLateFounderJoinsTheClusterItProposed(t *testing.T) {
	a, b, c := candidate("a", nil), candidate("b", nil), candidate("c", nil)
	made := found([]announced{a, b, c}, 3, Format)
	a.Cluster, a.Settled = made.ID, true

	if d := decide(b, seen(a)); d.commit != nil || !strings.Contains(d.report, "2 seen") {
		t.Errorf("without c it can't know: %+v", d)
	}
	// c may be gone again, and a fourth server may have turned up.
	others := append(seen(a, candidate("d", nil)), sighting{announced: c})
	if d := decide(b, others); d.commit == nil || d.commit.ID != made.ID || d.commit.Key != made.Key {
		t.Errorf("a founder stays out: %+v", d)
	}
	if d := decide(candidate("d", nil), seen(a, b, c)); d.commit != nil || !strings.Contains(d.report, "stays out") {
		t.Errorf("a server that is no founder: %+v", d)
	}
	wiped := candidate("b", func(a *announced) { a.Server = "b.00000002" })
	if d := decide(wiped, seen(a, c)); d.commit != nil || !strings.Contains(d.report, "stays out") {
		t.Errorf("a wiped founder: %+v", d)
	}
	foreign := candidate("e", func(a *announced) { a.Cluster, a.Settled = ID{9}, true })
	if d := decide(b, seen(a, c, foreign)); d.commit != nil || !strings.Contains(d.report, "different clusters") {
		t.Errorf("two clusters: %+v", d)
	}
}

func TestClusterDependsOnSettingsAndServers(t *testing.T) {
	a, b := candidate("a", nil), candidate("b", nil)
	base := found([]announced{a, b}, 3, 1)
	if again := found([]announced{b, a}, 3, 1); again.ID != base.ID || again.Key != base.Key {
		t.Error("the order of servers matters")
	}
	otherSeed := b
	otherSeed.Seed[0]++
	if c := found([]announced{a, otherSeed}, 3, 1); c.ID != base.ID || c.Key == base.Key {
		t.Error("the seed must change the key and nothing else")
	}
	for _, c := range []Cluster{found([]announced{a}, 3, 1), found([]announced{a, b}, 4, 1), found([]announced{a, b}, 3, 2)} {
		if c.ID == base.ID {
			t.Error("different settings, same id")
		}
	}
}

func TestIdentityIsKeptAndGuarded(t *testing.T) {
	dir := t.TempDir()
	made, err := LoadIdentity(dir, "a")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := LoadIdentity(dir, "a"); err != nil || again != made {
		t.Fatalf("was %v, is %v, %v", made, again, err)
	}
	if NodeID(made.ServerID()) != "a" || len(made.ServerID()) != len("a.")+8 {
		t.Errorf("server id %q", made.ServerID())
	}
	if _, err := LoadIdentity(dir, "b"); !errors.Is(err, ErrOtherNode) {
		t.Errorf("another node id: %v", err)
	}
	if other, err := LoadIdentity(t.TempDir(), "a"); err != nil || other == made {
		t.Errorf("a new directory must make a new server: %v, %v", other, err)
	}
	if s := fmt.Sprintf("%v %+v %s", made, made, made.Seed); strings.Contains(s, fmt.Sprintf("%x", made.Seed[:])) {
		t.Errorf("the seed prints: %s", s)
	}
}

func TestIdentitySurvivesAnInterruptedWrite(t *testing.T) {
	dir := t.TempDir()
	// What a crash leaves behind before the rename: a draft, perhaps torn.
	if err := os.WriteFile(filepath.Join(dir, identityFile+".new"), []byte(`{"format":1,"no`), 0o600); err != nil {
		t.Fatal(err)
	}
	made, err := LoadIdentity(dir, "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, identityFile+".new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err := LoadIdentity(dir, "a"); err != nil || again != made {
		t.Errorf("was %v, is %v, %v", made, again, err)
	}
	info, err := os.Stat(filepath.Join(dir, identityFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestDamagedFilesAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"empty":     "",
		"torn":      `{"format":1,"node_id":"a","incar`,
		"newer":     `{"format":2,"node_id":"a","incarnation":"00000001","seed":"00000000000000000000000000000001"}`,
		"unknown":   `{"format":1,"node_id":"a","incarnation":"00000001","seed":"00000000000000000000000000000001","x":1}`,
		"short":     `{"format":1,"node_id":"a","incarnation":"0001","seed":"00000000000000000000000000000001"}`,
		"bad seed":  `{"format":1,"node_id":"a","incarnation":"00000001","seed":"01"}`,
		"two in it": `{"format":1,"node_id":"a","incarnation":"00000001","seed":"00000000000000000000000000000001"}{}`,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, identityFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadIdentity(dir, "a"); err == nil {
			t.Errorf("%s identity accepted", name)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, clusterFile), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadIdentity(dir, "a"); err == nil {
		t.Error("a new identity was made beside an old cluster")
	}
	if _, _, err := loadCluster(dir); err == nil {
		t.Error("an empty cluster was accepted")
	}
}

func TestClusterFileKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	c := found([]announced{candidate("a", nil), candidate("b", nil)}, 7, Format)
	if err := saveCluster(dir, c); err != nil {
		t.Fatal(err)
	}
	got, known, err := loadCluster(dir)
	if err != nil || !known || !reflect.DeepEqual(got, c) {
		t.Fatalf("wrote %+v, read %+v, %v, %v", c, got, known, err)
	}
	if s := fmt.Sprintf("%v %+v %#v", got, got, got); strings.Contains(s, fmt.Sprintf("%x", c.Key[:])) {
		t.Errorf("the key prints: %s", s)
	}
}

func TestGossipKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for text, ok := range map[string]bool{
		"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n": true,
		"BwcHBw==": false,
		"!":        false,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if key, err := ReadGossipKey(path); (err == nil) != ok {
			t.Errorf("%q: %d bytes, %v", text, len(key), err)
		}
	}
	if _, err := ReadGossipKey(path + ".missing"); err == nil {
		t.Error("a missing file is a key")
	}
}

func FuzzAnnounced(f *testing.F) {
	f.Add(candidate("a", nil).encode())
	f.Add(candidate("b", func(a *announced) { a.Settled, a.Leaving, a.Cluster, a.HTTPAddr = true, true, ID{1}, "b:2" }).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decodeAnnounced(b)
		if err != nil {
			return
		}
		again, err := decodeAnnounced(a.encode())
		if err != nil || again != a {
			t.Fatalf("read %+v, wrote it, read %+v, %v", a, again, err)
		}
	})
}
