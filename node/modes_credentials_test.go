package node_test

import (
	"errors"
	"testing"
	"time"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
)

// rotates changes the cookie of four nodes: their sessions stay, a newcomer with the new one is let in, and one with the old
// one is not.
func rotates(t *testing.T, w *world) {
	nodes := four(t, w)
	old, fresh := testCookie, []byte("the cookie that is to replace it")
	var seen []*events
	for _, n := range nodes {
		seen = append(seen, watch(t, n))
	}
	for _, step := range [][][]byte{{old, fresh}, {fresh, old}, {fresh}} {
		for _, n := range nodes {
			if err := n.SetCookie(step[0], step[1:]...); err != nil {
				t.Fatal(err)
			}
		}
	}
	full(t, nodes)
	for i, e := range seen {
		if got := e.all(); len(got) != 0 {
			t.Errorf("%s saw %+v", nodes[i].Name(), got)
		}
	}
	friend := w.start("friend", func(c *node.Config) { c.Cookie = fresh })
	for _, n := range nodes {
		connected(t, friend, n)
	}
	var stranger *node.Node
	if w.mode == broker.External { // nothing but what nodes say to each other tells them apart there
		stranger = w.start("stranger", ticking(20*time.Millisecond))
		meshtest.Eventually(t, "a refusal", func() bool { return refusals(append(nodes, stranger)...) > 0 })
	} else {
		stranger, _ = tryStart(t, "stranger", w.place, ticking(20*time.Millisecond))
		meshtest.Eventually(t, "a refusal", func() bool { return stranger == nil || refusals(append(nodes, stranger)...) > 0 })
	}
	if stranger != nil && len(stranger.Nodes(node.Connected)) != 0 {
		t.Errorf("the old cookie leads to %v", stranger.Nodes(node.Connected))
	}
}

func refusals(nodes ...*node.Node) (n int) {
	for _, x := range nodes {
		n += len(x.Report().Refusals)
	}
	return n
}

// provesNames has nodes with certificates of their own meet, and one whose certificate is for another name turned away.
func provesNames(t *testing.T, w *world) {
	home := meshtest.NewAuthority(t)
	var nodes []*node.Node
	for _, name := range []string{"b", "c", "d"} {
		nodes = append(nodes, w.start(name, certified(home.Issue(name+"@127.0.0.1"))))
	}
	full(t, nodes)
	renewed := home.Issue("c@127.0.0.1")
	if err := nodes[1].SetCertificate(home.Issue("d@127.0.0.1")); !errors.Is(err, node.ErrBadArgument) {
		t.Errorf("a certificate for another: %v", err)
	}
	if err := nodes[1].SetCertificate(renewed); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"a", "z"} { // one that calls, and one that is called
		if _, err := tryStart(t, name, w.place, certified(home.Issue("b@127.0.0.1"))); !errors.Is(err, broker.ErrCertificate) {
			t.Errorf("%s with the certificate of b: %v", name, err)
		}
		hermit := func(c *node.Config) { c.AutoConnect = node.AutoNever }
		liar := w.start(name, certified(home.Issue("127.0.0.1")), hermit)
		for _, n := range nodes { // which ask for a session each, and get one while the liar still says the truth
			meshtest.Eventually(t, "a session to end", func() bool { return liar.Disconnect(n.Name()) })
		}
		liar.Pretend(home.Issue("somebody@127.0.0.1"))
		if _, err := liar.Connect(within(t), "c@127.0.0.1"); !errors.Is(err, node.ErrRefused) {
			t.Errorf("%s pretends: %v", name, err)
		}
		if err := liar.Close(); err != nil {
			t.Fatal(err)
		}
	}
	full(t, nodes)
}

// saysThatItLeaves has one of four drain: the others know when Drain returns, and a newcomer when it is connected.
func saysThatItLeaves(t *testing.T, w *world) {
	nodes := four(t, w)
	if err := nodes[2].Drain(within(t)); err != nil {
		t.Fatal(err)
	}
	for i, n := range nodes {
		if n.Draining(nodes[2].ID()) != true || i != 2 && !drains(n, nodes[2].Name()) {
			t.Errorf("%s does not know", n.Name())
		}
	}
	full(t, nodes)
	late := w.start("late")
	connected(t, late, nodes[2])
	if !late.Draining(nodes[2].ID()) {
		t.Error("a newcomer does not know")
	}
}
