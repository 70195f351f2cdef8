package process

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/kith-mesh/kith/node"
)

type point struct{ X, Y int }

func (p point) Error() string { return fmt.Sprintf("point %d %d", p.X, p.Y) }

func TestSEND(t *testing.T) {
	t.Run("SEND-01_names", func(t *testing.T) {
		rt := alone(t)
		p, q := rt.Attach(), rt.Attach()
		dead := rt.Spawn(stay)
		rt.Exit(dead, ErrKill)
		for _, row := range []struct {
			name string
			pid  PID
			want error
		}{
			{"p", p.PID(), nil},
			{"p", q.PID(), ErrNameTaken},
			{"p", p.PID(), ErrNameTaken},
			{"other", p.PID(), ErrHasName},
			{"undefined", q.PID(), ErrBadName},
			{"", q.PID(), ErrBadName},
			{strings.Repeat("x", MaxName+1), q.PID(), ErrBadName},
			{"dead", dead, ErrNoProcess},
			{"remote", PID{"b@h", 1, 1}, ErrNotLocal},
			{"old", PID{"a@h", 9, p.PID().ID}, ErrNotLocal},
			{"q", q.PID(), nil},
		} {
			if err := rt.Register(row.name, row.pid); !errors.Is(err, row.want) {
				t.Errorf("%q for %v: %v, want %v", row.name, row.pid, err, row.want)
			}
		}
		if pid, ok := rt.Whereis("p"); !ok || pid != p.PID() {
			t.Fatal(pid)
		}
		if !rt.Unregister("p") || rt.Unregister("p") {
			t.Fatal("unregister")
		}
		if err := rt.Register("p2", p.PID()); err != nil {
			t.Fatal(err)
		}
		p.Detach(nil)
		if _, ok := rt.Whereis("p2"); ok {
			t.Fatal("the dead keep their names")
		}
		if err := ended(t, rt, rt.Spawn(stay, WithName("q"))); !errors.Is(err, ErrNameTaken) && !errors.Is(err, ErrNoProcess) {
			t.Fatal(err)
		}
	})
	t.Run("SEND-03_SEND-07_name_on_node", func(t *testing.T) {
		net := newMemNet(t)
		a, b := net.start("a@h"), net.start("b@h")
		pa, pb := a.Attach(WithName("x")), b.Attach(WithName("x"))
		for _, to := range []Name{{"x", ""}, {"x", "a@h"}, {"x", "b@h"}} {
			if err := a.SendTo(bg, to, to.String()); err != nil {
				t.Fatal(err)
			}
		}
		first := b.Attach()
		_ = a.SendTo(bg, Name{"later", "b@h"}, "resolved at delivery")
		if err := b.Register("later", first.PID()); err != nil {
			t.Fatal(err)
		}
		net.settle()
		if m, n := receive(t, pa), receive(t, pa); m != "x" || n != "x on a@h" {
			t.Fatal(m, n)
		}
		if m := receive(t, pb); m != "x on b@h" {
			t.Fatal(m)
		}
		if m := receive(t, first); m != "resolved at delivery" {
			t.Fatal(m)
		}
	})
	t.Run("SEND-04_SEND-05_SIG-05_SIG-06_nobody", func(t *testing.T) {
		net := newMemNet(t)
		a, b := net.start("a@h"), net.start("b@h")
		for _, to := range []Address{
			Name{"x", "a@h"}, Name{"x", "b@h"}, Name{"x", "nowhere@h"}, PID{"nowhere@h", 1, 1}, PID{}, a.pid(99), b.pid(99),
		} {
			if err := a.SendTo(bg, to, "lost"); err != nil {
				t.Errorf("%v: %v", to, err)
			}
		}
		net.settle()
		if n, m := a.Stats().SentToNobody, b.Stats().SentToNobody; n != 5 || m != 2 {
			t.Fatal(n, m)
		}
	})
	t.Run("SIG-07_bare_name", func(t *testing.T) {
		if err := alone(t).SendTo(bg, Name{Name: "x"}, 1); !errors.Is(err, ErrNoProcess) {
			t.Fatal(err)
		}
	})
	t.Run("SIG-09_no_connect", func(t *testing.T) {
		net := newMemNet(t)
		a, b := net.start("a@h"), net.start("b@h")
		if err := a.SendTo(bg, b.Attach().PID(), 1, node.NoConnect); !errors.Is(err, ErrNoConnection) {
			t.Fatal(err)
		}
		if len(net.conns) != 0 {
			t.Fatal("it connected")
		}
	})
	t.Run("SEND-06_unregister", func(t *testing.T) {
		rt := alone(t)
		p := rt.Attach(WithName("x"))
		_ = rt.SendTo(bg, Name{Name: "x"}, 1)
		rt.Unregister("x")
		if m := receive(t, p); m != 1 {
			t.Fatal(m)
		}
	})
	t.Run("SEND-08_alias", func(t *testing.T) {
		places(t, func(t *testing.T, net *memNet, here, there *Runtime) {
			self := there.Attach()
			alias, once := self.Alias(), self.AliasOnce()
			send(t, here, alias, 1)
			send(t, here, once, 2)
			send(t, here, once, 3)
			if err := here.SendConfirmedSettling(net, alias, 4); err != nil {
				t.Fatal(err)
			}
			if !self.Unalias(alias) || self.Unalias(alias) || self.Unalias(once) || self.Unalias(PID{}) {
				t.Fatal("unalias")
			}
			send(t, here, alias, 5)
			net.settle()
			if a, b, c := receive(t, self), receive(t, self), receive(t, self); a != 1 || b != 2 || c != 4 {
				t.Fatal(a, b, c)
			}
			nothing(t, self)
			last := self.Alias()
			self.Detach(nil)
			if there.aliases.len() != 0 {
				t.Fatal("aliases outlive their process")
			}
			send(t, here, last, 6)
		})
	})
	t.Run("inbox", func(t *testing.T) {
		places(t, func(t *testing.T, net *memNet, here, there *Runtime) {
			in := here.NewInbox(3, nil)
			pid := there.Spawn(stay)
			in.Monitor(bg, pid)
			net.settle()
			send(t, there, in.PID(), "x")
			net.settle()
			there.Exit(pid, ErrKill)
			net.settle()
			if m, err := in.Receive(bg); m != "x" || err != nil {
				t.Fatal(m, err)
			}
			if m, err := in.Receive(bg); err != nil || !errors.Is(m.(Down).Reason, ErrKilled) {
				t.Fatal(m, err)
			}
			in.Close()
			send(t, there, in.PID(), "late")
			net.settle()
			if n := here.Stats().SentToNobody; n != 1 {
				t.Fatal(n)
			}
			_ = here.Close()
			if _, err := in.Receive(bg); !errors.Is(err, ErrClosed) {
				t.Fatal(err)
			}
		})
	})
	t.Run("SEND-10_types_arrive", func(t *testing.T) {
		net := newMemNet(t)
		a, b := net.start("a@h", WithType[point]("point")), net.start("b@h", WithType[point]("point"))
		self := b.Attach()
		msgs := []any{"x", 1, int64(2), []byte("y"), nil, true, 1.5, point{1, 2}, self.PID(), []any{point{3, 4}, 1}}
		send(t, a, self.PID(), msgs...)
		net.settle()
		for _, want := range msgs {
			if m := receive(t, self); !reflect.DeepEqual(m, want) {
				t.Errorf("%#v, want %#v", m, want)
			}
		}
		type private struct{ A int }
		if err := a.Send(bg, self.PID(), private{}); !errors.Is(err, ErrUnregisteredType) || !strings.Contains(err.Error(), "process.private") {
			t.Fatal(err)
		}
		if err := RegisterType[private](a, "private"); err != nil {
			t.Fatal(err)
		}
		send(t, a, self.PID(), private{5})
		net.settle()
		raw, ok := receive(t, self).(Raw)
		if !ok || raw.Type != "private" {
			t.Fatalf("%#v", raw)
		}
		back := a.Attach()
		send(t, b, back.PID(), raw) // goes home as what it was
		net.settle()
		if m := receive(t, back); m != (private{5}) {
			t.Fatalf("%#v", m)
		}
	})
	t.Run("deliver", func(t *testing.T) {
		rt := alone(t)
		p, q := rt.Attach(), rt.Attach()
		if n := rt.Deliver([]PID{p.PID(), q.PID(), rt.pid(77), {}}, "x"); n != 2 {
			t.Fatal(n)
		}
		if receive(t, p) != "x" || receive(t, q) != "x" || rt.Stats().SentToNobody != 2 {
			t.Fatal("not delivered")
		}
	})
	t.Run("confirmed", func(t *testing.T) {
		places(t, func(t *testing.T, net *memNet, here, there *Runtime) {
			p := there.Attach(WithName("p"))
			full := there.Attach(WithMailbox(1, Refuse))
			for _, row := range []struct {
				to   Address
				want error
			}{
				{p.PID(), nil}, {Name{"p", there.id.Name}, nil}, {full.PID(), nil}, {full.PID(), ErrMailboxFull},
				{Name{"nobody", there.id.Name}, ErrNoProcess}, {there.pid(999), ErrNoProcess},
				{PID{}, ErrNoProcess}, {PID{here.id.Name, 999, 1}, ErrNoProcess}, {PID{"nowhere@h", 1, 1}, ErrNoConnection},
			} {
				if err := here.SendConfirmedSettling(net, row.to, "x"); !errors.Is(err, row.want) {
					t.Errorf("%v: %v, want %v", row.to, err, row.want)
				}
			}
			if len(here.peers.byName["b@h"].orEmpty().requests.m) != 0 {
				t.Fatal("requests are left")
			}
		})
	})
	t.Run("confirmed_connection_lost", func(t *testing.T) {
		net := newMemNet(t)
		a, b := net.start("a@h"), net.start("b@h")
		p := b.Attach()
		net.join("a@h", "b@h")
		net.settle()
		got := make(chan error)
		go func() { got <- a.SendConfirmed(bg, p.PID(), "x") }()
		for len(a.peers.requestsOf("b@h")) == 0 {
		}
		net.cut("a@h", "b@h")
		net.settle()
		if err := <-got; !errors.Is(err, ErrNoConnection) {
			t.Fatal(err)
		}
	})
}

func (s *peers) requestsOf(name string) map[uint64]*request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byName[name].orEmpty().requests.m
}

// SendConfirmedSettling is SendConfirmed in a net that only moves when it is told to.
func (r *Runtime) SendConfirmedSettling(net *memNet, to Address, msg any) error {
	got := make(chan error, 1)
	go func() { got <- r.SendConfirmed(bg, to, msg) }()
	for {
		select {
		case err := <-got:
			return err
		default:
			net.settle()
		}
	}
}
