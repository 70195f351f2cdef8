package global_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/process"
)

// apart waits until a partition is noticed on both sides.
func (c *cluster) apart(group ...int) {
	c.t.Helper()
	c.Partition(group...)
	side := map[int]bool{}
	for _, i := range group {
		side[i] = true
	}
	meshtest.Eventually(c.t, "the partition is noticed", func() bool {
		for i := range c.r {
			for j := range c.r {
				if i != j && side[i+1] != side[j+1] && c.Connected(i+1, j+1) {
					return false
				}
			}
			want := len(group) - 1
			if !side[i+1] {
				want = len(c.r) - len(group) - 1
			}
			if len(c.r[i].Peers()) != want {
				return false
			}
		}
		return true
	})
}

func (c *cluster) together() {
	c.t.Helper()
	c.MendAll()
	c.WaitFull()
	c.sync()
}

// TestGLOBPartition is what happens when partitions meet.
func TestGLOBPartition(t *testing.T) {
	c := newCluster(t, 4, meshtest.Tick(150*time.Millisecond))
	ctx := background(t)
	var calls atomic.Int32
	var sawLower, sawHigher atomic.Value
	choose := func(f func(global.Clash) process.PID) global.Resolver {
		return func(_ context.Context, cl global.Clash) global.Outcome {
			calls.Add(1)
			sawLower.Store(cl.Lower.PID)
			sawHigher.Store(cl.Higher.PID)
			return global.Outcome{Keep: f(cl)}
		}
	}
	resolvers := map[string]global.Resolver{
		"lower":  choose(func(cl global.Clash) process.PID { return cl.Lower.PID }),
		"higher": choose(func(cl global.Clash) process.PID { return cl.Higher.PID }),
		"none":   choose(func(global.Clash) process.PID { return process.PID{} }),
		"other":  choose(func(global.Clash) process.PID { return process.PID{Node: "x", ID: 1} }),
		"panics": choose(func(global.Clash) process.PID { panic("on purpose") }),
	}
	for _, r := range c.r {
		for name, f := range resolvers {
			must(t, r.RegisterResolver(name, f))
		}
		if err := r.RegisterResolver("lower", resolvers["lower"]); !errors.Is(err, global.ErrTaken) {
			t.Errorf("the same resolver again: %v", err)
		}
	}
	locker := func(_ context.Context, cl global.Clash) global.Outcome {
		ran, err := c.r[0].Trans(ctx, "resolver's", "r", func(context.Context) error { return nil })
		if !ran || err != nil {
			t.Errorf("a lock in a resolver: %v, %v", ran, err)
		}
		return global.Outcome{Keep: cl.Lower.PID}
	}
	for _, r := range c.r {
		must(t, r.RegisterResolver("locks", locker))
	}

	type pair struct {
		name   string
		lo, hi process.PID
		inLo   <-chan any
		inHi   <-chan any
	}
	kinds := []string{"", "lower", "higher", "none", "other", "panics", global.ResolveNotify, global.ResolveDrop, global.ResolveOlder, "unknown", "locks"}
	both := c.idle(1)
	must(t, c.r[1].Register(ctx, "same", both))
	c.apart(1, 2)
	pairs := map[string]*pair{}
	for _, kind := range kinds {
		p := &pair{name: "name-" + kind}
		p.lo, p.inLo = c.sink(1)
		p.hi, p.inHi = c.sink(2)
		var opts []global.RegisterOption
		if kind != "" {
			opts = append(opts, global.WithResolver(kind))
		}
		if kind == global.ResolveOlder { // the higher one first
			must(t, c.r[3].Register(ctx, p.name, p.hi, opts...))
			time.Sleep(5 * time.Millisecond) // the clocks of versions count milliseconds
			must(t, c.r[0].Register(ctx, p.name, p.lo, opts...))
		} else {
			must(t, c.r[0].Register(ctx, p.name, p.lo, opts...))
			must(t, c.r[3].Register(ctx, p.name, p.hi, opts...))
		}
		resolves(t, p.name, p.lo, c.r[0], c.r[1])
		resolves(t, p.name, p.hi, c.r[2], c.r[3])
		pairs[kind] = p
	}
	left, right := c.idle(0), c.idle(3)
	must(t, c.r[0].Register(ctx, "left", left))
	must(t, c.r[3].Register(ctx, "right", right))
	must(t, c.r[0].Unregister(ctx, "same"))
	c.MendAll()
	c.WaitFull()
	healed := time.Now()

	t.Run("GLOB-29", func(t *testing.T) {
		becomes(t, "left", left, c.r...)
		becomes(t, "right", right, c.r...)
	})
	t.Run("GLOB-51", func(t *testing.T) {
		becomes(t, "same", process.PID{}, c.r...)
		c.sync()
		resolves(t, "same", process.PID{}, c.r...)
	})
	owner := func(kind string, want process.PID) {
		t.Helper()
		becomes(t, pairs[kind].name, want, c.r...)
	}
	t.Run("GLOB-32", func(t *testing.T) {
		owner("lower", pairs["lower"].lo)
		owner("higher", pairs["higher"].hi)
	})
	t.Run("GLOB-33", func(*testing.T) { owner("none", process.PID{}) })
	t.Run("GLOB-34", func(*testing.T) { owner("other", process.PID{}) })
	t.Run("GLOB-35", func(*testing.T) { owner("panics", pairs["panics"].lo) })
	t.Run("GLOB-41", func(*testing.T) { owner("locks", pairs["locks"].lo) })
	t.Run("GLOB-36", func(t *testing.T) {
		for _, kind := range []string{"", "unknown"} {
			p := pairs[kind]
			owner(kind, p.lo)
			if msg := take(t, p.inHi); msg != (global.Conflict{Name: p.name, Other: p.lo, Stop: 50 * time.Millisecond}) {
				t.Errorf("the loser was told %+v", msg)
			}
			meshtest.Eventually(t, "the loser ends", func() bool { return !c.rt[2].Alive(p.hi) })
		}
	})
	t.Run("GLOB-37", func(t *testing.T) {
		p := pairs[global.ResolveNotify]
		owner(global.ResolveNotify, p.lo)
		if msg := take(t, p.inHi); msg != (global.Conflict{Name: p.name, Other: p.lo}) {
			t.Errorf("the loser was told %+v", msg)
		}
		if !c.rt[2].Alive(p.hi) {
			t.Error("the loser has ended")
		}
	})
	t.Run("GLOB-38", func(t *testing.T) {
		p := pairs[global.ResolveDrop]
		owner(global.ResolveDrop, process.PID{})
		if msg := take(t, p.inHi); msg != (global.Conflict{Name: p.name, Other: p.lo, Dropped: true}) {
			t.Errorf("the higher was told %+v", msg)
		}
		if msg := take(t, p.inLo); msg != (global.Conflict{Name: p.name, Other: p.hi, Dropped: true}) {
			t.Errorf("the lower was told %+v", msg)
		}
	})
	t.Run("older", func(t *testing.T) { owner(global.ResolveOlder, pairs[global.ResolveOlder].hi) })
	t.Run("within_2s", func(t *testing.T) {
		if took := time.Since(healed); took > 2*time.Second {
			t.Errorf("one owner for each name after %v", took)
		}
	})
	t.Run("GLOB-30_GLOB-31", func(t *testing.T) {
		c.sync()
		if n := calls.Load(); n != 5 {
			t.Errorf("%d calls of resolvers for 5 clashes", n)
		}
		total := uint64(0)
		for i, r := range c.r {
			total += r.Stats().Clashes
			if i != 1 && r.Stats().Clashes != 0 {
				t.Errorf("registry %d resolved, though the lower owner is 1", i)
			}
		}
		if total != uint64(len(kinds)) {
			t.Errorf("%d clashes, want %d", total, len(kinds))
		}
		if sawLower.Load().(process.PID).Node != c.Node(2).Name() || sawHigher.Load().(process.PID).Node != c.Node(3).Name() {
			t.Error("lower and higher are mixed up")
		}
	})
	t.Run("GLOB-46", func(t *testing.T) {
		for kind, p := range pairs {
			must(t, c.r[len(kind)%4].Unregister(ctx, p.name))
			resolves(t, p.name, process.PID{}, c.r...)
		}
	})
}

