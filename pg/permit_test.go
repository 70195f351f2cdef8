package pg_test

import (
	"slices"
	"testing"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
)

// ruled gives node 1 rules.
func ruled(t *testing.T, lines ...string) meshtest.Option {
	t.Helper()
	var list []node.Rule
	for _, s := range lines {
		r, err := node.ParseRule(s)
		must(t, err)
		list = append(list, r)
	}
	return meshtest.Configure(func(c *node.Config) {
		if c.Name == "n1@127.0.0.1" {
			c.Rules = list
		}
	})
}

// TestRefusedJoin has a member where a rule of another node refuses it: it is in no list there, before and after a sync, and
// gets no broadcast of that node; elsewhere all is as ever.
func TestRefusedJoin(t *testing.T) {
	c := newCluster(t, 3, ruled(t, "refuse n2@* join private", "refuse n2@* join private.*"))
	s := c.scope("s")
	mine, theirs, third := c.idle(0), c.idle(1), c.idle(2)
	for i, p := range []process.PID{mine, theirs, third} {
		must(t, s[i].Join("private", p))
		must(t, s[i].JoinWith("public", pg.Meta{"k": "v"}, p))
	}
	must(t, s[1].Subscribe("private.*", theirs))
	sees(t, s[0], "public", mine, theirs, third)
	sees(t, s[1], "private", mine, theirs, third)
	sees(t, s[2], "private", mine, theirs, third)
	sees(t, s[0], "private", mine, third)
	if got := s[0].Subscribers("private.x"); len(got) != 0 {
		t.Errorf("the pattern is shown: %v", got)
	}
	if d, err := s[0].Broadcast(background(t), "private", "x"); err != nil || d.Members != 2 {
		t.Errorf("a broadcast goes to %+v, %v", d, err)
	}
	// What is said of a member that is not shown changes nothing.
	must(t, s[1].SetMeta("private", theirs, pg.Meta{"a": "b"}))
	must(t, s[1].Leave("private", theirs))
	must(t, s[1].Leave("public", theirs))
	sees(t, s[0], "public", mine, third)
	must(t, s[1].Join("private", theirs, theirs))
	meshtest.Eventually(t, "four refusals", func() bool { return c.g[0].Stats().Refused == 4 }) // one, a pattern, and two
	// A new session brings all of them at once.
	c.Node(1).Disconnect(c.Node(2).Name())
	meshtest.Eventually(t, "the end of the session", func() bool { return !c.Connected(1, 2) })
	_, err := c.Node(1).Connect(background(t), c.Node(2).Name())
	must(t, err)
	must(t, s[1].Join("public", theirs))
	sees(t, s[0], "public", mine, third, theirs)
	sees(t, s[0], "private", mine, third)
	if n := c.g[0].Stats().Refused; n != 7 { // and the two and the pattern again
		t.Errorf("%d refusals are counted", n)
	}
	if n := c.g[1].Stats().Refused + c.g[2].Stats().Refused; n != 0 {
		t.Errorf("%d refusals elsewhere", n)
	}
}

// TestPickAvoidsDraining chooses no member of a node that is about to leave, unless there is no other.
func TestPickAvoidsDraining(t *testing.T) {
	c := newCluster(t, 3)
	s := c.scope("s")
	pids := []process.PID{c.idle(0), c.idle(1), c.idle(2)}
	for i, p := range pids {
		must(t, s[i].Join("g", p))
	}
	for i := range s {
		sees(t, s[i], "g", pids...)
	}
	chosen := func(at int) []process.PID {
		var got []process.PID
		for _, by := range []pg.Strategy{pg.RoundRobin(), pg.Random(), pg.ByKey("a"), pg.ByKey("b"), pg.ByKey("c")} {
			for range 50 {
				p, err := s[at].PickAny("g", by)
				must(t, err)
				if !slices.Contains(got, p) {
					got = append(got, p)
				}
			}
		}
		return got
	}
	if got := chosen(0); len(got) != 3 {
		t.Fatalf("before, %v are chosen", got)
	}
	must(t, c.Node(2).Drain(background(t)))
	for i := range s { // the node itself knows too
		if got := chosen(i); slices.Contains(got, pids[1]) || len(got) != 2 {
			t.Errorf("node %d chooses among %v", i+1, got)
		}
	}
	if p, err := s[1].PickLocal("g", pg.Random()); err != nil || p != pids[1] {
		t.Errorf("PickLocal: %v, %v", p, err)
	}
	must(t, c.Node(1).Drain(background(t)))
	must(t, c.Node(3).Drain(background(t)))
	if got := chosen(0); len(got) != 3 {
		t.Errorf("where all drain, %v are chosen", got)
	}
}
