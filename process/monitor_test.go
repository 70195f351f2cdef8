package process

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// stay runs until it is told to end.
func stay(self *Process) error {
	<-self.Context().Done()
	return nil
}

// obey ends with the error it receives.
func obey(self *Process) error {
	m, err := self.Receive(bg)
	if err != nil {
		return err
	}
	if err, ok := m.(error); ok {
		return err
	}
	return nil
}

func down(t testing.TB, p *Process) Down {
	t.Helper()
	m := receive(t, p)
	d, ok := m.(Down)
	if !ok {
		t.Fatalf("%#v is no Down", m)
	}
	return d
}

var errOops = errors.New("oops")

// places runs a test with the observed process on the same node, and on another one.
func places(t *testing.T, f func(t *testing.T, net *memNet, here, there *Runtime)) {
	t.Run("local", func(t *testing.T) {
		net := newMemNet(t)
		rt := net.start("a@h")
		f(t, net, rt, rt)
	})
	t.Run("remote", func(t *testing.T) {
		net := newMemNet(t)
		a, b := net.start("a@h"), net.start("b@h")
		net.join("a@h", "b@h")
		net.settle()
		f(t, net, a, b)
	})
}

func TestLINKMonitors(t *testing.T) {
	t.Run("LINK-01_down_reason", func(t *testing.T) {
		places(t, func(t *testing.T, net *memNet, here, there *Runtime) {
			self := here.Attach()
			for _, want := range []error{errOops, ErrNormal, ErrShutdown, nil} {
				pid := there.Spawn(obey)
				m := self.Monitor(pid)
				net.settle()
				send(t, there, pid, want)
				if want == nil {
					want = ErrNormal
				}
				_ = ended(t, there, pid)
				net.settle()
				d := down(t, self)
				if d.Monitor != m || d.Target != pid || d.Reason.Error() != want.Error() {
					t.Fatalf("%+v", d)
				}
				if want != errOops && !errors.Is(d.Reason, want) {
					t.Fatalf("%#v is not %v", d.Reason, want)
				}
			}
		})
	})
	t.Run("LINK-01_panic", func(t *testing.T) {
		places(t, func(t *testing.T, net *memNet, here, there *Runtime) {
			self := here.Attach()
			pid := there.Spawn(func(self *Process) error {
				_, _ = self.Receive(bg)
				var none []int
				return fmt.Errorf("%d", none[len(none)])
			})
			self.Monitor(pid)
			net.settle()
			send(t, there, pid, "go")
			_ = ended(t, there, pid)
			net.settle()
			pe, ok := errors.AsType[*PanicError](down(t, self).Reason)
			if !ok || !strings.Contains(pe.Error(), "out of range") || !strings.Contains(string(pe.Stack), "monitor_test.go") {
				t.Fatalf("%v", pe)
			}
		})
	})
	t.Run("LINK-02_noproc", func(t *testing.T) {
		places(t, func(t *testing.T, net *memNet, here, there *Runtime) {
			self := here.Attach()
			pid := there.Spawn(obey)
			there.Exit(pid, ErrKill)
			for _, to := range []Address{pid, Name{"nobody", there.id.Name}} {
				self.Monitor(to)
				net.settle()
				if d := down(t, self); !errors.Is(d.Reason, ErrNoProcess) || d.Target != to {
					t.Fatalf("%+v", d)
				}
			}
		})
	})
	t.Run("LINK-03_unreachable", func(t *testing.T) {
		net := newMemNet(t)
		self := net.start("a@h").Attach()
		for _, to := range []Address{PID{"x@h", 9, 1}, Name{"x", "x@h"}} {
			self.Monitor(to)
			if d := down(t, self); !errors.Is(d.Reason, ErrNoConnection) {
				t.Fatalf("%+v", d)
			}
		}
		if len(self.rt.peers.byName) != 0 {
			t.Fatal("something is left of an unreachable node")
		}
	})
	t.Run("LINK-04_LINK-06_connection_lost", func(t *testing.T) {
		net := newMemNet(t)
		a, b := net.start("a@h"), net.start("b@h")
		self := a.Attach()
		pid := b.Spawn(obey)
		m := self.Monitor(pid) // connects
		net.settle()
		net.cut("a@h", "b@h")
		net.settle()
		if d := down(t, self); d.Monitor != m || !errors.Is(d.Reason, ErrNoConnection) {
			t.Fatalf("%+v", d)
		}
		net.join("a@h", "b@h")
		net.settle()
		b.Exit(pid, ErrKill)
		net.settle()
		nothing(t, self)
		if b.procs.get(pid.ID) != nil || len(b.peers.byName["a@h"].watches.m) != 0 {
			t.Fatal("the watch is still there")
		}
	})
	t.Run("LINK-08_LINK-09_demonitor", func(t *testing.T) {
		places(t, func(t *testing.T, net *memNet, here, there *Runtime) {
			self := here.Attach()
			pid := there.Spawn(obey)
			m1, m2, m3 := self.Monitor(pid), self.Monitor(pid), self.Monitor(pid)
			net.settle()
			if !self.Demonitor(m1) || self.Demonitor(m1) {
				t.Fatal("m1 was active, once")
			}
			there.Exit(pid, ErrKill)
			net.settle()
			if self.Demonitor(m2) {
				t.Fatal("m2 had fired")
			}
			if d := down(t, self); d.Monitor != m3 || !errors.Is(d.Reason, ErrKilled) {
				t.Fatalf("%+v", d)
			}
			nothing(t, self)
			if self.Demonitor(m3) {
				t.Fatal("m3 was received")
			}
		})
	})
	t.Run("LINK-10_not_yours", func(t *testing.T) {
		places(t, func(t *testing.T, net *memNet, here, there *Runtime) {
			self, other := here.Attach(), here.Attach()
			pid := there.Spawn(obey)
			m := self.Monitor(pid)
			net.settle()
			if other.Demonitor(m) || m.Stop() {
				t.Fatal("took back a monitor of another process")
			}
			there.Exit(pid, ErrKill)
			net.settle()
			down(t, self)
		})
	})
	t.Run("LINK-23_watcher_dies", func(t *testing.T) {
		places(t, func(t *testing.T, net *memNet, here, there *Runtime) {
			self := here.Attach()
			pid := there.Spawn(obey)
			for range 3 {
				self.Monitor(pid)
			}
			net.settle()
			if there.find(pid).watchers == nil {
				t.Fatal("not watched")
			}
			self.Detach(nil)
			net.settle()
			if there.find(pid).watchers != nil {
				t.Fatal("still watched")
			}
			for _, rt := range []*Runtime{here, there} {
				for name, p := range rt.peers.byName {
					if len(p.monitors.m)+len(p.watches.m) != 0 {
						t.Fatalf("%s: left: %+v", name, p)
					}
				}
			}
		})
	})
	t.Run("LINK-25_func_monitor", func(t *testing.T) {
		places(t, func(t *testing.T, net *memNet, here, there *Runtime) {
			pid := there.Spawn(obey)
			got := make(chan Down, 2)
			here.Monitor(bg, pid, func(d Down) { got <- d })
			m := here.Monitor(bg, pid, func(d Down) { got <- d })
			net.settle()
			if !m.Stop() || m.Stop() {
				t.Fatal("stop")
			}
			there.Exit(pid, ErrKill)
			net.settle()
			if d := <-got; !errors.Is(d.Reason, ErrKilled) || len(got) != 0 {
				t.Fatalf("%+v", d)
			}
		})
	})
	t.Run("SIG-12_earlier_life", func(t *testing.T) {
		net := newMemNet(t)
		a, b := net.start("a@h"), net.start("b@h")
		pid := b.Spawn(obey)
		_ = b.Close()
		b = net.start("b@h")
		for range 5 {
			b.Attach() // so that the same id exists again
		}
		net.join("a@h", "b@h")
		net.settle()
		self := a.Attach(WithTrapExit())
		self.Monitor(pid)
		self.Link(pid)
		send(t, a, pid, "lost")
		net.settle()
		if d := down(t, self); !errors.Is(d.Reason, ErrNoProcess) {
			t.Fatalf("%+v", d)
		}
		if e := receive(t, self).(Exit); !errors.Is(e.Reason, ErrNoProcess) || !e.Link {
			t.Fatalf("%+v", e)
		}
		if n := a.Stats().SentToNobody; n != 1 {
			t.Fatal(n)
		}
		// a PID of an earlier life of one's own node
		old := self.PID()
		old.Incarnation++
		self.Monitor(old)
		if d := down(t, self); !errors.Is(d.Reason, ErrNoProcess) {
			t.Fatalf("%+v", d)
		}
		send(t, a, old, "lost")
		nothing(t, self)
	})
	t.Run("down_after_last_message", func(t *testing.T) {
		places(t, func(t *testing.T, net *memNet, here, there *Runtime) {
			self := here.Attach()
			pid := there.Spawn(func(p *Process) error {
				_, _ = p.Receive(bg)
				for i := range 100 {
					_ = there.Send(bg, self.PID(), i)
				}
				return nil
			})
			self.Monitor(pid)
			net.settle()
			send(t, there, pid, "go")
			_ = ended(t, there, pid)
			net.settle()
			for i := range 100 {
				if m := receive(t, self); m != i {
					t.Fatalf("%v in place of %d", m, i)
				}
			}
			down(t, self)
		})
	})
}

