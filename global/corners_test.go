package global_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// TestGLOBHidden: a hidden node has names and locks of its own.
func TestGLOBHidden(t *testing.T) {
	c := newCluster(t, 2, meshtest.Configure(func(cfg *node.Config) { cfg.Hidden = cfg.Name == "n3@127.0.0.1" }))
	ctx := background(t)
	c.Start("n3@127.0.0.1")
	c.rt, c.r = append(c.rt, nil), append(c.r, nil)
	c.equip(2)
	a, b, hidden := c.r[0], c.r[1], c.r[2]
	_, err := c.Node(3).Connect(ctx, c.Node(1).Name())
	must(t, err)
	t.Run("GLOB-24", func(t *testing.T) {
		p, q := c.idle(0), c.idle(2)
		must(t, a.Register(ctx, "x", p))
		must(t, hidden.Register(ctx, "x", q))
		resolves(t, "x", p, a, b)
		resolves(t, "x", q, hidden)
		must(t, hidden.Unregister(ctx, "x"))
		resolves(t, "x", p, a, b)
		resolves(t, "x", process.PID{}, hidden)
		if len(hidden.Peers()) != 0 || len(a.Peers()) != 1 {
			t.Errorf("peers %v and %v", hidden.Peers(), a.Peers())
		}
	})
	t.Run("GLOB-65", func(t *testing.T) {
		visible := lock(t, a, "r", "me", global.Retries(0))
		own := lock(t, hidden, "r", "you", global.Retries(0))
		own.Unlock()
		refused(t, b, "r", "you")
		visible.Unlock()
	})
}

// TestGLOB28 (GLOB-28) loads the registries of three nodes, which must not lose each other by that.
func TestGLOB28(t *testing.T) {
	c := newCluster(t, 3, meshtest.Tick(time.Second))
	var downs atomic.Int32
	for i := range 3 {
		m := c.Node(i + 1).Monitor()
		t.Cleanup(m.Close)
		go func() {
			for e := range m.Events() {
				if !e.Up {
					downs.Add(1)
				}
			}
		}()
	}
	const each, callers = 4000, 256
	ctx := background(t)
	var wg sync.WaitGroup
	for i, r := range c.r {
		for w := range callers {
			wg.Go(func() {
				for k := w; k < each; k += callers {
					if err := r.Register(ctx, fmt.Sprintf("load-%d-%d", i, k), c.idleHandle(i)); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	for i, r := range c.r {
		if n := r.Stats().Names; n != 3*each {
			t.Errorf("node %d sees %d names of %d", i+1, n, 3*each)
		}
	}
	if downs.Load() > 0 {
		t.Errorf("%d times a node was lost", downs.Load())
	}
}

// TestGLOBResolvers is about which resolver counts, and what becomes of one whose nodes part while it runs.
func TestGLOBResolvers(t *testing.T) {
	c := newCluster(t, 2, meshtest.Tick(150*time.Millisecond))
	ctx := background(t)
	lo, hi := c.r[0], c.r[1]
	t.Run("GLOB-40", func(t *testing.T) {
		p, q := c.idle(0), c.idle(1)
		r, s := c.idle(0), c.idle(1)
		c.apart(1)
		must(t, lo.Register(ctx, "drop-is-older", p, global.WithResolver(global.ResolveDrop)))
		must(t, hi.Register(ctx, "notify-is-older", s, global.WithResolver(global.ResolveNotify)))
		time.Sleep(5 * time.Millisecond) // the clocks of versions count milliseconds
		must(t, hi.Register(ctx, "drop-is-older", q, global.WithResolver(global.ResolveNotify)))
		must(t, lo.Register(ctx, "notify-is-older", r, global.WithResolver(global.ResolveDrop)))
		c.together()
		becomes(t, "drop-is-older", process.PID{}, lo, hi)
		becomes(t, "notify-is-older", r, lo, hi)
	})
	t.Run("GLOB-43", func(t *testing.T) {
		var calls atomic.Int32
		for _, reg := range c.r {
			must(t, reg.RegisterResolver("cuts", func(ctx context.Context, cl global.Clash) global.Outcome {
				if calls.Add(1) > 1 {
					return global.Outcome{Keep: cl.Higher.PID}
				}
				c.Node(1).Disconnect(c.Node(2).Name())
				for len(lo.Peers()) > 0 && ctx.Err() == nil {
					time.Sleep(time.Millisecond)
				}
				return global.Outcome{Keep: cl.Lower.PID} // which is void
			}))
		}
		p, q := c.idle(0), c.idle(1)
		c.apart(1)
		must(t, lo.Register(ctx, "cut", p, global.WithResolver("cuts")))
		must(t, hi.Register(ctx, "cut", q, global.WithResolver("cuts")))
		c.MendAll()
		meshtest.Eventually(t, "the resolver runs", func() bool { return calls.Load() == 1 })
		meshtest.Eventually(t, "they meet again", func() bool {
			_, err := c.Node(1).Connect(ctx, c.Node(2).Name())
			return err == nil && calls.Load() == 2
		})
		becomes(t, "cut", q, lo, hi)
	})
}

// TestGLOBDisconnect lets a node leave the others by itself, and come back.
func TestGLOBDisconnect(t *testing.T) {
	c := newCluster(t, 4)
	ctx := background(t)
	pids := make([]process.PID, 4)
	for i := range pids {
		pids[i] = c.idle(i)
		must(t, c.r[i].Register(ctx, fmt.Sprint("own-", i), pids[i]))
	}
	t.Run("GLOB-49", func(t *testing.T) {
		for i := 2; i <= 4; i++ {
			c.Node(1).Disconnect(c.Node(i).Name())
		}
		becomes(t, "own-0", process.PID{}, c.r[1:]...)
		resolves(t, "own-0", pids[0], c.r[0])
		for i := 1; i < 4; i++ {
			becomes(t, fmt.Sprint("own-", i), process.PID{}, c.r[0])
			resolves(t, fmt.Sprint("own-", i), pids[i], c.r[1:]...)
		}
		if !c.Connected(2, 3) || !c.Connected(2, 4) || !c.Connected(3, 4) {
			t.Error("others have lost each other")
		}
	})
	t.Run("GLOB-50", func(t *testing.T) {
		meshtest.Eventually(t, "connected again", func() bool {
			for i := 2; i <= 4; i++ {
				if _, err := c.Node(1).Connect(ctx, c.Node(i).Name()); err != nil {
					return false
				}
			}
			return true
		})
		c.WaitFull()
		for i := range pids {
			becomes(t, fmt.Sprint("own-", i), pids[i], c.r...)
		}
	})
}

// TestGLOB69 (GLOB-69): no lock that anybody holds keeps two nodes from joining their names.
func TestGLOB69(t *testing.T) {
	c := newCluster(t, 3, meshtest.Tick(150*time.Millisecond))
	ctx := background(t)
	lock(t, c.r[2], "everything", "third")
	c.Break(1, 2)
	meshtest.Eventually(t, "apart", func() bool { return len(c.r[0].Peers()) == 1 && len(c.r[1].Peers()) == 1 })
	p, q := c.idle(0), c.idle(1)
	must(t, c.r[0].Register(ctx, "left", p))
	must(t, c.r[1].Register(ctx, "right", q))
	c.Mend(1, 2)
	becomes(t, "left", p, c.r...)
	becomes(t, "right", q, c.r...)
	refused(t, c.r[0], "everything", "first")
}
