package node_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/kith-mesh/kith/node"
)

// TestNETKilled kills a node twenty times: each time the other knows within milliseconds, through the connection that the
// kernel closes, and says so.
func TestNETKilled(t *testing.T) {
	kills := 20
	if testing.Short() {
		kills = 3
	}
	var times []time.Duration
	for i := range kills {
		t.Run(fmt.Sprintf("NET-33_NET-43_kill_%d", i), func(t *testing.T) {
			n, m, victim, _ := withChild(t, time.Second)
			began := time.Now()
			victim.signal(syscall.SIGKILL)
			e := next(t, m, 5*time.Second)
			if e.Up || e.Reason != node.ReasonConnectionClosed || e.Evidence == "" {
				t.Fatalf("got %+v", e)
			}
			times = append(times, time.Since(began))
			if len(n.Nodes(node.Connected)) != 0 {
				t.Fatal(n.Nodes(node.Connected))
			}
		})
	}
	slices.Sort(times)
	if len(times) == kills {
		t.Logf("from the kill to nodedown: median %v, worst %v", times[kills/2], times[kills-1])
	}
}

// TestNETFrozen freezes a node: it is down after four of its ticks, one more or less; and when it thaws, it has a new
// session with a new connection id, and both ends say why the old one ended.
func TestNETFrozen(t *testing.T) {
	t.Run("NET-40_NET-44_four_ticks", func(t *testing.T) {
		const tick = 250 * time.Millisecond
		_, m, victim, up := withChild(t, tick)
		victim.signal(syscall.SIGSTOP)
		frozen := time.Now()
		down := next(t, m, 20*time.Second)
		took := time.Since(frozen)
		victim.signal(syscall.SIGCONT)
		if down.Up || down.Reason != node.ReasonTickTimeout || down.Peer != up.Peer {
			t.Fatalf("got %+v", down)
		}
		// The last word may be up to a tick older than the freeze.
		if took < 3*tick || took > 5*tick+tick {
			t.Fatalf("down after %v, with ticks of %v", took, tick)
		}
		again := next(t, m, 20*time.Second)
		if !again.Up || again.Peer.ID != up.Peer.ID || again.Peer.Conn == up.Peer.Conn {
			t.Fatalf("got %+v after %+v", again, up)
		}
		if why := victim.await(t, "down "); why != fmt.Sprintf("a@127.0.0.1 %d net_tick_timeout", up.Peer.Conn) {
			t.Fatal(why)
		}
	})
}

// withChild starts a node here and one in a process of its own, and returns once they are connected.
func withChild(t *testing.T, tick time.Duration) (n *node.Node, m *node.Monitor, victim *process, up node.Event) {
	t.Helper()
	n, err := node.Start(t.Context(), node.Config{Name: "a@127.0.0.1", Mesh: "test", Cookie: testCookie, Tick: tick})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	m = n.Monitor()
	t.Cleanup(m.Close)
	victim = spawn(t, childSpec{Name: "b@127.0.0.1", Join: []string{n.Addr()}, Tick: tick})
	up = next(t, m, 20*time.Second)
	if !up.Up {
		t.Fatalf("got %+v", up)
	}
	return n, m, victim, up
}

// next is the next event.
func next(t *testing.T, m *node.Monitor, within time.Duration) node.Event {
	t.Helper()
	select {
	case e, ok := <-m.Events():
		if !ok {
			t.Fatal("the monitor has ended")
		}
		return e
	case <-time.After(within):
		t.Fatal("no event")
	}
	return node.Event{}
}
