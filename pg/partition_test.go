package pg_test

import (
	"testing"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
)

func TestPGPartition(t *testing.T) {
	t.Run("PG-22_PG-34_PG-36_PG-37_PG-38_PG-39_PG-40_netsplit", func(t *testing.T) {
		c := newCluster(t, 3)
		s := c.scope("s")
		pids := [][]process.PID{{c.idle(0), c.idle(0), c.idle(0)}, {c.idle(1), c.idle(1)}, {c.idle(2)}}
		must(t, s[0].Join("g", pids[0][0], pids[0][1]))
		must(t, s[1].Join("g", pids[1][0]))
		must(t, s[0].Join("gone", pids[0][0]))
		sees(t, s[0], "g", pids[0][0], pids[0][1], pids[1][0])
		sees(t, s[1], "gone", pids[0][0])
		m, _ := s[1].MonitorAll()
		defer m.Close()
		c.Cut(1, 2)
		if ev := next(t, m); ev.Kind != pg.Left || ev.Reason != node.ReasonTickTimeout || ev.Node != c.Node(1).ID() {
			t.Fatalf("event %+v", ev)
		}
		next(t, m)                              // the other group
		sees(t, s[1], "g", pids[1][0])          // PG-36
		sees(t, s[1], "gone")                   // PG-34
		must(t, s[0].Leave("gone", pids[0][0])) // PG-39
		must(t, s[0].Join("new", pids[0][2]))
		c.rt[0].Exit(pids[0][1], process.ErrKill) // PG-38
		must(t, s[1].Join("g", pids[1][1]))
		// The third node sees both sides, and hands on nothing (PG-22).
		sees(t, s[2], "g", pids[0][0], pids[1][0], pids[1][1])
		if len(s[1].Members("new")) > 0 {
			t.Fatal("membership was relayed")
		}
		c.Mend(1, 2)
		for i := range s { // PG-37
			sees(t, s[i], "g", pids[0][0], pids[1][0], pids[1][1])
			sees(t, s[i], "new", pids[0][2])
			sees(t, s[i], "gone")
		}
		seen := map[string]int{}
		for range 3 { // PG-40: its own join, and what was regained
			ev := next(t, m)
			if ev.Kind != pg.Joined {
				t.Fatalf("event %+v", ev)
			}
			seen[ev.Group] += len(ev.PIDs)
		}
		if seen["g"] != 2 || seen["new"] != 1 {
			t.Fatalf("heal told of %v", seen)
		}
	})
	t.Run("PG-18_PG-19_PG-35_PG-41_late_nodes", func(t *testing.T) {
		c := newCluster(t, 2)
		s := c.scope("s")
		a := c.idle(0)
		must(t, s[0].Join("g", a, a))
		n3 := c.Start("n3@127.0.0.1")
		rt, err := process.New(n3)
		must(t, err)
		g, err := pg.New(rt)
		must(t, err)
		late, err := g.Scope("s")
		must(t, err)
		must(t, s[0].Join("g", a))
		sees(t, late, "g", a, a, a)
		m, list := late.Monitor("g")
		defer m.Close()
		if !same(list, []process.PID{a, a, a}) {
			t.Fatalf("snapshot %v", list)
		}
		c.Kill(1)
		if ev := next(t, m); ev.Kind != pg.Left || len(ev.PIDs) != 3 || ev.Reason != node.ReasonConnectionClosed {
			t.Fatalf("event %+v", ev)
		}
		sees(t, s[1], "g")
	})
	t.Run("PG-27_PG-55_alone_and_hidden", func(t *testing.T) {
		c := newCluster(t, 2, meshtest.Configure(func(cfg *node.Config) { cfg.Hidden = cfg.Name == "n3@127.0.0.1" }))
		s := c.scope("s")
		a := c.idle(0)
		must(t, s[0].Join("g", a))
		n3 := c.Start("n3@127.0.0.1")
		c.rt, c.g = append(c.rt, nil), append(c.g, nil)
		c.equip(2)
		_, err := n3.Connect(background(t), c.Node(1).Name())
		must(t, err)
		hs, h := c.start(2, "s"), c.idle(2)
		must(t, hs.Join("g", h))
		must(t, s[0].Join("g", a))
		sees(t, s[1], "g", a, a)
		if !same(hs.Members("g"), []process.PID{h}) {
			t.Fatalf("a hidden node sees %v", hs.Members("g"))
		}
		c.Cut(1, 2)
		meshtest.Eventually(t, "cut", func() bool { return !c.Connected(1, 2) })
		s[1].Stop()
		b := c.idle(1)
		again := c.start(1, "s")
		must(t, again.Join("g", b))
		c.Mend(1, 2)
		sees(t, s[0], "g", a, a, b)
		sees(t, again, "g", a, a, b)
	})
}
