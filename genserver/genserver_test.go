package genserver_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kith-mesh/kith/genserver"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/process"
)

var bg = context.Background()

// The requests of the server under test.
type (
	Add struct {
		genserver.Returns[int]
		N int
	}
	Fail struct {
		genserver.Returns[int]
		Text string
	}
	Later struct {
		genserver.Returns[string]
		After time.Duration
	}
	Mute struct{ genserver.Returns[int] }
	Quit struct {
		genserver.Returns[string]
		Reason string
	}
	Panic   struct{ genserver.Returns[int] }
	CallYou struct {
		genserver.Returns[string]
		Name string
	}
	Unknown struct{ genserver.Returns[int] }
	BadResp struct{ genserver.Returns[any] }

	AddLater struct{ N int }
	Crash    struct{ Text string }
)

type counter struct {
	n      int
	infos  []any
	events chan<- string
}

func (c *counter) add(_ *genserver.Self, r Add) (int, error) { c.n += r.N; return c.n, nil }
func (c *counter) fail(_ *genserver.Self, r Fail) (int, error) {
	return 0, fmt.Errorf("%w: %s", process.ErrBadName, r.Text)
}

func (c *counter) later(self *genserver.Self, r Later, from genserver.From[string]) error {
	if r.After < 0 {
		return errors.New("no time machine")
	}
	rt := self.Runtime()
	time.AfterFunc(r.After, func() { from.Reply(rt, "later", nil) })
	return nil
}
func (c *counter) mute(*genserver.Self, Mute, genserver.From[int]) error { return nil }
func (c *counter) quit(self *genserver.Self, r Quit) (string, error) {
	self.Stop(errors.New(r.Reason))
	return "bye", nil
}
func (c *counter) panic(*genserver.Self, Panic) (int, error) { panic("in a handler") }
func (c *counter) callYou(self *genserver.Self, r CallYou) (string, error) {
	rt := self.Runtime()
	for _, to := range []process.Address{self.PID(), process.Name{Name: r.Name}, process.Name{Name: r.Name, Node: rt.Node().Name()}} {
		if _, err := genserver.Call(self.Context(), rt, to, Add{}); !errors.Is(err, genserver.ErrCallingSelf) {
			return "", fmt.Errorf("%v: %w", to, err)
		}
	}
	if err := genserver.Stop(self.Context(), rt, self.PID(), nil); !errors.Is(err, genserver.ErrCallingSelf) {
		return "", err
	}
	_, bad, _ := genserver.MultiCall(self.Context(), rt, []string{rt.Node().Name()}, r.Name, Add{})
	if len(bad) != 1 || !errors.Is(bad[0].Err, genserver.ErrCallingSelf) {
		return "", fmt.Errorf("%v", bad)
	}
	return "ok", nil
}
func (c *counter) badResp(*genserver.Self, BadResp) (any, error) { return make(chan int), nil }
func (c *counter) addLater(_ *genserver.Self, m AddLater) error  { c.n += m.N; return nil }
func (c *counter) crash(_ *genserver.Self, m Crash) error        { return errors.New(m.Text) }
func (c *counter) info(_ *genserver.Self, m any) error           { c.infos = append(c.infos, m); return nil }
func (c *counter) end(_ *genserver.Self, reason error)           { c.events <- reason.Error() }

func server(events chan<- string) *genserver.Server[*counter] {
	return &genserver.Server[*counter]{
		Init: func(*genserver.Self) (*counter, error) { return &counter{events: events}, nil },
		Handlers: []genserver.Handler[*counter]{
			genserver.OnCall((*counter).add), genserver.OnCall((*counter).fail), genserver.OnCallLater((*counter).later),
			genserver.OnCallLater((*counter).mute), genserver.OnCall((*counter).quit), genserver.OnCall((*counter).panic),
			genserver.OnCall((*counter).callYou), genserver.OnCall((*counter).badResp),
			genserver.OnCast((*counter).addLater), genserver.OnCast((*counter).crash), genserver.OnOther((*counter).info),
		},
		Terminate: (*counter).end,
	}
}

