package node_test

import (
	"errors"
	"testing"
	"time"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
)

func TestNETTicks(t *testing.T) {
	t.Run("NET-40_blackholed_peer_within_four_ticks", func(t *testing.T) {
		for _, d := range []time.Duration{100 * time.Millisecond, 400 * time.Millisecond} {
			m := meshtest.New(t, 3, meshtest.Tick(d))
			at := watch(t, m.Node(1))
			m.Cut(1, 2)
			cut := time.Now()
			e := at.await(t, 1)
			took := e.At.Sub(cut)
			if e.Up || e.Reason != node.ReasonTickTimeout || e.Peer.ID != m.Node(2).ID() {
				t.Errorf("%+v", e)
			}
			// The last sign of life is at most one tick older than the cut.
			if took < 3*d-d/10 || took > 5*d {
				t.Errorf("it took %v with ticks of %v", took, d)
			}
			if !m.Connected(1, 3) || !m.Connected(2, 3) {
				t.Error("others are affected")
			}
			m.Mend(1, 2)
			meshtest.Eventually(t, "a new session", func() bool { return m.Connected(1, 2) })
		}
	})
	t.Run("NET-33_one_way_loss_is_silence", func(t *testing.T) {
		m := meshtest.New(t, 2)
		at1, at2 := watch(t, m.Node(1)), watch(t, m.Node(2))
		m.CutOneWay(1, 2)
		if e := at2.await(t, 1); e.Reason != node.ReasonTickTimeout {
			t.Errorf("%+v", e)
		}
		if e := at1.await(t, 1); e.Up || e.Reason != node.ReasonTickTimeout {
			t.Errorf("%+v", e)
		}
		m.MendAll()
		meshtest.Eventually(t, "a new session", func() bool { return m.Connected(1, 2) })
	})
	t.Run("NET-39_frames_count_as_life", func(t *testing.T) {
		// That frames alone do is proved in package membership. Here: a pair that is saturated with them stays.
		a, b := pair(t, ticking(100*time.Millisecond))
		record(t, a)
		handle(t, b, &silent{})
		events := watch(t, a)
		data := make([]byte, 10_000)
		for began := time.Now(); time.Since(began) < 3*time.Second; {
			if err := a.Send(within(t), b.ID(), user, 0, data); err != nil {
				if errors.Is(err, node.ErrNoProtocol) {
					continue
				}
				t.Fatal(err)
			}
		}
		if list := events.all(); len(list) != 0 {
			t.Errorf("%+v", list)
		}
	})
	t.Run("NET-42_an_idle_pair_stays", func(t *testing.T) {
		a, b := pair(t, ticking(50*time.Millisecond))
		atA, atB := watch(t, a), watch(t, b)
		time.Sleep(3 * time.Second) // 60 ticks in which nothing may happen
		if len(atA.all())+len(atB.all()) != 0 {
			t.Errorf("%+v, %+v", atA.all(), atB.all())
		}
	})
	t.Run("NET-43_a_closed_connection_at_once", func(t *testing.T) {
		m := meshtest.New(t, 2, meshtest.Tick(10*time.Second))
		at := watch(t, m.Node(1))
		began := time.Now()
		m.Kill(2)
		e := at.await(t, 1)
		if took := e.At.Sub(began); took > time.Second || e.Reason != node.ReasonConnectionClosed {
			t.Errorf("%v after %v", e, took)
		}
	})
	t.Run("NET-43_a_broken_route_of_a_living_pair_is_no_death", func(t *testing.T) {
		// Both ends see the other close the connection; the address answers; the route comes back. Membership holds.
		m := meshtest.New(t, 3, meshtest.Tick(2*time.Second))
		at := watch(t, m.Node(3))
		for range 3 {
			m.Break(1, 2)
			meshtest.Eventually(t, "the loss", func() bool { return !m.Connected(1, 2) })
			m.Mend(1, 2)
			m.WaitFull()
		}
		if list := at.all(); len(list) != 0 {
			t.Errorf("the third is affected: %+v", list)
		}
	})
	t.Run("NET-45_change_at_run_time", func(t *testing.T) {
		a, b := pair(t, ticking(100*time.Millisecond))
		atA, atB := watch(t, a), watch(t, b)
		for _, d := range []time.Duration{5 * time.Second, 20 * time.Millisecond, 20 * time.Millisecond, time.Second, 50 * time.Millisecond} {
			if err := a.SetTick(d); err != nil {
				t.Fatal(err)
			}
			if a.Tick() != d {
				t.Errorf("%v, want %v", a.Tick(), d)
			}
			meshtest.Eventually(t, "the news at the peer", func() bool { r := b.Report(); return len(r.Peers) == 1 && r.Peers[0].Tick == d })
			time.Sleep(500 * time.Millisecond) // more than four of the old and of the short ones
		}
		if len(atA.all())+len(atB.all()) != 0 {
			t.Errorf("%+v, %+v", atA.all(), atB.all())
		}
		if err := a.SetTick(9 * time.Millisecond); !errors.Is(err, node.ErrBadArgument) {
			t.Errorf("%v", err)
		}
	})
	t.Run("NET-46_mixed_intervals", func(t *testing.T) {
		a := start(t, "a", ticking(20*time.Millisecond))
		b := start(t, "b", ticking(10*time.Second), joining(a))
		c := start(t, "c", ticking(200*time.Millisecond), joining(a))
		for _, p := range [][2]*node.Node{{a, b}, {a, c}, {b, c}} {
			connected(t, p[0], p[1])
		}
		at := []*events{watch(t, a), watch(t, b), watch(t, c)}
		time.Sleep(2 * time.Second) // in which nothing may happen
		for _, e := range at {
			if len(e.all()) != 0 {
				t.Errorf("%+v", e.all())
			}
		}
	})
}

// silent is a handler that does nothing.
type silent struct{}

func (silent) PeerUp(node.Peer)                {}
func (silent) Frame(node.Peer, []byte)         {}
func (silent) PeerDown(node.Peer, node.Reason) {}
