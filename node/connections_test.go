package node_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
)

func TestNETConnections(t *testing.T) {
	t.Run("NET-09_self", func(t *testing.T) {
		a, b := pair(t)
		if d, err := a.Ping(within(t), a.Name()); d != 0 || err != nil {
			t.Errorf("Ping: %v, %v", d, err)
		}
		if _, err := a.Connect(within(t), a.Name()); !errors.Is(err, node.ErrBadArgument) {
			t.Errorf("Connect: %v", err)
		}
		if a.Disconnect(a.Name()) {
			t.Error("Disconnect says that there was a session")
		}
		if got := a.Nodes(node.Connected); !slices.Equal(got, []string{b.Name()}) {
			t.Errorf("%v", got)
		}
	})
	t.Run("NET-11_NET-47_unknown_node", func(t *testing.T) {
		a, _ := pair(t)
		events := watch(t, a, node.WithHidden())
		const name = "nobody@127.0.0.1"
		began := time.Now()
		if _, err := a.Ping(within(t), name); !errors.Is(err, node.ErrNoNode) {
			t.Errorf("Ping: %v", err)
		}
		if _, err := a.Connect(within(t), name); !errors.Is(err, node.ErrNoNode) {
			t.Errorf("Connect: %v", err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %v to say so", took)
		}
		if a.Disconnect(name) {
			t.Error("Disconnect says that there was a session")
		}
		if got := events.all(); len(got) != 0 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("NET-13_unreachable_node_within_setup", func(t *testing.T) {
		m := meshtest.New(t, 2, meshtest.Configure(func(c *node.Config) { c.Setup = 2 * time.Second }))
		m.Cut(1, 2)
		meshtest.Eventually(t, "silence", func() bool { return !m.Connected(1, 2) })
		began := time.Now()
		_, err := m.Node(1).Ping(within(t), m.Node(2).Name())
		if took := time.Since(began); !errors.Is(err, node.ErrNotConnected) || took > 4*time.Second {
			t.Errorf("%v after %v", err, took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := m.Node(1).Connect(ctx, m.Node(2).Name()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a context of 50 ms: %v", err)
		}
	})
	t.Run("NET-14_disconnect", func(t *testing.T) {
		a, b := pair(t)
		atA, atB := watch(t, a), watch(t, b)
		if !a.Disconnect(b.Name()) {
			t.Error("Disconnect says that there was no session")
		}
		if a.Disconnect(b.Name()) {
			t.Error("the second Disconnect says that there was a session")
		}
		for _, e := range []node.Event{atA.await(t, 1), atB.await(t, 1)} {
			if e.Up || e.Reason != node.ReasonDisconnect || e.Evidence == "" {
				t.Errorf("%+v", e)
			}
		}
		if len(a.Nodes()) != 0 || len(b.Nodes()) != 0 {
			t.Errorf("%v, %v", a.Nodes(), b.Nodes())
		}
		time.Sleep(2 * tick) // nothing may happen: there is nothing to wait for
		if len(atA.all()) != 1 || len(atB.all()) != 1 {
			t.Errorf("%+v, %+v", atA.all(), atB.all())
		}
		if p, err := b.Connect(within(t), a.Name()); err != nil || p.ID != a.ID() {
			t.Errorf("Connect by the other: %v, %v", p, err)
		}
		connected(t, a, b)
	})
	t.Run("NET-15_the_next_signal_connects_again", func(t *testing.T) {
		a, b := pair(t)
		atA, atB := record(t, a), record(t, b)
		a.Disconnect(b.Name())
		meshtest.Eventually(t, "the end at both", func() bool { return len(a.Nodes()) == 0 && len(b.Nodes()) == 0 })
		send(t, b, a, "by the other")
		meshtest.Eventually(t, "the frame", func() bool { return slices.Contains(atA.frames(b.Name()), "by the other") })
		b.Disconnect(a.Name())
		send(t, b, a, "at once")
		meshtest.Eventually(t, "the frame", func() bool { return slices.Contains(atA.frames(b.Name()), "at once") })
		send(t, a, b, "back")
		meshtest.Eventually(t, "the frame", func() bool { return slices.Contains(atB.frames(a.Name()), "back") })
	})
	t.Run("NET-16_never", func(t *testing.T) {
		a := start(t, "a", auto(node.AutoNever))
		b := start(t, "b", auto(node.AutoNever), joining(a))
		record(t, a)
		record(t, b)
		meshtest.Eventually(t, "a route", func() bool { return a.Report().Routes == 1 && b.Report().Routes == 1 })
		if _, err := a.Ping(within(t), b.Name()); !errors.Is(err, node.ErrNotConnected) {
			t.Errorf("Ping: %v", err)
		}
		if err := a.Send(within(t), b.ID(), user, 0, nil); !errors.Is(err, node.ErrNotConnected) {
			t.Errorf("Send: %v", err)
		}
		if _, err := a.Connect(within(t), b.Name()); err != nil {
			t.Fatalf("Connect: %v", err)
		}
		connected(t, a, b)
		if _, err := b.Ping(within(t), a.Name()); err != nil {
			t.Errorf("Ping with a session: %v", err)
		}
		send(t, a, b, "x")
	})
	t.Run("NET-17_once", func(t *testing.T) {
		m := meshtest.New(t, 2, meshtest.Configure(auto(node.AutoOnce)))
		a, b := m.Node(1), m.Node(2)
		record(t, a)
		record(t, b)
		send(t, a, b, "first")
		m.Break(1, 2)
		meshtest.Eventually(t, "the loss", func() bool { return len(a.Nodes()) == 0 && len(b.Nodes()) == 0 })
		m.MendAll()
		meshtest.Eventually(t, "a route", func() bool { return a.Report().Routes == 1 && b.Report().Routes == 1 })
		began := time.Now()
		if _, err := a.Ping(within(t), b.Name()); !errors.Is(err, node.ErrNotConnected) {
			t.Errorf("Ping: %v", err)
		}
		if err := a.Send(within(t), b.ID(), user, 0, nil); !errors.Is(err, node.ErrNotConnected) {
			t.Errorf("Send: %v", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("to fail took %v", took)
		}
		if len(a.Nodes()) != 0 {
			t.Error("connected again unasked")
		}
		if _, err := b.Connect(within(t), a.Name()); err != nil {
			t.Fatal(err)
		}
		// The one who is called sees the session a message later, and this one does not open any itself.
		meshtest.Eventually(t, "the session at the one who was called", func() bool { return len(a.Nodes()) == 1 })
		send(t, a, b, "again")
	})
	t.Run("NET-18_everybody_through_one", func(t *testing.T) {
		a := start(t, "a")
		nodes := []*node.Node{a}
		for i := range 4 {
			nodes = append(nodes, start(t, fmt.Sprintf("n%d", i), joining(a)))
		}
		for i, x := range nodes {
			for _, y := range nodes[i+1:] {
				connected(t, x, y)
			}
		}
	})
	t.Run("NET-19_both_connect_at_once", func(t *testing.T) {
		a := start(t, "a", auto(node.AutoNever))
		b := start(t, "b", auto(node.AutoNever), joining(a))
		meshtest.Eventually(t, "a route", func() bool { return a.Report().Routes == 1 && b.Report().Routes == 1 })
		atA, atB := watch(t, a), watch(t, b)
		const rounds = 50
		for i := range rounds {
			var group sync.WaitGroup
			var x, y node.Peer
			var err1, err2 error
			group.Go(func() { x, err1 = a.Connect(t.Context(), b.Name()) })
			group.Go(func() { y, err2 = b.Connect(t.Context(), a.Name()) })
			group.Wait()
			if err1 != nil || err2 != nil || x.Conn != y.Conn {
				t.Fatalf("round %d: %v, %v; %v, %v", i, x, err1, y, err2)
			}
			a.Disconnect(b.Name())
			atA.await(t, 2*i+2)
			atB.await(t, 2*i+2)
		}
		if len(atA.all()) != 2*rounds || len(atB.all()) != 2*rounds {
			t.Errorf("%d and %d events in %d rounds", len(atA.all()), len(atB.all()), rounds)
		}
	})
	t.Run("NET-20_a_stop_is_seen_as_going_down", func(t *testing.T) {
		a, b := pair(t)
		events := watch(t, b)
		if err := a.Shutdown(within(t)); err != nil {
			t.Fatal(err)
		}
		if e := events.await(t, 1); e.Up || e.Reason != node.ReasonShutdown || e.Peer.ID != a.ID() {
			t.Errorf("%+v", e)
		}
		if len(b.Nodes()) != 0 {
			t.Errorf("%v", b.Nodes())
		}
	})
	t.Run("NET-07_allow_and_deny_lists", func(t *testing.T) {
		a := start(t, "a", func(c *node.Config) { c.Allow, c.Deny = []string{"good*@*"}, []string{"*bad@*"} })
		for name, want := range map[string]bool{"good": true, "goodbad": false, "other": false} {
			n := start(t, name, joining(a))
			_, err := n.Connect(within(t), a.Name())
			_, back := a.Connect(within(t), n.Name())
			switch {
			case want && (err != nil || back != nil):
				t.Errorf("%s: %v, %v", name, err, back)
			case !want && (!errors.Is(err, node.ErrRefused) || !errors.Is(back, node.ErrRefused)):
				t.Errorf("%s: %v, %v", name, err, back)
			}
		}
		if got := a.Nodes(); !slices.Equal(got, []string{"good@127.0.0.1"}) {
			t.Errorf("%v", got)
		}
		if _, err := tryStart(t, "x", func(c *node.Config) { c.Allow = []string{"["} }); !errors.Is(err, node.ErrBadArgument) {
			t.Errorf("a bad pattern: %v", err)
		}
	})
}

func TestNETHidden(t *testing.T) {
	v1 := start(t, "v1")
	v2 := start(t, "v2", joining(v1))
	connected(t, v1, v2)
	plain, only, all := watch(t, v1), watch(t, v1, node.OnlyHidden()), watch(t, v1, node.WithHidden())
	h := start(t, "h", hidden, joining(v1))
	atH := watch(t, h, node.OnlyHidden())
	meshtest.Eventually(t, "routes", func() bool { return h.Report().Routes == 2 })
	if _, err := h.Connect(within(t), v1.Name()); err != nil {
		t.Fatal(err)
	}
	connected(t, h, v1)
	t.Run("NET-21_lists_on_both_sides", func(t *testing.T) {
		for _, c := range []struct {
			n    *node.Node
			kind node.Kind
			want []string
		}{
			{v1, node.Visible, []string{v2.Name()}},
			{v1, node.HiddenNodes, []string{h.Name()}},
			{v1, node.Connected, []string{h.Name(), v2.Name()}},
			{v1, node.This, []string{v1.Name()}},
			{v1, node.This | node.Visible, []string{v1.Name(), v2.Name()}},
			{v1, node.Known, []string{h.Name(), v2.Name()}},
			{h, node.Visible, nil},
			{h, node.HiddenNodes, []string{v1.Name()}},
			{h, node.Connected, []string{v1.Name()}},
		} {
			if got := c.n.Nodes(c.kind); !slices.Equal(got, c.want) {
				t.Errorf("%s, kind %d: %v, want %v", c.n.Name(), c.kind, got, c.want)
			}
		}
		if got := v1.Nodes(); !slices.Equal(got, []string{v2.Name()}) {
			t.Errorf("without a kind: %v", got)
		}
		if p, ok := h.Peer(v1.Name()); !ok || !p.Hidden || !h.Hidden() {
			t.Errorf("%+v", p)
		}
	})
	t.Run("NET-22_not_connected_to_the_others", func(t *testing.T) {
		if got := v2.Nodes(node.Connected); !slices.Equal(got, []string{v1.Name()}) {
			t.Errorf("%v", got)
		}
	})
	t.Run("NET-23_monitors_by_type", func(t *testing.T) {
		if e := only.await(t, 1); !e.Up || !e.Peer.Hidden || e.Peer.ID != h.ID() {
			t.Errorf("%+v", e)
		}
		if e := all.await(t, 1); !e.Up || !e.Peer.Hidden {
			t.Errorf("%+v", e)
		}
		if e := atH.await(t, 1); !e.Up || e.Peer.ID != v1.ID() {
			t.Errorf("%+v", e)
		}
		v3 := start(t, "v3", joining(v1))
		if e := plain.await(t, 1); e.Peer.ID != v3.ID() || e.Peer.Hidden {
			t.Errorf("%+v", e)
		}
		if e := all.await(t, 2); e.Peer.ID != v3.ID() {
			t.Errorf("%+v", e)
		}
		if got := only.all(); len(got) != 1 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("NET-24_hidden_nodes_can_be_messaged", func(t *testing.T) {
		atH, atV := record(t, h), record(t, v1)
		send(t, h, v1, "to visible")
		send(t, v1, h, "to hidden")
		meshtest.Eventually(t, "both frames", func() bool {
			return len(atV.frames(h.Name())) == 1 && len(atH.frames(v1.Name())) == 1
		})
		if _, err := v2.Ping(within(t), h.Name()); err != nil {
			t.Errorf("a visible node asks for a hidden one: %v", err)
		}
		connected(t, v2, h)
	})
}
