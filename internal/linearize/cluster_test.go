package linearize_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"tombola/httpapi/wire"
	"tombola/internal/linearize"
	"tombola/internal/testcluster"
)

var histories = flag.Int("histories", 100, "histories of a cluster to judge")

// atOnce is how many histories, each of a prize of its own, are made at a time.
const atOnce = 10

// judging bounds the judging of one history.
const judging = 30 * time.Second

const patience = 90 * time.Second

// noon returns a time zone in which the date does not change for hours.
func noon() string {
	behind := time.Now().UTC().Hour() - 12 // Etc/GMT+5 is five hours behind UTC
	if behind >= 0 {
		return "Etc/GMT+" + strconv.Itoa(behind)
	}
	return "Etc/GMT" + strconv.Itoa(behind)
}

func readDraw(a *testcluster.Answer) (r wire.DrawResult, err error) {
	if a.Status != http.StatusOK {
		p, err := a.Problem()
		if err != nil {
			return r, err
		}
		return r, p
	}
	if err := json.Unmarshal(a.Body, &r); err != nil {
		return r, fmt.Errorf("read draw: %w: %s", err, a.Body)
	}
	return r, nil
}

// TestHistoriesOfAClusterAreLinearizable has clients draw, repeat, void and
// resize at three servers at once, around the end of small prizes. While every
// third wave of histories is made a server hangs long enough to lose what it
// leads; while every tenth, one is killed.
func TestHistoriesOfAClusterAreLinearizable(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{Election: 300 * time.Millisecond})
	began := time.Now()
	sum := tally{outcomes: make(map[string]int)}
	for wave := 0; wave*atOnce < *histories; wave++ {
		var all []*game
		var made, games sync.WaitGroup
		for i := range min(atOnce, *histories-wave*atOnce) {
			g := &game{
				prize: fmt.Sprintf("w%d-%d", wave, i), clients: c.Clients(), began: began,
				requests: make(map[request]int), undone: make(map[wire.Code]int), winners: make(map[request]struct{}),
			}
			all = append(all, g)
			made.Go(func() { g.create(t) })
		}
		made.Wait() // so that what disturbs the wave does so while it plays
		if t.Failed() {
			break
		}
		for _, g := range all {
			games.Go(func() { sum.add(t, g, g.play(t)) })
		}
		played := make(chan struct{})
		go func() { defer close(played); games.Wait() }()
		disturb(t, c, wave, played)
		<-played
		if t.Failed() {
			break
		}
	}
	t.Logf("%d histories, %d operations in %s: %v; %d not judged in time", sum.histories, sum.ops, time.Since(began).Round(time.Millisecond), sum.outcomes, sum.unjudged)
	if sum.unjudged > 0 {
		t.Errorf("%d histories were not judged within %s", sum.unjudged, judging)
	}
}

// disturb does to the cluster what is due in this wave, and heals it.
func disturb(t *testing.T, c *testcluster.Cluster, wave int, played <-chan struct{}) {
	node := c.Nodes[rand.IntN(len(c.Nodes))]
	if wave%10 == 4 || wave%3 == 1 { // somewhere in the middle of it
		select {
		case <-time.After(time.Duration(rand.IntN(60)) * time.Millisecond):
		case <-played:
		}
	}
	switch {
	case wave%10 == 4:
		node.Kill()
		if err := node.Start(); err != nil {
			t.Error(err)
		}
		<-played
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := c.WaitReady(ctx); err != nil {
			t.Error(err)
		}
	case wave%3 == 1:
		hang(t, node, time.Duration(300+rand.IntN(700))*time.Millisecond, played)
	}
}

// hang stops a server's process for a while: its peers elect others.
func hang(t *testing.T, node *testcluster.Node, d time.Duration, played <-chan struct{}) {
	if err := node.Process().Signal(syscall.SIGSTOP); err != nil {
		t.Error(err)
	}
	select {
	case <-time.After(d):
	case <-played:
	}
	if err := node.Process().Signal(syscall.SIGCONT); err != nil {
		t.Error(err)
	}
}

// create makes the game's prize.
func (g *game) create(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	g.spec = linearize.Prize{Total: 2 + rand.IntN(6), PerUser: rand.IntN(3)}
	spec := wire.PrizeSpec{Kind: wire.KindCounter, Total: int64(g.spec.Total), Timezone: noon()}
	if g.spec.PerUser > 0 {
		spec.PerUserLimit = new(int64(g.spec.PerUser))
	}
	if rand.IntN(4) == 0 {
		g.spec.Daily = 1 + rand.IntN(g.spec.Total)
		spec.DailyLimit = new(int64(g.spec.Daily))
	}
	// A put may be repeated: nobody draws yet.
	if err := testcluster.Until(ctx, func(ctx context.Context) error {
		_, err := g.clients[0].Put(ctx, g.prize, spec)
		return err
	}); err != nil {
		t.Errorf("create %s: %v", g.prize, err)
	}
}

// play makes a history and returns it.
func (g *game) play(t *testing.T) *linearize.History {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	clients, each := 6+rand.IntN(5), 3+rand.IntN(3)
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			for range each {
				g.move(ctx, client)
			}
		})
	}
	all.Wait()
	g.finish(ctx, clients)
	return &linearize.History{Prize: g.spec, Ops: g.ops}
}

const players = 6

// move makes one client's next operation. Client 0 alone resizes.
func (g *game) move(ctx context.Context, client int) {
	node, user, id := rand.IntN(len(g.clients)), 1+rand.IntN(players), 1+rand.IntN(3)
	switch n := rand.IntN(20); {
	case client == 0 && n < 10:
		g.resize(ctx, client, node, 1+rand.IntN(9))
	case n < 4:
		g.void(ctx, client, node, rand.IntN(3) > 0)
	case n < 7:
		g.draw(ctx, client, node, user, 0)
	case n < 10: // the same at two servers at once
		var two sync.WaitGroup
		two.Go(func() { g.draw(ctx, client+20, (node+1)%len(g.clients), user, id) })
		g.draw(ctx, client, node, user, id)
		two.Wait()
	default:
		g.draw(ctx, client, node, user, id)
	}
}

// finish has every grant asked for once more, and draws what is left: what was
// lost shows.
func (g *game) finish(ctx context.Context, client int) {
	for r := range g.winners {
		if r.id != 0 {
			g.draw(ctx, client, rand.IntN(len(g.clients)), r.user, r.id)
		}
	}
	for user := players + 1; user < linearize.MaxUsers-1; user++ {
		if o := g.draw(ctx, client, user%len(g.clients), user, 0); !o.Unknown && o.Outcome != wire.Granted {
			return
		}
	}
}

// tally counts what was judged. Its methods may be called concurrently.
type tally struct {
	mu                       sync.Mutex
	histories, ops, unjudged int
	outcomes                 map[string]int
}

func (s *tally) add(t *testing.T, g *game, h *linearize.History) {
	for _, err := range g.strange {
		t.Errorf("%s: %v", g.prize, err)
	}
	result, err := h.Check(judging, "")
	if err != nil {
		t.Error(err)
	}
	if result == porcupine.Illegal {
		picture, err := linearize.PictureFile()
		if err == nil {
			_, err = h.Check(judging, picture)
		}
		t.Errorf("the history of %s is not linearizable (%s, %v):\n%s", g.prize, picture, err, h.Lines())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.histories++
	s.ops += len(h.Ops)
	if result == porcupine.Unknown {
		s.unjudged++
	}
	for code, n := range g.undone {
		s.outcomes[code.String()] += n
	}
	for _, op := range h.Ops {
		s.outcomes[linearize.Class(&op)]++
	}
}