// TestGLOBLinks breaks one link of four nodes.
func TestGLOBLinks(t *testing.T) {
	c := newCluster(t, 4, meshtest.Tick(150*time.Millisecond))
	ctx := background(t)
	pids := make([]process.PID, 4)
	for i := range 4 {
		pids[i] = c.idle(i)
		must(t, c.r[i].Register(ctx, fmt.Sprint("own-", i), pids[i]))
	}
	c.Break(1, 2)
	meshtest.Eventually(t, "the link is gone", func() bool { return len(c.r[0].Peers()) == 2 && len(c.r[1].Peers()) == 2 })

	t.Run("GLOB-47_GLOB-48", func(t *testing.T) {
		becomes(t, "own-1", process.PID{}, c.r[0])
		becomes(t, "own-0", process.PID{}, c.r[1])
		for i := range 4 {
			resolves(t, fmt.Sprint("own-", i), pids[i], c.r[2], c.r[3], c.r[i])
		}
		if !c.Connected(1, 3) || !c.Connected(1, 4) || !c.Connected(2, 3) || !c.Connected(2, 4) || !c.Connected(3, 4) {
			t.Error("nodes were expelled")
		}
	})
	t.Run("witness", func(t *testing.T) {
		// n1 does not see n2's name, but those who see both do.
		for i := range 10 {
			name := fmt.Sprint("seen-", i)
			p := c.idle(1)
			must(t, c.r[1].Register(ctx, name, p))
			var taken *global.TakenError
			if err := c.r[0].Register(ctx, name, c.idle(0)); !errors.As(err, &taken) || taken.Holder != p {
				t.Fatalf("a name that others know: %v", err)
			}
			becomes(t, name, p, c.r[1:]...)
		}
	})
	t.Run("GLOB-46", func(t *testing.T) {
		p, q := c.idle(0), c.idle(1)
		must(t, c.r[0].Register(ctx, "flaw", p))
		must(t, c.r[1].ReRegister(ctx, "flaw", q))
		must(t, c.r[0].Unregister(ctx, "own-0"))
		c.Mend(1, 2)
		c.WaitFull()
		c.sync()
		becomes(t, "own-0", process.PID{}, c.r...)
		meshtest.Eventually(t, "one owner", func() bool {
			first, ok := c.r[0].Whereis("flaw")
			for _, r := range c.r {
				if pid, _ := r.Whereis("flaw"); pid != first {
					return false
				}
			}
			return ok && c.r[0].Stats().Lost+c.r[1].Stats().Lost == 1
		})
		for i := range 10 {
			if e, _ := c.r[3].Lookup(fmt.Sprint("seen-", i)); e.PID.Node != c.Node(2).Name() {
				t.Errorf("%+v", e)
			}
		}
		must(t, c.r[2].Unregister(ctx, "flaw"))
		c.sync()
		resolves(t, "flaw", process.PID{}, c.r...)
	})
	t.Run("GLOB-11", func(t *testing.T) {
		m, _ := c.r[0].Monitor("own-")
		defer m.Close()
		c.Kill(4)
		becomes(t, "own-3", process.PID{}, c.r[:3]...)
		if ev := next(t, m); ev.Kind != global.Unregistered || ev.Entry.PID != pids[3] || ev.Reason != global.NodeDown {
			t.Errorf("%+v", ev)
		}
	})
}