// TestMonitorAgreement lets monitors come, go and fire while signals cross and the session breaks: when all has come to
// rest, the target's node holds a watch for exactly those that are active, and each has fired at most once.
func TestMonitorAgreement(t *testing.T) {
	t.Run("LINK-23_LINK-06_random", rapid.MakeCheck(func(rt *rapid.T) {
		net := newMemNet(t)
		a, b := net.start("a@h"), net.start("b@h")
		defer func() { _, _ = a.Close(), b.Close() }()
		self, targets := a.Attach(), []*Process{b.Attach(), b.Attach()}
		fired := map[*Monitor]bool{}
		var all []*Monitor
		rt.Repeat(map[string]func(*rapid.T){
			"monitor": func(t *rapid.T) {
				all = append(all, self.Monitor(rapid.SampledFrom(targets).Draw(t, "target").PID()))
			},
			"demonitor": func(t *rapid.T) {
				if len(all) > 0 {
					self.Demonitor(rapid.SampledFrom(all).Draw(t, "monitor"))
				}
			},
			"end":    func(t *rapid.T) { targets[0].Detach(errOops); targets[0] = b.Attach() },
			"a_to_b": func(*rapid.T) { net.step("a@h", "b@h") },
			"b_to_a": func(*rapid.T) { net.step("b@h", "a@h") },
			"breaks": func(*rapid.T) {
				if net.conns[pairOf("a@h", "b@h")] != 0 {
					net.cut("a@h", "b@h")
				}
			},
			"receive": func(*rapid.T) { receiveDowns(rt, self, fired) },
		})
		net.settle()
		receiveDowns(rt, self, fired)
		active := 0
		for _, m := range all {
			if m.active() {
				active++
			}
		}
		held := len(a.peers.byName["b@h"].orEmpty().monitors.m)
		watches := len(b.peers.byName["a@h"].orEmpty().watches.m)
		listed := 0
		for _, p := range targets {
			for w := p.watchers; w != nil; w = w.next {
				listed++
			}
		}
		if active != held || active != watches || active != listed {
			rt.Fatalf("%d are active, %d held, %d watched, %d listed", active, held, watches, listed)
		}
	}))
	t.Run("million_leave_nothing", func(t *testing.T) {
		if testing.Short() {
			t.Skip("takes a second")
		}
		rt := alone(t)
		self, target := rt.Attach(), rt.SpawnBehaviour(nop{})
		self.Demonitor(self.Monitor(target))
		before := heap()
		func() {
			monitors := make([]*Monitor, 1_000_000)
			for i := range monitors {
				monitors[i] = self.Monitor(target)
			}
			for _, m := range monitors {
				self.Demonitor(m)
			}
		}()
		if after := heap(); after > before+1<<20 {
			t.Fatalf("%d bytes are left", after-before)
		}
	})
}

func receiveDowns(t *rapid.T, p *Process, fired map[*Monitor]bool) {
	for {
		m, ok := p.TryReceive()
		if !ok {
			return
		}
		d := m.(Down)
		if fired[d.Monitor] {
			t.Fatalf("%v fired twice", d.Target)
		}
		fired[d.Monitor] = true
	}
}
