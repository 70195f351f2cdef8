package membership

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// healTime bounds how long after the last fault every pair has a session: a setup that has to run out, what is left
// of the greatest pause, and a few ticks.
const healTime = 20 * time.Second

// TestNothingButGoodSessions has a mesh go through faults, and checks after each step what must always hold, and at the
// end that everybody sees everybody, in one session that both know by the same id.
func TestNothingButGoodSessions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.IntRange(2, 4).Draw(t, "names")
		s := newSim(rapid.Uint64().Draw(t, "seed"), names, t.Fatalf)
		s.delay = time.Duration(rapid.SampledFrom([]int{0, 1, 20, 200}).Draw(t, "delay")) * time.Millisecond
		s.dup = rapid.SampledFrom([]float64{0, 0.3}).Draw(t, "duplicates")
		s.seals = rapid.Bool().Draw(t, "sealed")
		defer func() {
			if t.Failed() {
				t.Log(strings.Join(s.trace, "\n"))
			}
		}()
		intervals := make([]time.Duration, names)
		for i := range intervals {
			intervals[i] = time.Duration(rapid.SampledFrom([]int{100, 250, 1000}).Draw(t, "interval")) * time.Millisecond
			s.start(i, func(c *Config) { c.Interval = intervals[i] })
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			fault(t, s, intervals)
			s.run(time.Duration(rapid.SampledFrom([]int{0, 1, 3, 10, 50, 300, 1000, 6000}).Draw(t, "wait")) * time.Millisecond)
		}
		calm(s, intervals)
		if !s.runUntil(healTime, s.full) {
			t.Fatalf("not full %v after the last fault: %s", healTime, s.missing())
		}
		for _, n := range s.lives {
			n.checkHistory()
			if n.failure(NotProven) > 0 {
				t.Fatalf("%s takes a hello or a welcome for a lie", n.id.Name)
			}
		}
		before := s.changes()
		s.run(10 * time.Second)
		if after := s.changes(); after != before || !s.full() {
			t.Fatalf("%d changes in a healthy mesh: %s", after-before, s.missing())
		}
	})
}

// fault does one thing to the mesh.
func fault(t *rapid.T, s *sim, intervals []time.Duration) {
	i := rapid.IntRange(0, len(s.lives)-1).Draw(t, "node")
	j := (i + rapid.IntRange(1, len(s.lives)-1).Draw(t, "other")) % len(s.lives)
	p, way := s.pair(i, j)
	n := s.lives[i]
	dead := !n.alive
	switch what := rapid.SampledFrom([]string{
		"wait", "wait", "cut", "cut_one_way", "mend", "break", "break", "route_given_up", "freeze", "kill", "restart", "restart",
		"leave", "disconnect", "connect", "connect", "frames", "frames", "loss", "no_loss", "interval", "own_cut", "forged_end",
	}).Draw(t, "what"); what {
	case "cut":
		s.cut(i, j)
	case "cut_one_way":
		p.cut[way] = true
		s.log("cut %d to %d", i, j)
	case "mend":
		s.mend(i, j)
	case "break":
		p.broken = rapid.Bool().Draw(t, "lasting")
		s.unroute(i, j, true)
	case "route_given_up":
		s.unroute(i, j, false)
	case "freeze":
		n.freeze(time.Duration(rapid.SampledFrom([]int{5, 90, 300, 1500, 9000}).Draw(t, "sleep")) * time.Millisecond)
	case "kill":
		s.kill(i)
	case "restart":
		s.kill(i)
		s.start(i, func(c *Config) { c.Interval = intervals[i] })
	case "leave":
		if !dead && !n.frozen {
			n.leave()
		}
	case "disconnect":
		if !dead && !n.frozen {
			n.disconnect(s.names[j])
		}
	case "connect":
		n.connect(s.names[j])
	case "frames":
		if x := n.up[s.names[j]]; x != nil && !dead {
			n.frames(x, uint64(rapid.IntRange(1, 5).Draw(t, "count")))
		}
	case "loss":
		s.loss = 0.2
	case "no_loss":
		s.loss = 0
	case "interval":
		intervals[i] = time.Duration(rapid.SampledFrom([]int{100, 250, 1000, 2000}).Draw(t, "interval")) * time.Millisecond
		n.control(func() { n.table.SetInterval(s.now, intervals[i]) })
	case "own_cut":
		n.control(func() { n.table.Lost(s.now, "the own connection was cut") })
	case "forged_end":
		n.control(func() { n.table.Ended(s.now, 1<<60, Gap, "") })
	}
}

