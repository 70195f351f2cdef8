package meshtest_test

import (
	"testing"
	"time"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
)

// lost returns the reason of the next nodedown for a peer.
func lost(t *testing.T, m *node.Monitor, name string) node.Reason {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case ev, ok := <-m.Events():
			if !ok {
				t.Fatal("the monitor ended")
			}
			if !ev.Up && ev.Peer.Name == name {
				return ev.Reason
			}
		case <-timeout:
			t.Fatalf("no nodedown of %s", name)
		}
	}
}

func TestMeshForms(t *testing.T) {
	m := meshtest.New(t, 4)
	for _, n := range m.Nodes() {
		if got := len(n.Nodes()); got != 3 {
			t.Errorf("%s has %d peers", n.Name(), got)
		}
	}
	if got := m.Links().Outsiders(); got != 0 {
		t.Errorf("%d connections belonged to no pair", got)
	}
}

func TestACutLinkSplitsOnePairOnly(t *testing.T) {
	m := meshtest.New(t, 3, meshtest.Tick(100*time.Millisecond))
	watch := m.Node(1).Monitor()
	defer watch.Close()
	m.Cut(1, 2)
	if reason := lost(t, watch, m.Node(2).Name()); reason != node.ReasonTickTimeout {
		t.Errorf("reason %v", reason)
	}
	meshtest.Eventually(t, "split", func() bool { return !m.Connected(1, 2) })
	if !m.Connected(1, 3) || !m.Connected(2, 3) {
		t.Error("the cut took a third node with it")
	}
	m.Mend(1, 2)
	m.WaitFull()
}

func TestABrokenLinkIsNoticedAtOnceAndHeals(t *testing.T) {
	m := meshtest.New(t, 3)
	watch := m.Node(1).Monitor()
	defer watch.Close()
	m.Break(1, 2)
	if reason := lost(t, watch, m.Node(2).Name()); reason != node.ReasonConnectionClosed {
		t.Errorf("reason %v", reason)
	}
	m.Mend(1, 2)
	m.WaitFull()
}

func TestStopKillRestart(t *testing.T) {
	m := meshtest.New(t, 3)
	watch := m.Node(1).Monitor()
	defer watch.Close()
	old := m.Node(2).ID()
	m.Stop(2)
	if reason := lost(t, watch, old.Name); reason != node.ReasonShutdown {
		t.Errorf("reason %v of a clean leave", reason)
	}
	m.Restart(2)
	m.WaitFull()
	if m.Node(2).ID() == old {
		t.Error("the new life has the old identity")
	}
	m.Kill(2)
	if reason := lost(t, watch, old.Name); reason != node.ReasonConnectionClosed {
		t.Errorf("reason %v of a crash", reason)
	}
	m.Start("n4@127.0.0.1")
	m.WaitFull()
	if m.Connected(1, 2) || !m.Connected(1, 4) {
		t.Error("Connected is wrong")
	}
}

func TestPartition(t *testing.T) {
	m := meshtest.New(t, 4, meshtest.Tick(100*time.Millisecond))
	m.Partition(1, 2)
	meshtest.Eventually(t, "partition", func() bool {
		return !m.Connected(1, 3) && !m.Connected(1, 4) && !m.Connected(2, 3) && !m.Connected(2, 4)
	})
	if !m.Connected(1, 2) || !m.Connected(3, 4) {
		t.Error("a side fell apart")
	}
	m.MendAll()
	m.WaitFull()
}
