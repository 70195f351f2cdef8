package process

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func exitOf(t testing.TB, p *Process) Exit {
	t.Helper()
	m := receive(t, p)
	e, ok := m.(Exit)
	if !ok {
		t.Fatalf("%#v is no Exit", m)
	}
	return e
}

// linked reports whether p has an active link to pid.
func linked(p *Process, pid PID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.links.get(pid)
	return l != nil && l.unlinking == 0
}

func TestLINKLinks(t *testing.T) {
	t.Run("LINK-11_same_reason", func(t *testing.T) {
		places(t, func(t *testing.T, net *memNet, here, there *Runtime) {
			for _, hereDies := range []bool{true, false} {
				p := here.Attach()
				q := there.Spawn(obey)
				p.Link(q)
				net.settle()
				if hereDies {
					p.Detach(errOops)
				} else {
					send(t, there, q, errOops)
					_ = ended(t, there, q)
				}
				net.settle()
				if hereDies {
					if err := ended(t, there, q); !errors.Is(err, ErrNoProcess) && err.Error() != "oops" {
						t.Fatal(err)
					}
				} else if _, err := p.Receive(bg); err == nil || err.Error() != "oops" {
					t.Fatal(err)
				}
			}
		})
	})
	t.Run("LINK-12_trap_and_normal", func(t *testing.T) {
		places(t, func(t *testing.T, net *memNet, here, there *Runtime) {
			trapping, plain := here.Attach(WithTrapExit()), here.Attach()
			for _, reason := range []error{nil, errOops} {
				q := there.Spawn(obey)
				trapping.Link(q)
				plain.Link(q)
				net.settle()
				send(t, there, q, reason)
				_ = ended(t, there, q)
				net.settle()
				e := exitOf(t, trapping)
				if e.From != q || !e.Link || reason == nil && e.Reason != ErrNormal || reason != nil && e.Reason.Error() != "oops" {
					t.Fatalf("%+v", e)
				}
				if plain.exiting.Load() != (reason != nil) {
					t.Fatalf("exiting is wrong for %v", reason)
				}
			}
		})
	})
	t.Run("LINK-13_once", func(t *testing.T) {
		places(t, func(t *testing.T, net *memNet, here, there *Runtime) {
			p := here.Attach(WithTrapExit())
			q := there.Spawn(obey)
			p.Link(q)
			p.Link(q)
			net.settle()
			p.Link(q)
			there.Exit(q, ErrKill)
			net.settle()
			if e := exitOf(t, p); !errors.Is(e.Reason, ErrKilled) {
				t.Fatalf("%+v", e)
			}
			nothing(t, p)
		})
	})
	t.Run("LINK-14_LINK-24_dead", func(t *testing.T) {
		places(t, func(t *testing.T, net *memNet, here, there *Runtime) {
			q := there.Spawn(obey)
			there.Exit(q, ErrKill)
			p, plain := here.Attach(WithTrapExit()), here.Attach()
			p.Link(q)
			plain.Link(q)
			net.settle()
			if e := exitOf(t, p); !errors.Is(e.Reason, ErrNoProcess) || e.From != q || linked(p, q) {
				t.Fatalf("%+v", e)
			}
			if _, err := plain.Receive(bg); !errors.Is(err, ErrNoProcess) {
				t.Fatal(err)
			}
		})
	})
	t.Run("LINK-15_connection_lost", func(t *testing.T) {
		net := newMemNet(t)
		a, b := net.start("a@h"), net.start("b@h")
		p := a.Attach(WithTrapExit())
		q := b.Spawn(stay)
		p.Link(q)
		net.settle()
		net.cut("a@h", "b@h")
		net.settle()
		if e := exitOf(t, p); !errors.Is(e.Reason, ErrNoConnection) || e.From != q {
			t.Fatalf("%+v", e)
		}
		if err := ended(t, b, q); !errors.Is(err, ErrNoConnection) && !errors.Is(err, ErrNoProcess) {
			t.Fatal(err)
		}
		p.Link(PID{"x@h", 1, 1})
		if e := exitOf(t, p); !errors.Is(e.Reason, ErrNoConnection) {
			t.Fatalf("%+v", e)
		}
		if len(a.peers.byName) != 0 || len(b.peers.byName) != 0 {
			t.Fatal("something is left")
		}
	})
	t.Run("LINK-16_unlink", func(t *testing.T) {
		places(t, func(t *testing.T, net *memNet, here, there *Runtime) {
			p := here.Attach(WithTrapExit())
			q := there.Spawn(obey)
			p.Link(q)
			net.settle()
			there.Exit(q, ErrKill) // the exit is on its way
			p.Unlink(q)
			p.Unlink(q)
			net.settle()
			if here != there {
				nothing(t, p)
			}
			if linked(p, q) || len(here.peers.byName["b@h"].orEmpty().links.m) != 0 {
				t.Fatal("still linked")
			}
		})
	})
	t.Run("LINK-18_kill", func(t *testing.T) {
		places(t, func(t *testing.T, net *memNet, here, there *Runtime) {
			p := here.Attach(WithTrapExit())
			release := make(chan struct{})
			deaf := there.Spawn(func(self *Process) error { <-release; return nil }, WithTrapExit(), WithName("deaf"))
			p.Link(deaf)
			p.Monitor(deaf)
			net.settle()
			p.Exit(deaf, ErrKill)
			net.settle()
			if there.Alive(deaf) {
				t.Fatal("a killed process is alive")
			}
			if _, ok := there.Whereis("deaf"); ok {
				t.Fatal("its name is taken")
			}
			var reasons []error
			for range 2 {
				switch m := receive(t, p).(type) {
				case Exit:
					reasons = append(reasons, m.Reason)
				case Down:
					reasons = append(reasons, m.Reason)
				}
			}
			if !errors.Is(reasons[0], ErrKilled) || !errors.Is(reasons[1], ErrKilled) {
				t.Fatal(reasons)
			}
			close(release)
			// a process that itself ends with ErrKill can be trapped
			q := there.Spawn(obey)
			p.Link(q)
			net.settle()
			send(t, there, q, ErrKill)
			_ = ended(t, there, q)
			net.settle()
			if e := exitOf(t, p); !errors.Is(e.Reason, ErrKill) {
				t.Fatalf("%+v", e)
			}
		})
	})
	t.Run("LINK-19_exit_normal", func(t *testing.T) {
		places(t, func(t *testing.T, net *memNet, here, there *Runtime) {
			p := here.Attach()
			trapping, plain := there.Attach(WithTrapExit()), there.Attach()
			for _, q := range []*Process{trapping, plain} {
				p.Exit(q.PID(), ErrNormal)
				here.Exit(q.PID(), nil)
			}
			net.settle()
			if e := exitOf(t, trapping); e.From != p.PID() || e.Reason != ErrNormal || e.Link {
				t.Fatalf("%+v", e)
			}
			if e := exitOf(t, trapping); !e.From.IsZero() || e.Reason != ErrNormal {
				t.Fatalf("%+v", e)
			}
			nothing(t, plain)
			if plain.exiting.Load() {
				t.Fatal("normal is no reason to end")
			}
		})
	})
	t.Run("exit_cancels_context", func(t *testing.T) {
		places(t, func(t *testing.T, net *memNet, here, there *Runtime) {
			q := there.Spawn(func(self *Process) error {
				<-self.Context().Done()
				return errors.New("what it returns does not matter")
			})
			done := make(chan error, 1)
			there.Watch(q, func(err error) { done <- err })
			here.Exit(q, fmt.Errorf("%w: enough", ErrShutdown))
			net.settle()
			if err := <-done; !errors.Is(err, ErrShutdown) || err.Error() != "shutdown: enough" {
				t.Fatal(err)
			}
		})
	})
	t.Run("LINK-22_large_reason", func(t *testing.T) {
		net := newMemNet(t)
		a, b := net.start("a@h"), net.start("b@h")
		p := a.Attach()
		q := b.Spawn(obey)
		p.Monitor(q)
		net.settle()
		text := string(make([]byte, 5<<20))
		send(t, b, q, errors.New(text))
		_ = ended(t, b, q)
		net.settle()
		if d := down(t, p); d.Reason.Error() != text {
			t.Fatalf("%d bytes", len(d.Reason.Error()))
		}
	})
	t.Run("many_links", func(t *testing.T) {
		rt := alone(t)
		p := rt.Attach(WithTrapExit())
		const n = 1000
		var pids []PID
		for range n {
			pids = append(pids, rt.SpawnBehaviour(HandleFunc(func(*Process, Message) error { return errOops }), WithLink(p)))
		}
		for _, pid := range pids[:n/2] {
			p.Unlink(pid)
		}
		for _, pid := range pids {
			send(t, rt, pid, "end")
		}
		for range n / 2 {
			exitOf(t, p)
		}
		for _, pid := range pids {
			if rt.Alive(pid) {
				_ = ended(t, rt, pid)
			}
		}
		nothing(t, p)
		if len(p.links.few)+len(p.links.many.m) != 0 {
			t.Fatal("links are left")
		}
	})
}

