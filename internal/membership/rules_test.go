package membership

import (
	"errors"
	"testing"
	"time"

	"github.com/kith-mesh/kith/internal/wire"
)

// duo is two names with a session.
func duo(t *testing.T, edit ...func(*Config)) (s *sim, a, b *life) {
	t.Helper()
	s = newSim(1, 2, t.Fatalf)
	a, b = s.start(0, edit...), s.start(1, edit...)
	if !s.runUntil(10*time.Second, s.full) {
		t.Fatal(s.missing())
	}
	return s, a, b
}

func (n *life) latest() change {
	if len(n.history) == 0 {
		return change{}
	}
	return n.history[len(n.history)-1]
}

func (n *life) sees(o *life) bool { x := n.up[o.id.Name]; return x != nil && x.peer == o.id }

func every(d time.Duration) func(*Config) { return func(c *Config) { c.Interval = d } }
func opens(a Auto) func(*Config)          { return func(c *Config) { c.Auto = a } }
func invisible(c *Config)                 { c.Self.Hidden = true }
func both(a, b *life) bool                { return a.sees(b) && b.sees(a) }
func neither(a, b *life) bool             { return !a.sees(b) && !b.sees(a) }
func (s *sim) seconds(n int)              { s.run(time.Duration(n) * time.Second) }
func (n *life) failure(why Why) (seen int) {
	return count(n.failed, func(f failure) bool { return f.why == why })
}

func count[T any](list []T, match func(T) bool) (n int) {
	for _, x := range list {
		if match(x) {
			n++
		}
	}
	return n
}

