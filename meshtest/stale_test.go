package meshtest_test

import (
	"testing"
	"time"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/meshtest"
)

// TestARouteThatGoesStaleSaysNothingAboutThePeer cuts a link until the servers themselves give the route up, which is
// between 2 and 3 intervals of 5 s. Neither side may take that for a peer that closed. Mended, the link comes back, and
// nobody helps.
func TestARouteThatGoesStaleSaysNothingAboutThePeer(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 15 s")
	}
	t.Parallel()
	n := newNet2(t)
	ask, _ := talk(t, n.a, n.b)
	n.links.Cut("a", "b")
	stale := func(ev broker.RouteEvent) bool { return ev.Kind == broker.RouteDown && ev.Reason == broker.CloseStale }
	meshtest.Eventually(t, "stale at both", func() bool { return n.saw("a", stale) && n.saw("b", stale) }, 30*time.Second)
	for _, node := range []string{"a", "b"} {
		if n.saw(node, func(ev broker.RouteEvent) bool { return ev.Kind == broker.RouteDown && ev.ByPeer }) {
			t.Errorf("%s takes the cut for a peer that closed", node)
		}
	}
	n.links.Mend("a", "b")
	meshtest.Eventually(t, "answer after mend", func() bool { return ask(time.Second) == nil }, 30*time.Second)
}

// TestAOneWayCutGoesStaleToo cuts one direction. Whoever gives up first may say so over the way that is open: that is no
// peer that closed either.
func TestAOneWayCutGoesStaleToo(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 15 s")
	}
	t.Parallel()
	n := newNet2(t)
	n.links.CutOneWay("a", "b")
	down := func(ev broker.RouteEvent) bool { return ev.Kind == broker.RouteDown }
	meshtest.Eventually(t, "down at both", func() bool { return n.saw("a", down) && n.saw("b", down) }, 30*time.Second)
	for _, node := range []string{"a", "b"} {
		n.saw(node, func(ev broker.RouteEvent) bool {
			if ev.Kind == broker.RouteDown && ev.ByPeer {
				t.Errorf("%s takes the cut for a peer that closed: %+v", node, ev)
			}
			return false
		})
	}
}