// orEmpty lets tests look into a peer that may have been forgotten.
func (e *peer) orEmpty() *peer {
	if e == nil {
		return &peer{}
	}
	return e
}

// TestLINKAgreement lets two processes link and unlink at will while signals cross, and the session break: when all has
// come to rest, both sides agree, and nothing is left over (LINK-17).
func TestLINKAgreement(t *testing.T) {
	t.Run("LINK-17_random", rapid.MakeCheck(func(rt *rapid.T) {
		net := newMemNet(t)
		a, b := net.start("a@h"), net.start("b@h")
		p, q := a.Attach(WithTrapExit()), b.Attach(WithTrapExit())
		defer func() { _, _ = a.Close(), b.Close() }()
		join := func() {
			if net.conns[pairOf("a@h", "b@h")] == 0 {
				net.join("a@h", "b@h")
			}
		}
		join()
		rt.Repeat(map[string]func(*rapid.T){
			"a_links":   func(*rapid.T) { p.Link(q.PID()) },
			"b_links":   func(*rapid.T) { q.Link(p.PID()) },
			"a_unlinks": func(*rapid.T) { p.Unlink(q.PID()) },
			"b_unlinks": func(*rapid.T) { q.Unlink(p.PID()) },
			"a_to_b":    func(*rapid.T) { net.step("a@h", "b@h") },
			"b_to_a":    func(*rapid.T) { net.step("b@h", "a@h") },
			"breaks": func(*rapid.T) {
				if net.conns[pairOf("a@h", "b@h")] != 0 {
					net.cut("a@h", "b@h")
				}
			},
			"joins": func(*rapid.T) { join() },
		})
		join()
		net.settle()
		if linked(p, q.PID()) != linked(q, p.PID()) {
			rt.Fatalf("a: %v, b: %v", linked(p, q.PID()), linked(q, p.PID()))
		}
		for p.exitWaits() {
			_, _ = p.TryReceive()
		}
		want := 0
		if linked(p, q.PID()) {
			want = 1
		}
		for name, e := range map[string]*peer{"a": a.peers.byName["b@h"], "b": b.peers.byName["a@h"]} {
			if len(e.orEmpty().links.m) != want {
				rt.Fatalf("%s holds %d links, want %d", name, len(e.orEmpty().links.m), want)
			}
		}
		// If they are linked, the end of one is the end of the link at the other.
		q.Detach(errOops)
		net.settle()
		if got := p.exitWaits(); got != (want == 1) {
			rt.Fatalf("exit came: %v, linked: %v", got, want == 1)
		}
	}))
}

// exitWaits takes the next message and reports whether there was one.
func (p *Process) exitWaits() bool {
	_, ok := p.TryReceive()
	return ok
}