func TestNET(t *testing.T) {
	t.Run("NET-09_connect_to_self_changes_nothing", func(t *testing.T) {
		s, a, _ := duo(t)
		before := len(a.table.peer)
		a.table.Connect(s.now, a.id)
		a.table.Seen(s.now, a.cfg.Self)
		if len(a.table.peer) != before || len(a.failed) != 0 {
			t.Errorf("%d peers, %v", len(a.table.peer), a.failed)
		}
	})
	t.Run("NET-11_no_event_for_a_setup_that_never_came_up", func(t *testing.T) {
		s := newSim(1, 2, t.Fatalf)
		a, b := s.start(0), s.start(1, opens(AutoNever))
		s.cut(0, 1)
		a.control(func() { a.table.Connect(s.now, b.id) })
		s.seconds(20)
		if len(a.history) != 0 || a.failure(NoAnswer) == 0 {
			t.Errorf("%v, %v", a.history, a.failed)
		}
	})
	t.Run("NET-13_an_attempt_ends_within_setup", func(t *testing.T) {
		for _, setup := range []time.Duration{300 * time.Millisecond, 2 * time.Second} {
			s := newSim(1, 2, t.Fatalf)
			a := s.start(0, func(c *Config) { c.Setup = setup })
			began := s.now
			a.control(func() { a.table.Connect(s.now, ID{"n1@h", 9}) })
			s.runUntil(time.Minute, func() bool { return len(a.failed) > 0 })
			if took := s.now.Sub(began); took < setup || took > setup+time.Second {
				t.Errorf("it took %v with a setup of %v", took, setup)
			}
		}
	})
	t.Run("NET-14_disconnect_stays_until_somebody_wishes", func(t *testing.T) {
		s, a, b := duo(t)
		a.disconnect(b.id.Name)
		s.seconds(60)
		if !neither(a, b) || a.latest().why != Disconnect || b.latest().why != Disconnect {
			t.Fatalf("%v, %v", a.latest(), b.latest())
		}
		s.unroute(0, 1, true) // the route may come and go
		s.seconds(60)
		if !neither(a, b) {
			t.Fatal("a new route took the disconnect back")
		}
	})
	for _, wisher := range []string{"NET-15_the_one_who_disconnected_wishes", "NET-15_the_other_wishes"} {
		t.Run(wisher, func(t *testing.T) {
			s, a, b := duo(t)
			a.disconnect(b.id.Name)
			s.seconds(5)
			if wisher == "NET-15_the_other_wishes" {
				b.connect(a.id.Name)
			} else {
				a.connect(b.id.Name)
			}
			if !s.runUntil(time.Second, func() bool { return both(a, b) }) {
				t.Fatal("no session after a wish")
			}
		})
	}
	t.Run("NET-15_after_a_wish_it_comes_back_by_itself_again", func(t *testing.T) {
		for _, wisher := range []int{0, 1} {
			s, a, b := duo(t)
			a.disconnect(b.id.Name)
			s.seconds(5)
			s.lives[wisher].connect(s.names[1-wisher])
			s.seconds(1)
			a.gap(a.up[b.id.Name])
			s.seconds(5)
			if !both(a, b) {
				t.Errorf("wished by %d: %v, %v", wisher, a.history, b.history)
			}
		}
	})
	t.Run("NET-16_never_opens_only_for_a_wish", func(t *testing.T) {
		s := newSim(1, 2, t.Fatalf)
		a, b := s.start(0, opens(AutoNever)), s.start(1, opens(AutoNever))
		s.seconds(30)
		if !neither(a, b) || a.table.Unasked(b.id.Name) {
			t.Fatal("a session opened unasked")
		}
		a.connect(b.id.Name)
		if !s.runUntil(time.Second, func() bool { return both(a, b) }) {
			t.Fatal("no session after a wish")
		}
	})
	t.Run("NET-17_once_is_once_until_a_wish", func(t *testing.T) {
		s, a, b := duo(t, opens(AutoOnce))
		if !a.table.Unasked(b.id.Name) {
			t.Error("barred before the first session was lost")
		}
		s.unroute(0, 1, true)
		a.gap(a.up[b.id.Name])
		s.seconds(60)
		if !neither(a, b) || a.table.Unasked(b.id.Name) || b.table.Unasked(a.id.Name) {
			t.Fatal("it opened again unasked")
		}
		b.connect(a.id.Name)
		if !s.runUntil(time.Second, func() bool { return both(a, b) }) {
			t.Fatal("no session after a wish")
		}
		s.kill(1)
		b = s.start(1, opens(AutoOnce)) // a new life, whose own first session is still to come
		if !s.runUntil(10*time.Second, func() bool { return both(a, b) }) {
			t.Fatal("the peer connects to us, and is not heard")
		}
	})
	t.Run("NET-18_all_get_connected", func(t *testing.T) {
		s := newSim(1, 4, t.Fatalf)
		for i := range s.names {
			s.start(i)
		}
		if !s.runUntil(5*time.Second, s.full) {
			t.Fatal(s.missing())
		}
	})
	t.Run("NET-19_simultaneous_open_gives_one", func(t *testing.T) {
		for seed := range uint64(300) {
			s := newSim(seed, 2, t.Fatalf)
			s.delay = 100 * time.Millisecond
			a, b := s.start(0, opens(AutoNever)), s.start(1, opens(AutoNever))
			s.seconds(1)
			a.connect(b.id.Name)
			b.connect(a.id.Name)
			s.seconds(30)
			if !both(a, b) || len(a.history) != 1 || len(b.history) != 1 || a.latest().conn != b.latest().conn {
				t.Fatalf("seed %d: %v, %v", seed, a.history, b.history)
			}
		}
	})
	t.Run("NET-20_a_leave_is_a_shutdown_and_nothing_opens_again", func(t *testing.T) {
		s, a, b := duo(t)
		a.leave()
		s.seconds(20)
		if b.latest().why != Shutdown || b.sees(a) {
			t.Errorf("%v", b.latest())
		}
	})
	t.Run("NET-22_hidden_nodes_are_not_connected_unasked", func(t *testing.T) {
		s := newSim(1, 3, t.Fatalf)
		h, v, w := s.start(0, invisible), s.start(1), s.start(2)
		s.seconds(20)
		if !neither(h, v) || !neither(h, w) || !both(v, w) {
			t.Fatalf("%v, %v", h.up, v.up)
		}
		h.connect(v.id.Name)
		s.seconds(20)
		if !both(h, v) || !neither(h, w) {
			t.Fatalf("%v, %v", h.up, w.up)
		}
	})
	t.Run("NET-32_a_reconnect_has_a_new_id", func(t *testing.T) {
		s, a, b := duo(t)
		old := a.up[b.id.Name].conn
		a.gap(a.up[b.id.Name])
		s.seconds(5)
		if !both(a, b) || a.up[b.id.Name].conn == old {
			t.Errorf("%v", a.history)
		}
	})
	t.Run("NET-33_reasons_agree_on_both_sides", func(t *testing.T) {
		s, a, b := duo(t)
		a.gap(a.up[b.id.Name])
		s.seconds(5)
		if a.history[1].why != Gap || b.history[1].why != Gap {
			t.Errorf("gap: %v, %v", a.history, b.history)
		}
		s.cut(0, 1)
		s.seconds(10)
		s.mend(0, 1)
		s.seconds(10)
		if a.history[3].why != TickTimeout || b.history[3].why != TickTimeout || !both(a, b) {
			t.Errorf("cut: %v, %v", a.history, b.history)
		}
		s.kill(1)
		s.seconds(1)
		if got := a.latest(); got.why != ConnectionClosed || got.up {
			t.Errorf("killed: %v", got)
		}
	})
	t.Run("NET-39_frames_alone_keep_a_peer_alive", func(t *testing.T) {
		s, a, b := duo(t)
		before := len(a.history)
		s.mute = true // no tick arrives
		for range 60 {
			a.frames(a.up[b.id.Name], 1)
			b.frames(b.up[a.id.Name], 1)
			s.seconds(1)
		}
		if len(a.history) != before {
			t.Errorf("%v", a.history)
		}
	})
	t.Run("NET-42_an_idle_pair_stays", func(t *testing.T) {
		s, a, b := duo(t)
		s.seconds(3600)
		if len(a.history)+len(b.history) != 2 {
			t.Errorf("%v, %v", a.history, b.history)
		}
	})
	t.Run("NET-43_a_killed_peer_is_found_by_its_connection", func(t *testing.T) {
		s, a, _ := duo(t)
		at := s.now
		s.kill(1)
		s.seconds(2)
		if got := a.latest(); got.up || got.at.Sub(at) > 20*time.Millisecond {
			t.Errorf("%v after %v", got, got.at.Sub(at))
		}
	})
	t.Run("NET-43_a_route_that_we_gave_up_decides_nothing", func(t *testing.T) {
		s, a, b := duo(t)
		before := s.changes()
		s.unroute(0, 1, false)
		s.run(600 * time.Millisecond)
		if s.changes() != before || !both(a, b) {
			t.Errorf("%v, %v", a.history, b.history)
		}
	})
	t.Run("NET-44_a_thawed_node_gets_a_new_session", func(t *testing.T) {
		s, a, b := duo(t)
		old := a.up[b.id.Name].conn
		b.freeze(20 * time.Second)
		s.seconds(10)
		if a.sees(b) || a.latest().why != TickTimeout {
			t.Fatalf("%v", a.latest())
		}
		s.seconds(20)
		if !both(a, b) || a.up[b.id.Name].conn == old || b.history[1].why != TickTimeout {
			t.Errorf("%v, %v", a.history, b.history)
		}
	})
	t.Run("NET-07_policy_refuses_both_ways", func(t *testing.T) {
		deny := errors.New("not on the list")
		for _, who := range []int{0, 1} {
			s := newSim(1, 2, t.Fatalf)
			for i := range s.names {
				s.start(i, func(c *Config) {
					if i == who {
						c.Admit = func(wire.Info) error { return deny }
					}
				})
			}
			s.seconds(30)
			a, b := s.lives[who], s.lives[1-who]
			if !neither(a, b) || a.failure(NotAllowed) == 0 {
				t.Errorf("%v, %v", a.history, a.failed)
			}
			tries := len(b.failed)
			b.connect(a.id.Name)
			s.seconds(1)
			if len(b.failed) == tries {
				t.Error("the other is not told")
			}
		}
	})
}

