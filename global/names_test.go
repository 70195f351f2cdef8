package global_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// TestGLOB is the contract of names in one healthy mesh, on real nodes.
func TestGLOB(t *testing.T) {
	c := newCluster(t, 3)
	ctx := background(t)
	a, b, d := c.r[0], c.r[1], c.r[2]

	t.Run("GLOB-01_GLOB-02_GLOB-03_GLOB-08", func(t *testing.T) {
		for i := range 50 {
			name := fmt.Sprintf("name-%d", i)
			r := c.r[i%3]
			p, q := c.idle(i%3), c.idle((i+1)%3)
			must(t, r.Register(ctx, name, p))
			resolves(t, name, p, a, b, d)
			var taken *global.TakenError
			for _, o := range c.r {
				err := o.Register(ctx, name, q)
				if !errors.Is(err, global.ErrTaken) || !errors.As(err, &taken) || taken.Holder != p || taken.Name != name {
					t.Fatalf("registered twice: %v", err)
				}
			}
			if err := r.Register(ctx, name, p); !errors.Is(err, global.ErrTaken) {
				t.Fatalf("the same again: %v", err)
			}
		}
		if _, ok := a.Whereis("nobody"); ok {
			t.Error("an unknown name resolves")
		}
	})
	t.Run("GLOB-04_GLOB-16", func(t *testing.T) {
		p := c.idle(1)
		must(t, b.Register(ctx, "first", p))
		for _, r := range c.r {
			if err := r.Register(ctx, "second", p); !errors.Is(err, global.ErrHasName) {
				t.Fatalf("a second name: %v", err)
			}
		}
		must(t, b.ReRegister(ctx, "second", p))
		resolves(t, "first", p, a, b, d)
		resolves(t, "second", p, a, b, d)
		c.rt[1].Exit(p, process.ErrKill)
		becomes(t, "first", process.PID{}, a, b, d)
		becomes(t, "second", process.PID{}, a, b, d)
	})
	t.Run("GLOB-05", func(t *testing.T) {
		for i := range 40 {
			race(t, c, fmt.Sprintf("race-%d", i))
		}
	})
	t.Run("GLOB-06", func(t *testing.T) {
		for _, name := range []string{"a b", "\x00", "*.>", "ü\xff", string(make([]byte, global.MaxName))} {
			p := c.idle(0)
			must(t, a.Register(ctx, name, p))
			resolves(t, name, p, a, b, d)
		}
	})
	t.Run("GLOB-07", func(t *testing.T) {
		p := c.idle(2)
		must(t, a.Register(ctx, "elsewhere", p))
		resolves(t, "elsewhere", p, a, b, d)
		c.rt[2].Exit(p, process.ErrKill)
		becomes(t, "elsewhere", process.PID{}, a, b, d)
	})
	t.Run("GLOB-09", func(t *testing.T) {
		for range 50 {
			p := c.idle(0)
			must(t, a.Register(ctx, "mortal", p))
			c.rt[0].Exit(p, process.ErrKill)
			meshtest.Eventually(t, "death", func() bool { return !c.rt[0].Alive(p) })
			resolves(t, "mortal", process.PID{}, a)
			becomes(t, "mortal", process.PID{}, b, d)
		}
	})
	t.Run("GLOB-13", func(t *testing.T) {
		p := c.idle(0)
		c.rt[0].Exit(p, process.ErrKill)
		meshtest.Eventually(t, "death", func() bool { return !c.rt[0].Alive(p) })
		for _, r := range c.r {
			if err := r.Register(ctx, "dead", p); !errors.Is(err, global.ErrNoProcess) {
				t.Errorf("a dead process: %v", err)
			}
		}
	})
	t.Run("GLOB-14", func(t *testing.T) {
		p := c.idle(0)
		must(t, a.Register(ctx, "anybody's", p))
		must(t, d.Unregister(ctx, "anybody's"))
		resolves(t, "anybody's", process.PID{}, a, b, d)
		if !c.rt[0].Alive(p) {
			t.Error("the process has ended")
		}
		must(t, b.Unregister(ctx, "unknown"))
	})
	t.Run("GLOB-15", func(t *testing.T) {
		p, q := c.idle(0), c.idle(1)
		must(t, d.ReRegister(ctx, "moves", p))
		resolves(t, "moves", p, a, b, d)
		m, _, _ := d.MonitorName("moves")
		defer m.Close()
		must(t, d.ReRegister(ctx, "moves", q))
		resolves(t, "moves", q, a, b, d)
		if ev := next(t, m); ev.Kind != global.Moved || ev.Previous.PID != p || ev.Entry.PID != q {
			t.Errorf("it did not move in one step: %+v", ev)
		}
		if !c.rt[0].Alive(p) {
			t.Error("the first process has ended")
		}
		c.rt[0].Exit(p, process.ErrKill)
		must(t, a.Sync(ctx))
		resolves(t, "moves", q, a, b, d)
	})
	t.Run("GLOB-17", func(t *testing.T) {
		p, in := c.sink(1)
		must(t, b.Register(ctx, "inbox", p))
		if to, err := d.Send(ctx, "inbox", "hello"); err != nil || to != p {
			t.Errorf("%v, %v", to, err)
		}
		if msg := take(t, in); msg != "hello" {
			t.Errorf("got %v", msg)
		}
		if _, err := d.Send(ctx, "nobody", "hello"); !errors.Is(err, global.ErrNoName) {
			t.Errorf("to nobody: %v", err)
		}
	})
	t.Run("GLOB-18", func(t *testing.T) {
		for i, name := range []string{"list/c", "list/a", "list/b"} {
			must(t, c.r[i].Register(ctx, name, c.idle(i), global.WithMeta(global.Meta{"n": name})))
		}
		for _, r := range c.r {
			if got := fmt.Sprint(r.Names("list/")); got != "[list/a list/b list/c]" {
				t.Error(got)
			}
			for _, e := range r.Entries("list/") {
				if e.Meta["n"] != e.Name {
					t.Errorf("%+v", e)
				}
			}
		}
		must(t, a.SetMeta(ctx, "list/b", global.Meta{"n": "new"}))
		for _, r := range c.r {
			if e, _ := r.Lookup("list/b"); e.Meta["n"] != "new" {
				t.Errorf("%+v", e)
			}
		}
	})
	t.Run("GLOB-22", func(t *testing.T) {
		p := c.idle(0)
		for _, err := range []error{
			a.Register(ctx, "", p), a.Register(ctx, string(make([]byte, 256)), p), a.ReRegister(ctx, "", p), a.Unregister(ctx, ""),
		} {
			if !errors.Is(err, global.ErrBadName) {
				t.Errorf("bad name: %v", err)
			}
		}
		if err := a.Register(ctx, "x", process.PID{}); !errors.Is(err, global.ErrNoProcess) {
			t.Errorf("zero PID: %v", err)
		}
		if err := a.Register(ctx, "x", process.PID{Node: "n9@127.0.0.1", Incarnation: 1, ID: 1}); !errors.Is(err, global.ErrNotConnected) {
			t.Errorf("unknown node: %v", err)
		}
	})
	t.Run("GLOB-23", func(t *testing.T) {
		for _, garbage := range [][]byte{{}, {1}, {9, 9, 9}, {1, 0, 0, 200, 1}, []byte("\x01\x00\x00\x02hello, world")} {
			must(t, c.Node(1).Send(ctx, c.Node(2).ID(), node.ProtocolGlobal, 0, garbage))
		}
		p := c.idle(1)
		must(t, b.Register(ctx, "after garbage", p))
		resolves(t, "after garbage", p, a, b, d)
		meshtest.Eventually(t, "count", func() bool { return b.Stats().BadFrames >= 4 })
	})
}

// race lets every node register one name at once.
func race(t *testing.T, c *cluster, name string) {
	t.Helper()
	var wg sync.WaitGroup
	pids, errs := make([]process.PID, len(c.r)), make([]error, len(c.r))
	for i, r := range c.r {
		pids[i] = c.idle(i)
		wg.Go(func() { errs[i] = r.Register(background(t), name, pids[i]) })
	}
	wg.Wait()
	var winner process.PID
	for i, err := range errs {
		switch {
		case err == nil && winner.IsZero():
			winner = pids[i]
		case !errors.Is(err, global.ErrTaken):
			t.Fatalf("race for %s: %v", name, errs)
		}
	}
	if winner.IsZero() {
		t.Fatalf("nobody won the race for %s: %v", name, errs)
	}
	becomes(t, name, winner, c.r...)
}

// TestSingleLatency is what one registration costs.
func TestSingleLatency(t *testing.T) {
	c := newCluster(t, 3)
	ctx := background(t)
	var total time.Duration
	const n = 200
	for i := range n {
		p := c.idle(0)
		start := time.Now()
		must(t, c.r[0].Register(ctx, fmt.Sprint("l", i), p))
		total += time.Since(start)
	}
	t.Logf("mean %v", total/n)
}
