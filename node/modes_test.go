package node_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/internal/freeport"
	"github.com/kith-mesh/kith/internal/natstest"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
)

// world is one way in which nodes can reach each other.
type world struct {
	t    testing.TB
	mode broker.Mode
	seed *node.Node // of the nodes that are servers of the cluster
	urls []string   // of the external cluster
	made int
}

// place completes the configuration of the next node. Around a leaf port, the first and every third node after it are
// servers of the cluster, so that all kinds of pairs occur.
func (w *world) place(c *node.Config) {
	i := w.made
	w.made++
	switch {
	case w.mode == broker.External:
		c.Mode, c.Servers = broker.External, []string{w.urls[i%len(w.urls)]}
	case w.seed == nil:
		if w.mode == broker.Leaf {
			c.LeafListen = "127.0.0.1:0"
		}
	case w.mode == broker.Leaf && i%3 != 0:
		c.Mode, c.Servers = broker.Leaf, []string{w.seed.LeafAddr()}
	default:
		c.Join = []string{w.seed.Addr()}
	}
}

func (w *world) start(name string, edit ...func(*node.Config)) *node.Node {
	w.t.Helper()
	n := start(w.t, name, append([]func(*node.Config){w.place}, edit...)...)
	if w.seed == nil {
		w.seed = n
	}
	return n
}

// spawn starts a node in a process of its own.
func (w *world) spawn(name string, tick time.Duration) *process {
	w.t.Helper()
	var c node.Config
	w.place(&c)
	return spawn(w.t, childSpec{Name: name + "@127.0.0.1", Join: c.Join, Tick: tick, Mode: c.Mode, Servers: c.Servers})
}

// noticed bounds how long the death of a process may go unnoticed: it is milliseconds where a route tells, a tick and a
// round trip where none does, plus what a crowded machine adds.
func (w *world) noticed() time.Duration {
	if w.mode == broker.Embedded {
		return tick
	}
	return 2 * tick
}

// inEveryMode runs a test in each of the three ways, the third through the cluster of the URLs.
func inEveryMode(t *testing.T, urls []string, test func(t *testing.T, w *world)) {
	t.Helper()
	for _, mode := range []broker.Mode{broker.Embedded, broker.Leaf, broker.External} {
		t.Run(mode.String(), func(t *testing.T) {
			test(t, &world{t: t, mode: mode, urls: urls})
		})
	}
}

// four starts four nodes, all connected.
func four(t *testing.T, w *world) (nodes []*node.Node) {
	t.Helper()
	for _, name := range []string{"a", "b", "c", "d"} {
		nodes = append(nodes, w.start(name))
	}
	full(t, nodes)
	return nodes
}

func full(t *testing.T, nodes []*node.Node) {
	t.Helper()
	for i, a := range nodes {
		for _, b := range nodes[i+1:] {
			connected(t, a, b)
		}
	}
}