// TestFourMissedTicks pins both bounds of NET-40, for the intervals of both sides, over many seeds; a shorter interval
// tightens them, which NET-41 wants of a higher intensity.
func TestFourMissedTicks(t *testing.T) {
	for _, c := range []struct{ own, peer time.Duration }{
		{time.Second, time.Second}, {100 * time.Millisecond, time.Second}, {time.Second, 100 * time.Millisecond},
		{15 * time.Second, time.Second}, {10 * time.Millisecond, 10 * time.Millisecond},
	} {
		t.Run("NET-40_own_"+c.own.String()+"_peer_"+c.peer.String(), func(t *testing.T) {
			for seed := range uint64(50) {
				s := newSim(seed, 2, t.Fatalf)
				s.delay = time.Millisecond
				a, b := s.start(0, every(c.own)), s.start(1, every(c.peer))
				if !s.runUntil(10*time.Second, s.full) {
					t.Fatal(s.missing())
				}
				s.run(s.random(3 * c.peer))
				b.freeze(time.Hour)
				frozen := s.now
				if !s.runUntil(time.Hour, func() bool { return !a.sees(b) }) {
					t.Fatal("it is never found")
				}
				heard := a.lastHeard
				if silent := s.now.Sub(heard); silent < Misses*c.peer || silent > Misses*c.peer+c.peer/2+5*time.Millisecond {
					t.Fatalf("seed %d: down %v after the last sign of life, with ticks of %v", seed, silent, c.peer)
				}
				// Since a tick is due every interval, the freeze is at most one interval older than the last of them.
				if took := s.now.Sub(frozen); took < (Misses-1)*c.peer-5*time.Millisecond || took > (Misses+1)*c.peer {
					t.Fatalf("seed %d: down %v after the freeze, with ticks of %v", seed, took, c.peer)
				}
				if a.latest().why != TickTimeout {
					t.Fatalf("%v", a.latest())
				}
			}
		})
	}
}

