package broker_test

import (
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kith-mesh/kith/broker"
)

// TestCloseIsReportedAsByPeer pins what the embedded server says when a peer goes: a new release that says it otherwise
// must fail here.
func TestCloseIsReportedAsByPeer(t *testing.T) {
	var atA, atB events
	a := start(t, "a", watch(&atA))
	b := start(t, "b", watch(&atB), routes(a.Addr()))
	eventually(t, "route", func() bool { return linked(a, "b") && linked(b, "a") })
	for _, account := range []broker.Account{broker.App, broker.Control} {
		up := func(ev broker.RouteEvent) bool {
			return ev.Kind == broker.RouteUp && ev.Account == account && ev.RemoteID != ""
		}
		eventually(t, "up at both", func() bool { return atA.has(up) && atB.has(up) })
	}
	began := time.Now()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "down by peer", func() bool {
		return atA.has(func(ev broker.RouteEvent) bool {
			return ev.Kind == broker.RouteDown && ev.Remote == "b" && ev.ByPeer && ev.Reason == broker.ClosePeer
		})
	})
	t.Logf("closed and noticed in %v", time.Since(began))
	if !atB.has(func(ev broker.RouteEvent) bool {
		return ev.Kind == broker.RouteDown && ev.Remote == "a" && !ev.ByPeer && ev.Reason == broker.CloseShutdown
	}) {
		t.Errorf("the one that closed saw %+v", atB.all())
	}
	for _, ev := range append(atA.all(), atB.all()...) {
		if ev.Kind == broker.RouteUnknown || ev.Kind == broker.RouteRefused {
			t.Errorf("unexpected event %+v", ev)
		}
	}
}

func TestSetRoutes(t *testing.T) {
	var atA events
	a := start(t, "a", watch(&atA))
	b := start(t, "b")
	if err := a.SetRoutes([]string{"nonsense"}); !errors.Is(err, broker.ErrBadConfig) {
		t.Errorf("SetRoutes with a bad address: %v", err)
	}
	nc := connect(t, a, broker.App)
	began := time.Now()
	for range 3 {
		if err := a.SetRoutes([]string{b.Addr()}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "route", func() bool { return linked(a, "b") && linked(b, "a") && a.NumRemotes() == 1 })
	t.Logf("linked %v after SetRoutes", time.Since(began))
	if nc.Stats().Reconnects != 0 || !nc.IsConnected() {
		t.Error("a reload cut an in-process connection")
	}
	if err := a.SetRoutes(nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "removal", func() bool {
		return a.NumRemotes() == 0 && atA.has(func(ev broker.RouteEvent) bool {
			return ev.Kind == broker.RouteDown && ev.Reason == broker.CloseRemoved && !ev.ByPeer
		})
	})
	if err := a.SetRoutes([]string{b.Addr()}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "route again", func() bool { return linked(a, "b") })
}

func TestOneSeedMakesAFullMesh(t *testing.T) {
	seed := start(t, "n0")
	all := []*broker.Broker{seed}
	for _, name := range []string{"n1", "n2", "n3"} {
		all = append(all, start(t, name, routes(seed.Addr())))
	}
	began := time.Now()
	eventually(t, "full mesh", func() bool {
		for _, b := range all {
			if b.NumRemotes() != len(all)-1 {
				return false
			}
		}
		return true
	})
	t.Logf("full mesh of %d %v after the last start", len(all), time.Since(began))
}

// TestRedial lists an address where nobody listens, lets its attempts back off, and redials once somebody does.
func TestRedial(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	a := start(t, "a", routes(addr))
	for range 20 {
		if err := a.Redial(addr, "127.0.0.1:1"); err != nil {
			t.Fatal(err)
		}
	}
	// One loop for each of the three connections of a pair. Those of earlier listings must give up, or a mesh that
	// redials its dead peers would gather them for ever.
	eventually(t, "end of old attempts", func() bool { return goroutinesIn("connectToRoute") == 3 })
	start(t, "b", func(c *broker.Config) { c.Listen = addr })
	began := time.Now()
	if err := a.Redial(addr); err != nil {
		t.Fatal(err)
	}
	eventually(t, "route", func() bool { return linked(a, "b") })
	t.Logf("linked %v after Redial", time.Since(began))
}

// goroutinesIn counts the goroutines that have the function on their stack.
func goroutinesIn(function string) int {
	buf := make([]byte, 1<<20)
	stacks := string(buf[:runtime.Stack(buf, true)])
	count := 0
	for _, one := range strings.Split(stacks, "\n\n") {
		if strings.Contains(one, "."+function+"(") {
			count++
		}
	}
	return count
}
