package node_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
)

func TestNETMonitors(t *testing.T) {
	t.Run("NET-25_no_replay", func(t *testing.T) {
		a, _ := pair(t)
		events := watch(t, a)
		c := start(t, "c", joining(a))
		if e := events.await(t, 1); e.Peer.ID != c.ID() {
			t.Errorf("the first event is %+v", e)
		}
	})
	t.Run("NET-26_each_subscription_gets_a_copy", func(t *testing.T) {
		a := start(t, "a")
		var all []*events
		for range 20 {
			all = append(all, watch(t, a))
		}
		closed := a.Monitor()
		closed.Close()
		closed.Close()
		b := start(t, "b", joining(a))
		for _, e := range all {
			if got := e.await(t, 1); !got.Up || got.Peer.ID != b.ID() {
				t.Errorf("%+v", got)
			}
		}
		if e, ok := <-closed.Events(); ok {
			t.Errorf("a closed monitor gets %+v", e)
		}
	})
	t.Run("NET-27_options_are_independent", func(t *testing.T) {
		a := start(t, "a")
		one := watch(t, a, node.OnlyNode("c@127.0.0.1"))
		swapped := watch(t, a, node.WithHidden(), node.OnlyNode("c@127.0.0.1"))
		all := watch(t, a)
		b := start(t, "b", joining(a))
		c := start(t, "c", joining(a))
		for i, want := range []node.ID{b.ID(), c.ID()} {
			if e := all.await(t, i+1); e.Peer.ID != want {
				t.Errorf("%+v", e)
			}
		}
		for _, e := range []*events{one, swapped} {
			if got := e.await(t, 1); got.Peer.ID != c.ID() || len(e.all()) != 1 {
				t.Errorf("%+v", e.all())
			}
		}
	})
	t.Run("NET-30_lists_agree_with_events", func(t *testing.T) {
		a := start(t, "a")
		b := start(t, "b", joining(a))
		connected(t, a, b)
		var wrong atomic.Int32
		h := &looker{look: func(p node.Peer, up bool) {
			if slices.Contains(a.Nodes(), p.Name) != up {
				wrong.Add(1)
			}
			if now, ok := a.Peer(p.Name); ok != up || up && now != p {
				wrong.Add(1)
			}
		}}
		handle(t, a, h)
		record(t, b)
		for i := range int32(30) {
			if _, err := a.Connect(within(t), b.Name()); err != nil {
				t.Fatal(err)
			}
			meshtest.Eventually(t, "up", func() bool { return h.ups.Load() == i+1 })
			a.Disconnect(b.Name())
			meshtest.Eventually(t, "down", func() bool { return h.downs.Load() == i+1 })
		}
		if wrong.Load() != 0 {
			t.Errorf("%d times the list did not agree with the event", wrong.Load())
		}
	})
	t.Run("NET-32_ids_of_up_and_down", func(t *testing.T) {
		a := start(t, "a")
		events := watch(t, a)
		b := start(t, "b", joining(a))
		connected(t, a, b)
		atB := watch(t, b)
		const rounds = 20
		for range rounds {
			b.Disconnect(a.Name())
			if _, err := b.Connect(within(t), a.Name()); err != nil {
				t.Fatal(err)
			}
		}
		events.await(t, 2*rounds+1)
		seen := map[uint64]bool{}
		list := events.all()
		for i := 0; i+1 < len(list); i += 2 {
			up, down := list[i], list[i+1]
			if !up.Up || down.Up || up.Peer != down.Peer || seen[up.Peer.Conn] || up.At.After(down.At) {
				t.Fatalf("events %d: %+v, %+v", i, up, down)
			}
			seen[up.Peer.Conn] = true
		}
		for _, e := range atB.all() {
			if !e.Up && !seen[e.Peer.Conn] {
				t.Errorf("the other side knows a session %d", e.Peer.Conn)
			}
		}
	})
	t.Run("NET-34_a_closed_subscription_leaves_nothing", func(t *testing.T) {
		a, b := pair(t)
		for range 1000 {
			m := a.Monitor()
			if len(m.Events()) != 0 {
				t.Fatal("an event of the past")
			}
			m.Close()
		}
		// One that nobody reads holds nobody up, and can be closed while events wait.
		unread := a.Monitor()
		events := watch(t, a)
		for i := range 20 {
			a.Disconnect(b.Name())
			if _, err := a.Connect(within(t), b.Name()); err != nil {
				t.Fatal(err)
			}
			events.await(t, 2*i+2)
		}
		unread.Close()
	})
	t.Run("NET-37_a_monitor_of_one_node_connects", func(t *testing.T) {
		a := start(t, "a", auto(node.AutoNever))
		b := start(t, "b", auto(node.AutoNever), joining(a))
		meshtest.Eventually(t, "a route", func() bool { return a.Report().Routes == 1 })
		plain := watch(t, a, node.OnlyNode(b.Name()))
		if len(a.Nodes()) != 0 || len(plain.all()) != 0 {
			t.Error("a plain monitor connects")
		}
		at := watch(t, a, node.OnlyNode(b.Name()), node.Connecting())
		if e := at.await(t, 1); !e.Up || e.Peer.ID != b.ID() {
			t.Errorf("%+v", e)
		}
		nobody := watch(t, a, node.OnlyNode("nobody@127.0.0.1"), node.Connecting())
		if e := nobody.await(t, 1); e.Up || e.Reason != node.ReasonNoConnection || e.Peer.Name != "nobody@127.0.0.1" || e.Evidence == "" {
			t.Errorf("%+v", e)
		}
		self := watch(t, a, node.OnlyNode(a.Name()), node.Connecting())
		busy := a.Monitor(node.OnlyNode("x@127.0.0.1"), node.Connecting())
		busy.Close() // while it tries
		if len(self.all()) != 0 || len(nobody.all()) != 1 {
			t.Errorf("%+v, %+v", self.all(), nobody.all())
		}
	})
	t.Run("after_the_end", func(t *testing.T) {
		a, b := pair(t)
		m := a.Monitor()
		var list []node.Event
		done := make(chan struct{})
		go func() {
			defer close(done)
			for e := range m.Events() {
				list = append(list, e)
			}
		}()
		if err := a.Shutdown(within(t)); err != nil {
			t.Fatal(err)
		}
		<-done
		if _, ok := <-a.Monitor().Events(); ok {
			t.Error("a monitor of a closed node gets events")
		}
		_ = b
	})
}