// connect is a wish for a session, as Node.Connect makes it.
func (n *life) connect(name string) {
	n.control(func() {
		if id, _, ok := n.table.Find(name); ok {
			n.s.log("%s wants %s", n.id.Name, name)
			n.table.Connect(n.s.now, id)
		}
	})
}

// calm ends all faults, and takes back every Disconnect.
func calm(s *sim, intervals []time.Duration) {
	s.loss, s.dup = 0, 0
	s.log("calm")
	for pair := range s.pairs {
		s.mend(pair[0], pair[1])
	}
	s.run(10 * time.Second) // the longest sleep
	for i, n := range s.lives {
		if !n.alive {
			s.start(i, func(c *Config) { c.Interval = intervals[i] })
		}
	}
	s.run(time.Second)
	for i, n := range s.lives {
		for _, name := range s.names[i+1:] {
			n.connect(name)
		}
	}
}

func (s *sim) changes() int {
	sum := 0
	for _, n := range s.lives {
		sum += len(n.history)
	}
	return sum
}

// checkHistory says that up and down of each name alternate, and carry the same session (NET-31, NET-32).
func (n *life) checkHistory() {
	open := map[string]uint64{}
	seen := map[uint64]bool{}
	for _, c := range n.history {
		switch conn := open[c.peer.Name]; {
		case c.up && conn != 0:
			n.s.fail("%s: nodeup of session %d of %s while %d is up", n.id.Name, c.conn, c.peer.Name, conn)
		case c.up && seen[c.conn]:
			n.s.fail("%s: session %d of %s is up for the second time", n.id.Name, c.conn, c.peer.Name)
		case !c.up && conn != c.conn:
			n.s.fail("%s: nodedown of session %d of %s while %d is up", n.id.Name, c.conn, c.peer.Name, conn)
		}
		if c.up {
			open[c.peer.Name] = c.conn
			seen[c.conn] = true
		} else {
			delete(open, c.peer.Name)
		}
	}
}

// TestHealthyPairsStayUp lets delays stay well under the tick and changes intervals at run time: nothing may go down
// (NET-42, NET-45, NET-46).
func TestHealthyPairsStayUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.IntRange(2, 3).Draw(t, "names")
		s := newSim(rapid.Uint64().Draw(t, "seed"), names, t.Fatalf)
		draw := func(i int) time.Duration {
			return time.Duration(rapid.SampledFrom([]int{10, 40, 100, 1000, 15_000}).Draw(t, fmt.Sprint("interval of ", i))) * time.Millisecond
		}
		s.delay = 5 * time.Millisecond
		for i := range names {
			d := draw(i)
			s.start(i, func(c *Config) { c.Interval = d })
		}
		if !s.runUntil(5*time.Second, s.full) {
			t.Fatalf("not full after 5 s: %s", s.missing())
		}
		before := s.changes()
		for range rapid.IntRange(1, 10).Draw(t, "changes") {
			i := rapid.IntRange(0, names-1).Draw(t, "node")
			n, d := s.lives[i], draw(i)
			if rapid.Bool().Draw(t, "sleeps") {
				// Shorter than anybody's patience, yet several ticks of the others.
				n.freeze(25 * time.Millisecond)
			} else {
				n.control(func() { n.table.SetInterval(s.now, d) })
			}
			s.run(time.Duration(rapid.IntRange(0, 8_000).Draw(t, "wait")) * time.Millisecond)
		}
		if after := s.changes(); after != before {
			t.Fatalf("%d changes in a healthy mesh:\n%s", after-before, strings.Join(s.trace, "\n"))
		}
	})
}
