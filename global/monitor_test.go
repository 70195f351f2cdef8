package global_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/process"
)

// TestMonitors is what monitors of a prefix tell, on another node than the one that changes names.
func TestMonitors(t *testing.T) {
	c := newCluster(t, 2)
	ctx := background(t)
	a, b := c.r[0], c.r[1]
	must(t, a.Register(ctx, "svc/early", c.idle(0), global.WithMeta(global.Meta{"v": "1"})))
	must(t, a.Register(ctx, "other", c.idle(0)))

	t.Run("snapshot_and_exact_events", func(t *testing.T) {
		m, list := b.Monitor("svc/")
		defer m.Close()
		if len(list) != 1 || list[0].Name != "svc/early" || list[0].Meta["v"] != "1" {
			t.Errorf("%+v", list)
		}
		p, q := c.idle(0), c.idle(1)
		must(t, a.Register(ctx, "svc/x", p))
		must(t, a.Register(ctx, "another", c.idle(0)))
		must(t, b.SetMeta(ctx, "svc/x", global.Meta{"v": "2"}))
		must(t, b.ReRegister(ctx, "svc/x", q))
		must(t, a.Unregister(ctx, "svc/x"))
		r := c.idle(0)
		must(t, a.Register(ctx, "svc/x", r))
		c.rt[0].Exit(r, process.ErrKill)
		type told struct {
			kind        global.EventKind
			who, before process.PID
			why         global.Reason
		}
		for i, want := range []told{
			{global.Registered, p, process.PID{}, 0}, {global.Updated, p, p, 0}, {global.Moved, q, p, global.ByCall},
			{global.Unregistered, q, process.PID{}, global.ByCall}, {global.Registered, r, process.PID{}, 0},
			{global.Unregistered, r, process.PID{}, global.Exited},
		} {
			ev := next(t, m)
			if got := (told{ev.Kind, ev.Entry.PID, ev.Previous.PID, ev.Reason}); got != want || ev.Entry.Name != "svc/x" {
				t.Errorf("event %d is %s %+v, want %+v", i, ev.Entry.Name, got, want)
			}
		}
	})
	t.Run("overflow_and_resync", func(t *testing.T) {
		m, _ := b.Monitor("many/", global.Queue(2))
		defer m.Close()
		const count = 10
		for i := range count {
			must(t, a.Register(ctx, fmt.Sprint("many/", i), c.idle(0)))
		}
		meshtest.Eventually(t, "some are dropped", func() bool { return m.Dropped() > 0 })
		for ev := next(t, m); ev.Kind != global.Overflow; ev = next(t, m) {
			if ev.Kind != global.Registered {
				t.Fatalf("%+v", ev)
			}
		}
		list, err := m.Resync()
		if err != nil || len(list) != count {
			t.Fatalf("%d of %d, %v", len(list), count, err)
		}
		must(t, a.Unregister(ctx, "many/0"))
		if ev := next(t, m); ev.Kind != global.Unregistered || ev.Entry.Name != "many/0" {
			t.Errorf("%+v", ev)
		}
	})
	t.Run("closed", func(t *testing.T) {
		m, _, ok := b.MonitorName("nobody")
		if ok {
			t.Error("nobody is somebody")
		}
		m.Close()
		m.Close()
		if _, open := <-m.Events(); open {
			t.Error("an event after Close")
		}
		if _, err := m.Resync(); !errors.Is(err, global.ErrClosed) {
			t.Error(err)
		}
	})
}