// TestModes: what holds between nodes holds in every mode.
func TestModes(t *testing.T) {
	urls := natstest.Start(t, 2, "").URLs()
	t.Run("a_start_returns_with_all_connected", func(t *testing.T) {
		inEveryMode(t, urls, func(t *testing.T, w *world) {
			var nodes []*node.Node
			for i, name := range []string{"a", "b", "c", "d"} {
				n := w.start(name)
				if len(n.Nodes()) != i {
					t.Errorf("%s starts with %v", name, n.Nodes())
				}
				nodes = append(nodes, n)
			}
			full(t, nodes)
			for _, p := range nodes[1].Report().Peers {
				if !p.Connected || p.Routed != (w.mode == broker.Embedded) {
					t.Errorf("%+v", p)
				}
			}
		})
	})
	t.Run("order_of_sends_and_broadcasts", func(t *testing.T) {
		inEveryMode(t, urls, func(t *testing.T, w *world) { ordered(t, four(t, w)) })
	})
	t.Run("a_burst_meets_a_slow_receiver", func(t *testing.T) {
		inEveryMode(t, urls, slowReceiver)
	})
	t.Run("a_cookie_is_changed", func(t *testing.T) { inEveryMode(t, urls, rotates) })
	t.Run("own_certificates", func(t *testing.T) { inEveryMode(t, urls, provesNames) })
	t.Run("who_leaves_says_so", func(t *testing.T) { inEveryMode(t, urls, saysThatItLeaves) })
	t.Run("NET-43_closed", func(t *testing.T) {
		inEveryMode(t, urls, func(t *testing.T, w *world) {
			nodes := four(t, w)
			seen := []*events{watch(t, nodes[0]), watch(t, nodes[2]), watch(t, nodes[3])}
			began := time.Now()
			if err := nodes[1].Close(); err != nil {
				t.Fatal(err)
			}
			for _, e := range seen {
				if down := e.await(t, 1); down.Up || down.Reason != node.ReasonConnectionClosed || down.Peer.ID != nodes[1].ID() {
					t.Errorf("%+v", down)
				} else if took := down.At.Sub(began); took > w.noticed() {
					t.Errorf("noticed after %v", took)
				}
			}
		})
	})
	t.Run("NET-43_killed", func(t *testing.T) {
		inEveryMode(t, urls, func(t *testing.T, w *world) {
			a := w.start("a")
			e := watch(t, a)
			victim := w.spawn("b", tick)
			e.await(t, 1)
			began := time.Now()
			victim.signal(syscall.SIGKILL)
			if down := e.await(t, 2); down.Reason != node.ReasonConnectionClosed || down.At.Sub(began) > w.noticed() {
				t.Errorf("after %v: %+v", down.At.Sub(began), down)
			}
		})
	})
	t.Run("NET-40_frozen_and_thawed", func(t *testing.T) {
		inEveryMode(t, urls, func(t *testing.T, w *world) {
			a := w.start("a")
			e := watch(t, a)
			victim := w.spawn("b", tick)
			up := e.await(t, 1)
			victim.signal(syscall.SIGSTOP)
			began := time.Now()
			down := e.await(t, 2)
			victim.signal(syscall.SIGCONT)
			if took := down.At.Sub(began); down.Reason != node.ReasonTickTimeout || took < 3*tick || took > 6*tick {
				t.Errorf("after %v: %+v", took, down)
			}
			if again := e.await(t, 3); !again.Up || again.Peer.ID != up.Peer.ID || again.Peer.Conn == up.Peer.Conn {
				t.Errorf("%+v after %+v", again, up)
			}
		})
	})
	t.Run("a_clean_leave_and_a_new_life", func(t *testing.T) {
		inEveryMode(t, urls, func(t *testing.T, w *world) {
			nodes := four(t, w)
			seen := []*events{watch(t, nodes[0]), watch(t, nodes[1]), watch(t, nodes[3])}
			if err := nodes[2].Shutdown(within(t)); err != nil {
				t.Fatal(err)
			}
			for _, e := range seen {
				if down := e.await(t, 1); down.Up || down.Reason != node.ReasonShutdown {
					t.Errorf("%+v", down)
				}
			}
			again := w.start("c")
			for _, e := range seen {
				if up := e.await(t, 2); !up.Up || up.Peer.ID != again.ID() {
					t.Errorf("%+v", up)
				}
			}
		})
	})
	t.Run("NET-14_NET-15_disconnect_and_connect", func(t *testing.T) {
		inEveryMode(t, urls, func(t *testing.T, w *world) {
			nodes := four(t, w)
			b, c := nodes[1], nodes[2]
			atB, atC := watch(t, b), watch(t, c)
			if !b.Disconnect(c.Name()) {
				t.Fatal("not connected")
			}
			for _, e := range []*events{atB, atC} {
				if down := e.await(t, 1); down.Up || down.Reason != node.ReasonDisconnect {
					t.Errorf("%+v", down)
				}
			}
			if p, err := b.Connect(within(t), c.Name()); err != nil || p.ID != c.ID() {
				t.Errorf("%+v, %v", p, err)
			}
			connected(t, b, c)
			if d, err := c.Ping(within(t), b.Name()); err != nil || d <= 0 {
				t.Errorf("%v, %v", d, err)
			}
		})
	})
	t.Run("a_name_in_use", func(t *testing.T) {
		inEveryMode(t, urls, func(t *testing.T, w *world) {
			nodes := four(t, w)
			n, err := tryStart(t, "b", w.place)
			if !errors.Is(err, node.ErrNameInUse) {
				t.Errorf("%v, %v", n, err)
			}
			full(t, nodes)
		})
	})
	t.Run("NET-16_never_unasked", func(t *testing.T) {
		inEveryMode(t, urls, func(t *testing.T, w *world) {
			a, b := w.start("a", auto(node.AutoNever)), w.start("b", auto(node.AutoNever))
			if len(a.Nodes())+len(b.Nodes()) != 0 {
				t.Errorf("%v, %v", a.Nodes(), b.Nodes())
			}
			if _, err := b.Connect(within(t), a.Name()); err != nil {
				t.Error(err)
			}
			if _, err := b.Connect(within(t), "nobody@127.0.0.1"); !errors.Is(err, node.ErrNoNode) {
				t.Error(err)
			}
			connected(t, a, b)
		})
	})
	t.Run("NET-21_hidden", func(t *testing.T) {
		inEveryMode(t, urls, func(t *testing.T, w *world) {
			nodes := four(t, w)
			h := w.start("h", hidden)
			if len(h.Nodes(node.Connected)) != 0 {
				t.Errorf("connected to %v unasked", h.Nodes(node.Connected))
			}
			for _, n := range nodes[:3] {
				if _, err := h.Connect(within(t), n.Name()); err != nil {
					t.Error(err)
				}
				meshtest.Eventually(t, "the hidden node", func() bool { return len(n.Nodes(node.HiddenNodes)) == 1 })
				if len(n.Nodes()) != 3 {
					t.Errorf("visible: %v", n.Nodes())
				}
			}
			if len(nodes[3].Nodes(node.HiddenNodes)) != 0 {
				t.Errorf("hidden: %v", nodes[3].Nodes(node.HiddenNodes))
			}
		})
	})
}