// looker is a handler that looks at the node's lists.
type looker struct {
	look       func(p node.Peer, up bool)
	ups, downs atomic.Int32
}

func (l *looker) PeerUp(p node.Peer) {
	l.look(p, true)
	l.ups.Add(1)
}
func (l *looker) Frame(node.Peer, []byte) {}
func (l *looker) PeerDown(p node.Peer, _ node.Reason) {
	l.look(p, false)
	l.downs.Add(1)
}

// A fast flap, with 10,000 other subscriptions, while frames flow: each handler sees up, frames of that session only,
// down, and the next up after it (NET-28, NET-29, NET-31).
func TestNETFlap(t *testing.T) {
	t.Run("NET-31_with_10000_monitors", func(t *testing.T) {
		a, b := pair(t)
		turns := &turns{t: t}
		handle(t, a, turns)
		record(t, b)
		meshtest.Eventually(t, "the handlers know each other", func() bool { return turns.ups.Load() == 1 })
		const monitors, rounds = 10_000, 10
		var ups, downs, wrong atomic.Int64
		var group sync.WaitGroup
		list := make([]*node.Monitor, monitors)
		for i := range list {
			m := a.Monitor()
			list[i] = m
			group.Go(func() {
				wantUp := false // b is up when they subscribe
				for e := range m.Events() {
					if e.Up != wantUp {
						wrong.Add(1)
					}
					wantUp = !e.Up
					if e.Up {
						ups.Add(1)
					} else {
						downs.Add(1)
					}
				}
			})
		}
		stop := make(chan struct{})
		group.Go(func() {
			for pause := time.NewTicker(100 * time.Microsecond); ; {
				select {
				case <-stop:
					pause.Stop()
					return
				case <-pause.C:
					_ = b.Send(t.Context(), node.ID{Name: a.Name()}, user, node.NoConnect, []byte("x"))
				}
			}
		})
		for range rounds {
			a.Disconnect(b.Name())
			if _, err := a.Connect(within(t), b.Name()); err != nil {
				t.Fatal(err)
			}
			before := turns.frames.Load()
			meshtest.Eventually(t, "frames of the session", func() bool { return turns.frames.Load() >= before+3 })
		}
		close(stop)
		const want = rounds * monitors
		meshtest.Eventually(t, "all events", func() bool { return ups.Load() == want && downs.Load() == want }, time.Minute)
		for _, m := range list {
			m.Close()
		}
		group.Wait()
		if wrong.Load() != 0 {
			t.Errorf("%d events out of turn", wrong.Load())
		}
		if got := turns.ups.Load(); got != rounds+1 {
			t.Errorf("%d times up in %d rounds", got, rounds)
		}
	})
}

// turns is a handler that checks the order of what it sees of one peer: up, frames of that session, down.
type turns struct {
	t           *testing.T
	open        uint64 // belongs to the dispatcher, as the others
	past        map[uint64]bool
	ups, frames atomic.Int64
}

func (h *turns) PeerUp(p node.Peer) {
	if h.open != 0 || h.past[p.Conn] {
		h.t.Errorf("up of session %d while %d is up", p.Conn, h.open)
	}
	if h.past == nil {
		h.past = map[uint64]bool{}
	}
	h.open = p.Conn
	h.ups.Add(1)
}

func (h *turns) Frame(p node.Peer, _ []byte) {
	if p.Conn != h.open {
		h.t.Errorf("a frame of session %d while %d is up", p.Conn, h.open)
	}
	h.frames.Add(1)
}

func (h *turns) PeerDown(p node.Peer, _ node.Reason) {
	if p.Conn != h.open {
		h.t.Errorf("down of session %d while %d is up", p.Conn, h.open)
	}
	h.past[p.Conn], h.open = true, 0
}

// inTurn checks the same in what a recorder saw of one peer.
func inTurn(t *testing.T, list []happening) {
	t.Helper()
	h := &turns{t: t}
	for _, x := range list {
		switch x.kind {
		case "up":
			h.PeerUp(x.peer)
		case "down":
			h.PeerDown(x.peer, x.reason)
		default:
			h.Frame(x.peer, nil)
		}
	}
	if h.frames.Load() == 0 {
		t.Error("no frame came")
	}
}