type place struct {
	name string
	rt   *process.Runtime // where the server is
}

// setup is two nodes; the tests call from the first.
func setup(t *testing.T) (m *meshtest.Mesh, here *process.Runtime, places []place) {
	t.Helper()
	m = meshtest.New(t, 2)
	var rts []*process.Runtime
	for _, n := range m.Nodes() {
		rt, err := process.New(n)
		if err != nil {
			t.Fatal(err)
		}
		rts = append(rts, rt)
	}
	return m, rts[0], []place{{"local", rts[0]}, {"remote", rts[1]}}
}

func start(t *testing.T, rt *process.Runtime, opts ...process.SpawnOption) (process.PID, chan string) {
	t.Helper()
	events := make(chan string, 10)
	pid, err := server(events).Start(bg, rt, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Exit(pid, process.ErrKill) })
	return pid, events
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(bg, d)
	t.Cleanup(cancel)
	return ctx
}

func TestGEN(t *testing.T) {
	m, here, places := setup(t)
	for _, at := range places {
		there := at.rt
		node := there.Node().Name()
		t.Run("GEN-01_addresses_"+at.name, func(t *testing.T) {
			pid, _ := start(t, there, process.WithName("counter1"))
			for i, to := range []process.Address{pid, process.Name{Name: "counter1", Node: node}, process.Via{Registry: registry{"c": pid}, Name: "c"}} {
				if got, err := genserver.Call(bg, here, to, Add{N: 5}); got != 5*(i+1) || err != nil {
					t.Fatal(got, err)
				}
			}
		})
		t.Run("handler_error_"+at.name, func(t *testing.T) {
			pid, _ := start(t, there)
			if _, err := genserver.Call(bg, here, pid, Fail{Text: "x"}); !errors.Is(err, process.ErrBadName) || !strings.Contains(err.Error(), ": x") {
				t.Fatal(err)
			}
			if _, err := genserver.Call(bg, here, pid, Later{After: -1}); err == nil || err.Error() != "no time machine" {
				t.Fatal(err)
			}
			var unknown *genserver.UnknownRequestError
			if _, err := genserver.Call(bg, here, pid, Unknown{}); !errors.Is(err, genserver.ErrUnknownRequest) || !errors.As(err, &unknown) ||
				!strings.Contains(unknown.Type, "Unknown") {
				t.Fatal(err)
			}
			if at.name == "remote" {
				if _, err := genserver.Call(bg, here, pid, BadResp{}); !errors.Is(err, genserver.ErrBadReply) {
					t.Fatal(err)
				}
			}
		})
		t.Run("reply_later_"+at.name, func(t *testing.T) {
			pid, _ := start(t, there)
			if got, err := genserver.Call(bg, here, pid, Later{After: time.Millisecond}); got != "later" || err != nil {
				t.Fatal(got, err)
			}
		})
		t.Run("GEN-02_no_name_"+at.name, func(t *testing.T) {
			begin := time.Now()
			_, err := genserver.Call(bg, here, process.Name{Name: "nobody", Node: node}, Add{})
			if !errors.Is(err, process.ErrNoProcess) || time.Since(begin) > genserver.DefaultTimeout/2 {
				t.Fatal(err)
			}
		})
		t.Run("GEN-05_GEN-06_GEN-30_timeout_"+at.name, func(t *testing.T) {
			pid, _ := start(t, there)
			ctx := within(t, 20*time.Millisecond)
			if _, err := genserver.Call(ctx, here, pid, Mute{}); !errors.Is(err, genserver.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			lost := here.Stats().SentToNobody
			if _, err := genserver.Call(within(t, 10*time.Millisecond), here, pid, Later{After: 50 * time.Millisecond}); !errors.Is(err, genserver.ErrTimeout) {
				t.Fatal(err)
			}
			meshtest.Eventually(t, "late reply dropped", func() bool { return here.Stats().SentToNobody > lost })
			if got, err := genserver.Call(bg, here, pid, Add{N: 1}); got != 1 || err != nil {
				t.Fatal(got, err)
			}
		})
		t.Run("GEN-07_server_ends_"+at.name, func(t *testing.T) {
			pid, events := start(t, there)
			if got, err := genserver.Call(bg, here, pid, Quit{Reason: "enough"}); got != "bye" || err != nil {
				t.Fatal(got, err)
			}
			if got := <-events; got != "enough" {
				t.Fatal(got)
			}
			pid, _ = start(t, there)
			_, err := genserver.Call(bg, here, pid, Panic{})
			exit, ok := errors.AsType[*genserver.ServerExitError](err)
			if _, panicked := errors.AsType[*process.PanicError](err); !ok || !panicked || exit.Server != pid {
				t.Fatal(err)
			}
			pid, _ = start(t, there)
			pending := genserver.SendRequest(bg, here, pid, Mute{})
			if err := genserver.Cast(bg, here, pid, Crash{"oops"}); err != nil {
				t.Fatal(err)
			}
			if _, err := pending.Wait(bg); err == nil || !strings.Contains(err.Error(), "oops") {
				t.Fatal(err)
			}
			if _, err := genserver.Call(bg, here, pid, Add{}); !errors.Is(err, process.ErrNoProcess) {
				t.Fatal(err)
			}
		})
		t.Run("GEN-10_GEN-23_calling_self_"+at.name, func(t *testing.T) {
			pid, _ := start(t, there, process.WithName("self"))
			if got, err := genserver.Call(bg, here, pid, CallYou{Name: "self"}); got != "ok" || err != nil {
				t.Fatal(got, err)
			}
		})
		t.Run("GEN-15_casts_then_call_"+at.name, func(t *testing.T) {
			pid, _ := start(t, there)
			for range 1000 {
				if err := genserver.Cast(bg, here, pid, AddLater{2}); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := genserver.Call(bg, here, pid, Add{}); got != 2000 || err != nil {
				t.Fatal(got, err)
			}
		})
		t.Run("GEN-25_GEN-26_requests_"+at.name, func(t *testing.T) {
			pid, _ := start(t, there)
			missing := genserver.SendRequest(bg, here, process.Name{Name: "nobody", Node: node}, Add{})
			if _, err := missing.Wait(within(t, 10*time.Second)); !errors.Is(err, process.ErrNoProcess) {
				t.Fatal(err)
			}
			p := genserver.SendRequest(bg, here, pid, Later{After: 100 * time.Millisecond})
			if _, err := p.Wait(within(t, time.Millisecond)); !errors.Is(err, genserver.ErrTimeout) {
				t.Fatal(err)
			}
			for range 2 {
				if got, err := p.Wait(bg); got != "later" || err != nil {
					t.Fatal(got, err)
				}
			}
			p = genserver.SendRequest(bg, here, pid, Later{After: time.Hour})
			if _, err := p.Receive(within(t, time.Millisecond)); !errors.Is(err, genserver.ErrTimeout) {
				t.Fatal(err)
			}
			if _, err := p.Wait(bg); !errors.Is(err, genserver.ErrAbandoned) {
				t.Fatal(err)
			}
		})
		t.Run("GEN-26_abandoned_while_it_is_sent_"+at.name, func(t *testing.T) {
			for range 20 {
				p := genserver.SendRequest(bg, here, process.Name{Name: "x", Node: "nobody@127.0.0.1"}, Add{}) // must connect first
				p.Abandon()
				p.Abandon()
				if _, err := p.Wait(bg); !errors.Is(err, genserver.ErrAbandoned) {
					t.Fatal(err)
				}
				if _, err := p.Receive(bg); !errors.Is(err, genserver.ErrAbandoned) {
					t.Fatal(err)
				}
			}
		})
		t.Run("GEN-26_collection_"+at.name, func(t *testing.T) {
			pid, _ := start(t, there)
			var c genserver.Collection[string]
			c.Send(bg, here, pid, Later{After: 40 * time.Millisecond}, "slow")
			c.Send(bg, here, pid, Later{}, "fast")
			c.Send(bg, here, pid, Later{After: time.Hour}, "never")
			c.Send(bg, here, process.PID{}, Later{}, "nobody")
			var order []any
			for a, err := range c.All(within(t, 200*time.Millisecond)) {
				if err != nil {
					if !errors.Is(err, genserver.ErrTimeout) {
						t.Fatal(err)
					}
					break
				}
				if a.Label == "nobody" {
					if !errors.Is(a.Err, process.ErrNoProcess) {
						t.Fatal(a)
					}
					continue
				}
				order = append(order, a.Label)
			}
			if !slices.Equal(order, []any{"fast", "slow"}) || c.Len() != 1 {
				t.Fatal(order, c.Len())
			}
			c.Abandon()
			if _, ok, err := c.Next(bg); ok || err != nil {
				t.Fatal(ok, err)
			}
		})
		t.Run("GEN-27_stop_"+at.name, func(t *testing.T) {
			pid, events := start(t, there)
			if err := genserver.Stop(bg, here, pid, nil); err != nil {
				t.Fatal(err)
			}
			if got := <-events; got != process.ErrNormal.Error() {
				t.Fatal(got)
			}
			if err := genserver.Stop(bg, here, pid, nil); !errors.Is(err, process.ErrNoProcess) {
				t.Fatal(err)
			}
			pid, _ = start(t, there)
			if err := genserver.Stop(bg, here, pid, errors.New("my reason")); err != nil {
				t.Fatal(err)
			}
		})
	}
	gone := process.Name{Name: "x", Node: "gone@127.0.0.1"}
	goneServer := process.PID{Node: "gone@127.0.0.1", Incarnation: 1, ID: 1}
	t.Run("GEN-03_GEN-27_unknown_node", func(t *testing.T) {
		for _, to := range []process.Address{gone, goneServer} {
			var down *genserver.NodeDownError
			if _, err := genserver.Call(genserver.NoTimeout(bg), here, to, Add{}); !errors.As(err, &down) || down.Node != gone.Node || !errors.Is(err, process.ErrNoConnection) {
				t.Fatal(err)
			}
			if err := genserver.Stop(bg, here, to, nil); !errors.As(err, &down) {
				t.Fatal(err)
			}
			if _, err := genserver.SendRequest(bg, here, to, Add{}).Wait(bg); !errors.As(err, &down) {
				t.Fatal(err)
			}
		}
	})
	t.Run("GEN-13_cast_to_nobody", func(t *testing.T) {
		pid, _ := start(t, here)
		here.Exit(pid, process.ErrKill)
		for _, to := range []process.Address{
			pid, gone, goneServer, process.Name{Name: "nobody"}, process.Name{Name: "nobody", Node: m.Node(2).Name()},
			process.Via{Registry: registry{}, Name: "x"},
		} {
			if err := genserver.Cast(bg, here, to, AddLater{1}); err != nil {
				t.Errorf("%v: %v", to, err)
			}
		}
	})
	t.Run("GEN-16_RPC-08_abcast", func(t *testing.T) {
		a, _ := start(t, places[0].rt, process.WithName("all"))
		b, _ := start(t, places[1].rt, process.WithName("all"))
		if err := genserver.AbCast(bg, here, append(genserver.AllNodes(here), gone.Node), "all", AddLater{3}); err != nil {
			t.Fatal(err)
		}
		for _, pid := range []process.PID{a, b} {
			if got, err := genserver.Call(bg, here, pid, Add{}); got != 3 || err != nil {
				t.Fatal(got, err)
			}
		}
	})
	t.Run("GEN-17_GEN-18_GEN-19_multicall", func(t *testing.T) {
		start(t, places[0].rt, process.WithName("multi"))
		start(t, places[1].rt, process.WithName("multi"))
		start(t, places[1].rt, process.WithName("one"))
		one, two := m.Node(1).Name(), m.Node(2).Name()
		replies, bad, err := genserver.MultiCall(bg, here, []string{gone.Node, two, one}, "multi", Add{N: 7})
		if err != nil || len(replies) != 2 || replies[0].Node != two || replies[1].Node != one || replies[1].Value != 7 ||
			len(bad) != 1 || bad[0].Node != gone.Node || !errors.Is(bad[0].Err, process.ErrNoConnection) {
			t.Fatal(replies, bad, err)
		}
		replies, bad, _ = genserver.MultiCall(bg, here, []string{one, two}, "one", Fail{Text: "said no"})
		if len(replies) != 1 || replies[0].Err == nil || len(bad) != 1 || !errors.Is(bad[0].Err, process.ErrNoProcess) {
			t.Fatal(replies, bad)
		}
		begin := time.Now()
		replies, bad, _ = genserver.MultiCall(within(t, 100*time.Millisecond), here, []string{one, two}, "multi", Mute{})
		if took := time.Since(begin); len(replies) != 0 || len(bad) != 2 || !errors.Is(bad[1].Err, genserver.ErrTimeout) || took > time.Second {
			t.Fatal(replies, bad, took)
		}
		replies, bad, _ = genserver.MultiCall(bg, here, []string{one, two}, "one", Panic{})
		if len(replies) != 0 || len(bad) != 2 {
			t.Fatal(replies, bad)
		}
	})
	t.Run("GEN-21_GEN-22_lists", func(t *testing.T) {
		if r, b, err := genserver.MultiCall(bg, here, nil, "x", Add{}); r != nil || b != nil || err != nil {
			t.Fatal(r, b, err)
		}
		if _, _, err := genserver.MultiCall(bg, here, []string{m.Node(1).Name(), "not a name"}, "x", Add{}); !errors.Is(err, genserver.ErrBadNode) {
			t.Fatal(err)
		}
		if err := genserver.AbCast(bg, here, []string{""}, "x", Add{}); !errors.Is(err, genserver.ErrBadNode) {
			t.Fatal(err)
		}
	})
	t.Run("GEN-28_start", func(t *testing.T) {
		pid, _ := start(t, here, process.WithName("taken"))
		_, err := server(nil).Start(bg, here, process.WithName("taken"))
		if taken, ok := errors.AsType[*genserver.AlreadyStartedError](err); !ok || taken.PID != pid || !errors.Is(err, process.ErrNameTaken) {
			t.Fatal(err)
		}
		s := &genserver.Server[int]{Init: func(*genserver.Self) (int, error) { return 0, errors.New("no luck") }}
		if _, err := s.Start(bg, here); err == nil || !strings.Contains(err.Error(), "no luck") {
			t.Fatal(err)
		}
		if _, err := (&genserver.Server[int]{}).Start(bg, here); !errors.Is(err, genserver.ErrBadServer) {
			t.Fatal(err)
		}
		twice := server(nil)
		twice.Handlers = append(twice.Handlers, genserver.OnCall((*counter).add))
		if _, err := twice.Start(bg, here); !errors.Is(err, genserver.ErrBadServer) {
			t.Fatal(err)
		}
		slow := &genserver.Server[int]{Init: func(self *genserver.Self) (int, error) { <-self.Context().Done(); return 0, nil }}
		if _, err := slow.Start(within(t, time.Millisecond), here); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	})
	t.Run("started_by_another_node", func(t *testing.T) {
		there := places[1].rt
		events := make(chan string, 1)
		if err := process.RegisterBehaviour(there, "counter", func(struct{}) (process.Behaviour, error) { return server(events).Behaviour(there) }); err != nil {
			t.Fatal(err)
		}
		pid, err := here.SpawnAt(bg, m.Node(2).Name(), "counter", nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := genserver.Call(bg, here, pid, Add{N: 3}); got != 3 || err != nil {
			t.Fatal(got, err)
		}
	})
}

type registry map[string]process.PID

func (r registry) Whereis(name string) (process.PID, bool) {
	pid, ok := r[name]
	return pid, ok
}