// ordered has every node send and broadcast to all others at once, and looks at the order in which that arrives.
func ordered(t *testing.T, nodes []*node.Node) {
	t.Helper()
	at := make([]*recorder, len(nodes))
	for i, n := range nodes {
		at[i] = record(t, n)
		if err := n.Subscribe("news"); err != nil {
			t.Fatal(err)
		}
	}
	for i, from := range nodes {
		for j, to := range nodes {
			if i != j {
				send(t, from, to, "0") // behind the subscription
				meshtest.Eventually(t, "word of it", func() bool { return len(at[j].frames(from.Name())) == 1 })
			}
		}
	}
	const count = 1000
	done := make(chan error, len(nodes))
	for _, from := range nodes {
		go func() { done <- chatter(t, from, nodes, count) }()
	}
	for range nodes {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	for i, from := range nodes {
		for j := range nodes {
			if i == j {
				continue
			}
			meshtest.Eventually(t, "all frames", func() bool { return len(at[j].frames(from.Name())) == count+1 })
			for k, data := range at[j].frames(from.Name()) {
				if data != fmt.Sprint(k) {
					t.Fatalf("frame %d of %s is %s", k, from.Name(), data)
				}
			}
		}
	}
}

// chatter sends the numbers up to count to all others: each third to all at once.
func chatter(t *testing.T, from *node.Node, nodes []*node.Node, count int) error {
	var others []node.ID
	for _, n := range nodes {
		if n != from {
			others = append(others, n.ID())
		}
	}
	ctx := within(t)
	for i := 1; i <= count; i++ {
		data := fmt.Append(nil, i)
		if i%3 == 0 {
			if skipped, err := from.Broadcast(ctx, "news", user, slices.Clone(others), data); err != nil || len(skipped) > 0 {
				return fmt.Errorf("%v, %w", skipped, err)
			}
			continue
		}
		for _, id := range others {
			if err := from.Send(ctx, id, user, 0, data); err != nil {
				return err
			}
		}
	}
	return nil
}

// slowReceiver sends more than any buffer on the way holds to a node whose handler stands still for a while.
func slowReceiver(t *testing.T, w *world) {
	nodes := four(t, w)
	from, to := nodes[1], nodes[2]
	const count, size = 2000, 64 << 10 // over the 64 MiB that a NATS server keeps for a connection
	var taken atomic.Int64
	hold := make(chan struct{})
	handle(t, from, &recorder{})
	handle(t, to, &recorder{slow: func(data string) {
		if want := fmt.Sprintf("%06d", taken.Load()); !strings.HasPrefix(data, want) {
			t.Errorf("%s where %s is due", data[:6], want)
		}
		if taken.Add(1) == 10 {
			<-hold
		}
	}})
	send(t, from, to, "000000") // the protocol is known from here on
	sent := make(chan error, 1)
	go func() {
		for i := 1; i < count; i++ {
			data := make([]byte, size)
			copy(data, fmt.Sprintf("%06d", i))
			if err := from.Send(within(t), to.ID(), user, 0, data); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	meshtest.Eventually(t, "the handler at work", func() bool { return taken.Load() == 10 })
	select {
	case err := <-sent:
		t.Fatalf("the sender was not held up: %v", err)
	case <-time.After(5 * tick): // longer than the ticks that a frozen node is given
	}
	close(hold)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	meshtest.Eventually(t, "all frames", func() bool { return taken.Load() == count })
	if lost := to.Counters()["frames_lost"]; lost != 0 {
		t.Errorf("%d frames lost", lost)
	}
}

// TestExternalCookie: in somebody else's cluster no handshake keeps strangers out, so an announcement must show that its
// sender knows the cookie.
func TestExternalCookie(t *testing.T) {
	w := &world{t: t, mode: broker.External, urls: natstest.Start(t, 1, "").URLs()}
	a := w.start("a")
	stranger := w.start("stranger", func(c *node.Config) { c.Cookie = []byte("another cookie altogether") })
	other := w.start("other", func(c *node.Config) { c.Mesh = "other.mesh" })
	b := w.start("b")
	connected(t, a, b)
	for _, pair := range [][2]*node.Node{{a, stranger}, {stranger, a}} {
		meshtest.Eventually(t, "the reason at "+pair[0].Name(), func() bool {
			return slices.ContainsFunc(pair[0].Report().Refusals, func(r node.Refusal) bool {
				return r.Name == pair[1].Name() && r.Why == broker.ErrCookie.Error()
			})
		})
	}
	if _, err := stranger.Connect(within(t), a.Name()); !errors.Is(err, node.ErrNoNode) {
		t.Error(err)
	}
	if len(stranger.Nodes())+len(other.Nodes()) != 0 || len(a.Nodes()) != 1 || len(other.Report().Refusals) != 0 {
		t.Errorf("%v, %v, %v, %+v", stranger.Nodes(), other.Nodes(), a.Nodes(), other.Report().Refusals)
	}
}

// TestServerOfAnExternalClusterDies: its nodes go to another server, lose their sessions for a moment, and come back.
func TestServerOfAnExternalClusterDies(t *testing.T) {
	cluster := natstest.Start(t, 2, "")
	at := func(i int) func(*node.Config) {
		return func(c *node.Config) { c.Mode, c.Servers = broker.External, []string{cluster.URL(i)} }
	}
	a, b, c := start(t, "a", at(0)), start(t, "b", at(1)), start(t, "c", at(1))
	full(t, []*node.Node{a, b, c})
	atB := watch(t, b)
	cluster.Kill(0)
	if down := atB.await(t, 1); down.Up || down.Peer.ID != a.ID() {
		t.Errorf("%+v", down)
	}
	if up := atB.await(t, 2); !up.Up || up.Peer.ID != a.ID() {
		t.Errorf("%+v", up)
	}
	full(t, []*node.Node{a, b, c})
	for _, e := range atB.all() {
		if e.Peer.ID != a.ID() {
			t.Errorf("another pair was concerned: %+v", e)
		}
	}
}

// TestHubDies: leaf nodes go to the next leaf port of their list.
func TestHubDies(t *testing.T) {
	leafPort := func(c *node.Config) { c.LeafListen = "127.0.0.1:0" }
	a := start(t, "a", leafPort)
	b := start(t, "b", leafPort, joining(a))
	leaf := start(t, "leaf", func(c *node.Config) {
		c.Mode, c.Servers = broker.Leaf, []string{a.LeafAddr(), b.LeafAddr()}
	})
	full(t, []*node.Node{a, b, leaf})
	e := watch(t, leaf, node.OnlyNode(a.Name()))
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if down := e.await(t, 1); down.Up {
		t.Errorf("%+v", down)
	}
	meshtest.Eventually(t, "the leaf at the other hub", func() bool { return same(leaf, b) && len(leaf.Nodes()) == 1 })
}

// TestLeafBeforeItsHub: a leaf may be started first. It is ready once there is somebody to be reached through.
func TestLeafBeforeItsHub(t *testing.T) {
	addrs, err := freeport.Addrs(1)
	if err != nil {
		t.Fatal(err)
	}
	leaf := start(t, "leaf", func(c *node.Config) { c.Mode, c.Servers = broker.Leaf, addrs })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := leaf.WaitReady(ctx); !errors.Is(err, context.DeadlineExceeded) || leaf.Addr() != "" {
		t.Errorf("ready without a hub: %v, at %q", err, leaf.Addr())
	}
	hub := start(t, "hub", func(c *node.Config) { c.LeafListen = addrs[0] })
	if err := leaf.WaitReady(within(t)); err != nil || leaf.Addr() != addrs[0] {
		t.Errorf("%v, at %q", err, leaf.Addr())
	}
	connected(t, hub, leaf)
}