// TestGLOB71 (GLOB-71) freezes one node of four, as far as the others can tell.
func TestGLOB71(t *testing.T) {
	const tick = 400 * time.Millisecond
	c := newCluster(t, 4, meshtest.Tick(tick))
	ctx := background(t)
	ghost := c.idle(3)
	must(t, c.r[3].Register(ctx, "ghost", ghost))
	c.Partition(4)
	worst := time.Duration(0)
	began := time.Now()
	for i := 0; time.Since(began) < 6*tick; i++ {
		start := time.Now()
		must(t, c.r[i%3].Register(ctx, fmt.Sprint("n", i), c.idle(i%3)))
		worst = max(worst, time.Since(start))
		time.Sleep(5 * time.Millisecond) // a few hundred are enough
	}
	t.Logf("worst %v at a tick of %v", worst, tick)
	if worst > 2*tick {
		t.Errorf("a registration took %v, want at most two ticks of %v", worst, tick)
	}
	becomes(t, "ghost", process.PID{}, c.r[:3]...)
	p := c.idle(0)
	must(t, c.r[0].Register(ctx, "ghost", p))
	c.together()
	becomes(t, "ghost", p, c.r...)
	becomes(t, "n0", mustFind(t, c.r[0], "n0"), c.r...)
}

func mustFind(t *testing.T, r *global.Registry, name string) process.PID {
	t.Helper()
	pid, ok := r.Whereis(name)
	if !ok {
		t.Fatalf("%s is nobody", name)
	}
	return pid
}