// TestASleeperBlamesNobody has the judge itself stand still (decision 9).
func TestASleeperBlamesNobody(t *testing.T) {
	for _, sleep := range []time.Duration{1100 * time.Millisecond, 3 * time.Second, 3900 * time.Millisecond} {
		t.Run(sleep.String(), func(t *testing.T) {
			s, a, b := duo(t)
			for range 20 {
				a.freeze(sleep)
				s.run(sleep + 10*time.Second)
			}
			if a.judged != 0 {
				t.Errorf("after its own sleep it says %d times that the other was silent", a.judged)
			}
			if sleep < 3*time.Second && len(a.history)+len(b.history) != 2 {
				t.Errorf("%v, %v", a.history, b.history)
			}
		})
	}
	t.Run("by_the_peers_ticks", func(t *testing.T) {
		s := newSim(1, 2, t.Fatalf)
		s.start(0)
		s.start(1, every(100*time.Millisecond))
		s.seconds(5)
		for range 20 { // under one tick of its own, and many of the peer's
			s.lives[0].freeze(800 * time.Millisecond)
			s.seconds(10)
		}
		if s.changes() != 2 {
			t.Errorf("%v", s.lives[0].history)
		}
	})
	t.Run("a_dead_peer_is_found_after_waking", func(t *testing.T) {
		// What was heard must not lie in the future: a minute's sleep would else hide a peer's death for a minute.
		s, a, b := duo(t)
		a.freeze(time.Minute)
		s.seconds(30)
		a.stalled = append(a.stalled, func() {
			a.table.Receive(s.now, wire.Control{Verb: wire.Alive, From: wire.Info{Name: b.id.Name, Incarnation: b.id.Incarnation}}, false)
		})
		s.cut(0, 1)
		s.seconds(30)
		s.run(6 * time.Second)
		if a.sees(b) {
			t.Error("6 s after waking a silent peer still counts")
		}
	})
}

func TestIntervals(t *testing.T) {
	t.Run("NET-45_a_longer_interval_at_once", func(t *testing.T) {
		s, a, b := duo(t, every(50*time.Millisecond))
		a.control(func() { a.table.SetInterval(s.now, 20*time.Second) })
		s.seconds(120)
		if len(a.history)+len(b.history) != 2 {
			t.Errorf("%v, %v", a.history, b.history)
		}
	})
	t.Run("NET-45_a_shorter_interval_at_once", func(t *testing.T) {
		s, a, b := duo(t, every(20*time.Second))
		a.control(func() { a.table.SetInterval(s.now, 50*time.Millisecond) })
		s.seconds(60)
		if len(a.history)+len(b.history) != 2 {
			t.Errorf("%v, %v", a.history, b.history)
		}
		a.freeze(time.Minute)
		s.seconds(1)
		if b.sees(a) {
			t.Error("the new interval does not count")
		}
	})
	t.Run("NET-46_mixed_intervals_live_together", func(t *testing.T) {
		s := newSim(1, 3, t.Fatalf)
		for i, d := range []time.Duration{10 * time.Millisecond, time.Second, 15 * time.Second} {
			s.start(i, every(d))
		}
		s.seconds(120)
		if !s.full() || s.changes() != 6 {
			t.Errorf("%d changes: %s", s.changes(), s.missing())
		}
	})
}

// What a peer says of its interval is believed within reason: nothing at all, or four times the greatest number, would have
// it down at once, and this node busy.
func TestUnreasonableIntervals(t *testing.T) {
	for said, want := range map[time.Duration]time.Duration{
		1: minInterval, -1: time.Second, 0: time.Second, time.Minute: time.Minute, 1 << 62: maxInterval,
	} {
		p := &peer{}
		p.setInterval(said)
		if got := p.tickInterval(time.Second); got != want || Misses*got <= 0 {
			t.Errorf("%v is taken as %v, want %v", said, got, want)
		}
	}
}

// Whoever asks a node that is leaving for a session is told so, and none is tried.
func TestConnectWhileLeaving(t *testing.T) {
	s, a, _ := duo(t)
	a.table.Leave(s.now)
	other := ID{Name: "c@h", Incarnation: 9}
	a.table.Connect(s.now, other)
	if a.failure(Leaving) != 1 || a.table.Knows(other) {
		t.Errorf("%d failures, an attempt: %v", a.failure(Leaving), a.table.Knows(other))
	}
}
