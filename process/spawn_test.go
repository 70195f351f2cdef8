package process

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// spawnAt is SpawnAt in a net that only moves when it is told to.
func spawnAt(net *memNet, rt *Runtime, ctx context.Context, at, kind string, args any, opts ...SpawnOption) (PID, error) {
	type result struct {
		pid PID
		err error
	}
	got := make(chan result, 1)
	go func() {
		pid, err := rt.SpawnAt(ctx, at, kind, args, opts...)
		got <- result{pid, err}
	}()
	for {
		select {
		case r := <-got:
			return r.pid, r.err
		default:
			net.settle()
		}
	}
}

type echoArgs struct{ Greeting string }

func offer(t testing.TB, rt *Runtime) {
	t.Helper()
	for _, err := range []error{
		RegisterType[echoArgs](rt, "echoArgs"),
		RegisterFunc(rt, "obey", func(self *Process, _ any) error { return obey(self) }),
		RegisterFunc(rt, "fail", func(_ *Process, _ any) error { return errOops }),
		RegisterBehaviour(rt, "echo", func(args echoArgs) (Behaviour, error) {
			if args.Greeting == "" {
				return nil, errors.New("no greeting")
			}
			if args.Greeting == "panic" {
				panic(args.Greeting)
			}
			return HandleFunc(func(self *Process, m Message) error {
				return self.Runtime().Send(self.Context(), m.(PID), args.Greeting)
			}), nil
		}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestSpawnAt(t *testing.T) {
	t.Run("starts", func(t *testing.T) {
		places(t, func(t *testing.T, net *memNet, here, there *Runtime) {
			offer(t, there)
			_ = RegisterType[echoArgs](here, "echoArgs")
			self := here.Attach()
			pid, err := spawnAt(net, here, bg, there.id.Name, "echo", echoArgs{"hello"}, WithName("echo"))
			if err != nil || pid.Node != there.id.Name {
				t.Fatal(pid, err)
			}
			send(t, here, pid, self.PID())
			if m := receive(t, self); m != "hello" {
				t.Fatal(m)
			}
			if at, ok := there.Whereis("echo"); !ok || at != pid {
				t.Fatal(at)
			}
		})
	})
	t.Run("errors", func(t *testing.T) {
		places(t, func(t *testing.T, net *memNet, here, there *Runtime) {
			offer(t, there)
			_ = RegisterType[echoArgs](here, "echoArgs")
			there.Attach(WithName("taken"))
			for _, row := range []struct {
				at, kind string
				args     any
				opts     []SpawnOption
				want     error
				text     string
			}{
				{there.id.Name, "nothing", nil, nil, ErrNoProcessType, ""},
				{there.id.Name, "echo", echoArgs{}, nil, nil, "no greeting"},
				{there.id.Name, "echo", nil, nil, nil, "no greeting"},
				{there.id.Name, "echo", echoArgs{"panic"}, nil, nil, "panic: panic"},
				{there.id.Name, "echo", "text", nil, ErrBadMessage, ""},
				{there.id.Name, "obey", nil, []SpawnOption{WithName("taken")}, ErrNameTaken, ""},
				{"nowhere@h", "obey", nil, nil, ErrNoConnection, ""},
			} {
				_, err := spawnAt(net, here, bg, row.at, row.kind, row.args, row.opts...)
				if err == nil || row.want != nil && !errors.Is(err, row.want) ||
					row.text != "" && !strings.Contains(err.Error(), row.text) {
					t.Errorf("%v: %v", row, err)
				}
			}
			if err := RegisterFunc(there, "obey", func(*Process, any) error { return nil }); !errors.Is(err, ErrTypeTaken) {
				t.Error(err)
			}
			if err := RegisterFunc(there, "", func(*Process, any) error { return nil }); !errors.Is(err, ErrBadName) {
				t.Error(err)
			}
		})
	})
	t.Run("linked_and_monitored", func(t *testing.T) {
		places(t, func(t *testing.T, net *memNet, here, there *Runtime) {
			offer(t, there)
			self := here.Attach(WithTrapExit())
			for _, kind := range []string{"fail", "obey"} {
				var m *Monitor
				pid, err := spawnAt(net, here, bg, there.id.Name, kind, nil, WithLink(self), WithMonitor(self, &m))
				if err != nil {
					t.Fatal(err)
				}
				if kind == "obey" {
					send(t, here, pid, "end")
				}
				for range 2 {
					switch got := receive(t, self).(type) {
					case Exit:
						if got.From != pid || kind == "fail" && got.Reason.Error() != "oops" {
							t.Fatalf("%+v", got)
						}
					case Down:
						if got.Monitor != m || got.Target != pid || kind == "fail" && got.Reason.Error() != "oops" {
							t.Fatalf("%+v", got)
						}
					}
				}
				nothing(t, self)
			}
			pid, err := spawnAt(net, here, bg, there.id.Name, "obey", nil, WithLink(self))
			if err != nil {
				t.Fatal(err)
			}
			reason := make(chan error, 1)
			there.Watch(pid, func(err error) { reason <- err })
			self.Detach(errOops)
			net.settle()
			if err := <-reason; err.Error() != "oops" {
				t.Fatal(err)
			}
		})
	})
	t.Run("nobody_waits", func(t *testing.T) {
		net := newMemNet(t)
		a, b := net.start("a@h"), net.start("b@h")
		offer(t, b)
		self := a.Attach()
		ctx, cancel := context.WithCancel(bg)
		cancel()
		var m *Monitor
		if _, err := a.SpawnAt(ctx, "b@h", "obey", nil, WithMonitor(self, &m)); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		deadline := time.Now().Add(10 * time.Second)
		for b.lastID.Load() == 0 || b.procs.len() > 0 {
			net.settle()
			if time.Now().After(deadline) {
				t.Fatal("an orphan lives")
			}
		}
		nothing(t, self)
	})
	t.Run("connection_lost", func(t *testing.T) {
		net := newMemNet(t)
		a, b := net.start("a@h"), net.start("b@h")
		offer(t, b)
		self := a.Attach(WithTrapExit())
		net.join("a@h", "b@h")
		net.settle()
		got := make(chan error)
		var m *Monitor
		go func() {
			_, err := a.SpawnAt(bg, "b@h", "obey", nil, WithLink(self), WithMonitor(self, &m))
			got <- err
		}()
		for len(a.peers.requestsOf("b@h")) == 0 {
		}
		net.cut("a@h", "b@h")
		net.settle()
		if err := <-got; !errors.Is(err, ErrNoConnection) {
			t.Fatal(err)
		}
		nothing(t, self)
	})
}