// TestGLOB12 (GLOB-12) ends many processes at once, TestGLOB20 (GLOB-20) lets a node join late.
func TestGLOB12(t *testing.T) {
	c := newCluster(t, 5)
	ctx := background(t)
	var pids []process.PID
	for i := range 200 {
		pids = append(pids, c.idle(i%5))
		must(t, c.r[(i+1)%5].Register(ctx, fmt.Sprint("mass-", i), pids[i]))
	}
	for i, p := range pids {
		c.rt[i%5].Exit(p, process.ErrKill)
	}
	for _, r := range c.r {
		meshtest.Eventually(t, "all are gone", func() bool { return len(r.Names("mass-")) == 0 && r.Stats().Names == 0 })
	}
}

func TestGLOB20(t *testing.T) {
	c := newCluster(t, 3)
	ctx := background(t)
	fill(t, c, 5000, 64)
	must(t, c.r[1].Register(ctx, "b", c.idle(1), global.WithMeta(global.Meta{"k": "v"})))
	c.Start("n4@127.0.0.1")
	c.rt, c.r = append(c.rt, nil), append(c.r, nil)
	c.WaitFull()
	c.equip(3)
	c.sync()
	if n := len(c.r[3].Names("")); n != 5001 {
		t.Errorf("the newcomer knows %d names of 5001", n)
	}
	if e, ok := c.r[3].Lookup("b"); !ok || e.Meta["k"] != "v" {
		t.Errorf("%+v, %v", e, ok)
	}
}

// TestGLOB24: hidden nodes and other name spaces have tables of their own.
func TestGLOB24(t *testing.T) {
	c := newCluster(t, 2)
	ctx := background(t)
	c.Start("n3@127.0.0.1")
	c.rt, c.r = append(c.rt, nil), append(c.r, nil)
	c.WaitFull()
	c.equip(2, global.Space("another"))
	p, q := c.idle(0), c.idle(2)
	t.Run("GLOB-26", func(t *testing.T) {
		if err := c.r[0].Register(background(t), "over there", c.idle(2)); !errors.Is(err, global.ErrNotConnected) {
			t.Errorf("a process in another name space: %v", err)
		}
		resolves(t, "over there", process.PID{}, c.r[0], c.r[2])
		must(t, c.r[0].Register(ctx, "x", p))
		must(t, c.r[2].Register(ctx, "x", q))
		for _, r := range c.r {
			must(t, r.Sync(ctx))
		}
		resolves(t, "x", p, c.r[0], c.r[1])
		resolves(t, "x", q, c.r[2])
		must(t, c.r[2].Unregister(ctx, "x"))
		resolves(t, "x", p, c.r[0], c.r[1])
	})
}
