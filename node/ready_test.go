package node_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
)

func TestReady(t *testing.T) {
	t.Run("alone_at_once", func(t *testing.T) {
		began := time.Now()
		a := start(t, "a")
		if took := time.Since(began); took > time.Second {
			t.Errorf("the start of a lone node took %v", took)
		}
		if err := a.WaitReady(within(t)); err != nil {
			t.Error(err)
		}
		if err := a.WaitPeers(within(t), 0); err != nil {
			t.Error(err)
		}
	})
	t.Run("with_those_who_answer", func(t *testing.T) {
		a := start(t, "a")
		for i := range 3 {
			n := start(t, fmt.Sprint("n", i), joining(a))
			if _, ok := n.Peer(a.Name()); !ok { // Start has greeted everybody who answers
				t.Errorf("%s has started and does not see a", n.Name())
			}
		}
		if err := a.WaitPeers(within(t), 3); err != nil {
			t.Error(err)
		}
	})
	t.Run("with_those_whom_its_peer_sees", func(t *testing.T) {
		m := meshtest.New(t, 2, meshtest.Configure(func(c *node.Config) {
			if c.Name == "n3@127.0.0.1" {
				c.Join = c.Join[:1]
			}
		}))
		m.Links().Delay("n2@127.0.0.1", "n3@127.0.0.1", 20*time.Millisecond)
		n := m.Start("n3@127.0.0.1") // nothing changes for it while n2 dials it
		if got := n.Nodes(); len(got) != 2 {
			t.Errorf("the start ends with %v", got)
		}
		m.WaitFull()
	})
	t.Run("does_not_wait_for_those_who_do_not", func(t *testing.T) {
		silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		closed, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		closed.Close()
		a := start(t, "a")
		began := time.Now()
		b := start(t, "b", joining(a), func(c *node.Config) {
			c.Join = append(c.Join, silent.Addr().String(), closed.Addr().String())
		})
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("the start took %v", took)
		}
		connected(t, a, b)
		began = time.Now()
		if err := b.WaitReady(within(t)); err != nil || time.Since(began) > 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
	t.Run("does_not_wait_longer_where_much_changes", func(t *testing.T) {
		b, until := start(t, "b"), make(chan struct{})
		thaw := sync.OnceFunc(func() { close(until) })
		defer thaw()
		b.Freeze(until)
		a := start(t, "a", joining(b)) // there is a route, and no session comes
		ctx, stop := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			pause := time.NewTicker(50 * time.Millisecond)
			defer pause.Stop()
			for ; ctx.Err() == nil; <-pause.C {
				a.Stir()
			}
		})
		began := time.Now()
		if err := a.WaitReady(within(t)); err != nil || time.Since(began) > 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if _, ok := a.Peer(b.Name()); ok {
			t.Error("b is not frozen")
		}
		stop()
		group.Wait()
		thaw()
		connected(t, a, b)
	})
	t.Run("peers_within_the_context", func(t *testing.T) {
		a, _ := pair(t)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := a.WaitPeers(ctx, 2); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		done := make(chan error, 1)
		go func() { done <- a.WaitPeers(within(t), 2) }()
		start(t, "c", joining(a))
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Run("hidden_nodes_do_not_count", func(t *testing.T) {
		a := start(t, "a")
		h := start(t, "h", hidden, joining(a))
		meshtest.Eventually(t, "a session", func() bool { _, err := h.Connect(t.Context(), a.Name()); return err == nil })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := a.WaitPeers(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
	t.Run("GLOB-21_many_at_once_form_one_mesh", func(t *testing.T) {
		const count = 8
		first := start(t, "n0")
		nodes := make([]*node.Node, count)
		nodes[0] = first
		var group sync.WaitGroup
		for i := 1; i < count; i++ {
			group.Go(func() {
				var err error
				if nodes[i], err = tryStart(t, fmt.Sprint("n", i), joining(first)); err != nil {
					t.Errorf("n%d: %v", i, err)
				}
			})
		}
		if group.Wait(); t.Failed() {
			return
		}
		for _, n := range nodes {
			if err := n.WaitPeers(within(t), count-1); err != nil {
				t.Errorf("%s: %v", n.Name(), err)
			}
		}
	})
	t.Run("a_start_within_its_context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := node.Start(ctx, node.Config{Name: "a@127.0.0.1", Cookie: testCookie}); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

func TestReport(t *testing.T) {
	a := start(t, "a")
	b := start(t, "b", joining(a), func(c *node.Config) { c.Version = "v9" })
	connected(t, a, b)
	meshtest.Eventually(t, "a round trip", func() bool { r := a.Report(); return len(r.Peers) == 1 && r.Peers[0].RTT > 0 })
	r := a.Report()
	p := r.Peers[0]
	peer, _ := a.Peer(b.Name())
	if r.Self != a.ID() || r.Addr != a.Addr() || r.Routes != 1 || p.ID != b.ID() || !p.Connected || p.Conn != peer.Conn || !p.Routed ||
		p.Tick != tick || p.Addr != b.Addr() || p.Missed != 0 || time.Since(p.Since) > time.Minute || time.Since(p.Heard) > time.Minute {
		t.Errorf("%+v", r)
	}
	b.Disconnect(a.Name())
	meshtest.Eventually(t, "the end", func() bool { return !a.Report().Peers[0].Connected })
	if p := a.Report().Peers[0]; p.Previous != node.ReasonDisconnect || p.Conn != 0 || time.Since(p.Ended) > time.Minute {
		t.Errorf("%+v", p)
	}
}
