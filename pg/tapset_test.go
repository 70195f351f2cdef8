package pg

import (
	"slices"
	"testing"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// topicGivenBack has a group of one node with a topic, on a mesh of two, and checks that it is given back when the last
// member has gone, in each of the ways in which it can.
func topicGivenBack(t *testing.T, change func(taker, asker *simNode)) {
	few, many := 2, chunkIDs+1 // memberships, told as a change or as the whole group
	for _, c := range []struct {
		name  string
		times int
		leave func(n *simNode, s *Scope, all []process.PID) error
	}{
		{"leaves", few, func(_ *simNode, s *Scope, all []process.PID) error { return s.Leave("g", all...) }},
		{"ends", few, func(n *simNode, _ *Scope, all []process.PID) error { n.kill(all[0]); return nil }},
		{"stops", few, func(_ *simNode, s *Scope, _ []process.PID) error { s.Stop(); return nil }},
		{"leaves_with_many", many, func(_ *simNode, s *Scope, all []process.PID) error { return s.Leave("g", all...) }},
		{"ends_with_many", many, func(n *simNode, _ *Scope, all []process.PID) error { n.kill(all[0]); return nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t.Fatalf, 2)
			defer w.close()
			taker, asker := w.nodes[0], w.nodes[1]
			change(taker, asker)
			s, err := taker.groups.Scope("pg")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := asker.groups.Scope("pg"); err != nil {
				t.Fatal(err)
			}
			w.connect(taker, asker)
			w.settle()
			all := slices.Repeat([]process.PID{taker.spawn()}, c.times)
			if err := s.Join("g", all...); err != nil {
				t.Fatal(err)
			}
			w.settle()
			taker.groups.Frame(taker.up[asker.id], appendKey(appendHeader(nil, kindAsk, "pg"), key{name: "g"}))
			w.settle()
			if n := taker.groups.Stats().Topics; n != 1 {
				t.Fatalf("%d topics", n)
			}
			if err := c.leave(taker, s, all); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the end of the member", func() bool { return s.Count("g").Members == 0 })
			w.settle()
			if n := taker.groups.Stats().Topics; n != 0 || len(taker.topics) != 0 {
				t.Errorf("%d topics are left, %v", n, taker.topics)
			}
		})
	}
}

// TestTopicReleasedAtOnce: a peer may release a topic sooner than the call that told it of the last member's end returns.
func TestTopicReleasedAtOnce(t *testing.T) {
	topicGivenBack(t, func(taker, asker *simNode) {
		taker.posted = func(_ node.ID, frame []byte) {
			if kind(frame[1]) != kindUpdate {
				return
			}
			for asker.step(taker) {
			}
			if q := taker.in[asker]; len(q) == 1 && kind(q[0].data[1]) == kindRelease {
				taker.step(asker)
			}
		}
	})
}

// TestTopicReleasedUnused: a peer whose rules refuse the members releases their topic too.
func TestTopicReleasedUnused(t *testing.T) {
	topicGivenBack(t, func(_, asker *simNode) { asker.refuses = "g" })
}
