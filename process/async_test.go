package process

import (
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kith-mesh/kith/node"
)

// directory is a registry for tests.
type directory map[string]PID

func (d directory) Whereis(name string) (PID, bool) {
	pid, ok := d[name]
	return pid, ok
}

func TestAsync(t *testing.T) {
	t.Run("SendAsync_connects_in_order", func(t *testing.T) {
		net := newMemNet(t)
		a, b := net.start("a@h"), net.start("b@h")
		p := b.Attach()
		for i := range 100 {
			if err := a.SendAsync(bg, p.PID(), i); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 100 {
			if m := receive(t, p); m != i {
				t.Fatalf("%v in place of %d", m, i)
			}
		}
		if err := a.SendAsync(bg, p.PID(), struct{}{}); !errors.Is(err, ErrUnregisteredType) {
			t.Fatal(err)
		}
	})
	t.Run("SendAsync_to_nobody", func(t *testing.T) {
		net := newMemNet(t)
		a := net.start("a@h")
		for _, to := range []Address{
			Name{Name: "x"}, Name{"x", "a@h"}, PID{"nowhere@h", 1, 1}, a.pid(99), PID{}, Via{directory{}, "x"}, Via{},
		} {
			if err := a.SendAsync(bg, to, 1); err != nil {
				t.Errorf("%v: %v", to, err)
			}
		}
		for a.Stats().SentToNobody < 7 {
		}
	})
	t.Run("SendAfter", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt := alone(t)
			self := rt.Attach()
			start := time.Now()
			rt.SendAfter(time.Second, self.PID(), "x")
			rt.SendAfter(time.Second, self.PID(), "y").Stop()
			if m, err := self.Receive(bg); m != "x" || err != nil || time.Since(start) != time.Second {
				t.Fatal(m, err)
			}
			time.Sleep(time.Minute)
			nothing(t, self)
			_ = rt.Close()
		})
	})
	t.Run("via", func(t *testing.T) {
		places(t, func(t *testing.T, net *memNet, here, there *Runtime) {
			p, self := there.Attach(), here.Attach()
			reg := directory{"p": p.PID()}
			if err := here.SendTo(bg, Via{reg, "p"}, 1); err != nil {
				t.Fatal(err)
			}
			if err := here.SendConfirmedSettling(net, Via{reg, "p"}, 2); err != nil {
				t.Fatal(err)
			}
			for _, err := range []error{here.SendTo(bg, Via{reg, "q"}, 1), here.SendConfirmed(bg, Via{reg, "q"}, 1)} {
				if !errors.Is(err, ErrNoProcess) {
					t.Fatal(err)
				}
			}
			self.Monitor(Via{reg, "q"})
			if d := down(t, self); !errors.Is(d.Reason, ErrNoProcess) {
				t.Fatal(d)
			}
			self.Monitor(Via{reg, "p"})
			net.settle()
			if a, b := receive(t, p), receive(t, p); a != 1 || b != 2 {
				t.Fatal(a, b)
			}
			p.Detach(errOops)
			net.settle()
			if d := down(t, self); d.Reason.Error() != "oops" || d.Target.String() != "p" {
				t.Fatal(d)
			}
		})
	})
	t.Run("own_names", func(t *testing.T) {
		net := newMemNet(t)
		a, b := net.start("a@h"), net.start("b@h")
		for _, rt := range []*Runtime{a, b} {
			for _, err := range []error{
				RegisterOwnName[point](rt), RegisterOwnName[map[string][]*point](rt), RegisterOwnName[string](rt),
				RegisterOwnName[error](rt), RegisterOwnName[[2]point](rt), RegisterOwnName[point](rt),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		p := b.Attach()
		send(t, a, p.PID(), point{1, 2}, map[string][]*point{"x": {{3, 4}}}, [2]point{})
		net.settle()
		if m := receive(t, p); m != (point{1, 2}) {
			t.Fatal(m)
		}
		if m, ok := receive(t, p).(map[string][]*point); !ok || *m["x"][0] != (point{3, 4}) {
			t.Fatal(m)
		}
		if m := receive(t, p); m != [2]point{} {
			t.Fatal(m)
		}
		if name := a.types.now.Load().names; name[reflect.TypeFor[point]()] != "github.com/kith-mesh/kith/process.point" {
			t.Fatal(name)
		}
	})
	t.Run("SIG-10_no_wait", func(t *testing.T) {
		if err := alone(t).sendOutcome(node.ErrWouldBlock, node.NoWait); !errors.Is(err, node.ErrWouldBlock) {
			t.Fatal(err)
		}
	})
}
