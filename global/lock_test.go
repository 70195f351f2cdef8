package global_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/process"
)

func lock(t testing.TB, r *global.Registry, resource, requester string, opts ...global.LockOption) *global.Lock {
	t.Helper()
	l, err := r.Lock(background(t), resource, requester, opts...)
	must(t, err)
	t.Cleanup(l.Unlock)
	return l
}

func refused(t testing.TB, r *global.Registry, resource, requester string, opts ...global.LockOption) {
	t.Helper()
	if _, err := r.Lock(background(t), resource, requester, append(opts, global.Retries(0))...); !errors.Is(err, global.ErrLocked) {
		t.Fatalf("%s for %s: %v", resource, requester, err)
	}
}

// TestGLOBLocks is the contract of locks on real nodes.
func TestGLOBLocks(t *testing.T) {
	c := newCluster(t, 4)
	ctx := background(t)
	a, b, d := c.r[0], c.r[1], c.r[3]
	n := func(i int) string { return c.Node(i).Name() }

	t.Run("GLOB-53_GLOB-66", func(t *testing.T) {
		l := lock(t, a, "r1", "me")
		for _, r := range c.r {
			refused(t, r, "r1", "you")
		}
		got := make(chan *global.Lock)
		go func() {
			next, err := d.Lock(ctx, "r1", "you")
			if err != nil {
				t.Error(err)
			}
			got <- next
		}()
		meshtest.Eventually(t, "it waits in line", func() bool {
			info, _ := a.LockOwner("r1")
			return info.Requester == "me" && info.Waiting == 1
		})
		l.Unlock()
		next := <-got
		if next.Token() <= l.Token() {
			t.Errorf("token %d after %d", next.Token(), l.Token())
		}
		if info, ok := b.LockOwner("r1"); !ok || info.Requester != "you" || len(info.Nodes) != 1 || info.Nodes[0] != n(4) {
			t.Errorf("%+v, %v", info, ok)
		}
		next.Unlock()
		lock(t, b, "r1", "me").Unlock()
	})
	t.Run("GLOB-54", func(t *testing.T) {
		l := lock(t, a, "r2", "me")
		start := time.Now()
		refused(t, b, "r2", "you")
		if took := time.Since(start); took > 150*time.Millisecond {
			t.Errorf("one attempt took %v", took)
		}
		if _, err := b.Lock(ctx, "r2", "you", global.Retries(2)); !errors.Is(err, global.ErrLocked) {
			t.Error(err)
		}
		time.AfterFunc(100*time.Millisecond, l.Unlock)
		lock(t, b, "r2", "you", global.Retries(20)).Unlock()
	})
	t.Run("GLOB-55", func(t *testing.T) {
		for _, opts := range [][]global.LockOption{{global.Retries(-2)}, {global.OnNodes()}} {
			if _, err := a.Lock(ctx, "r", "me", opts...); !errors.Is(err, global.ErrBadArgument) {
				t.Error(err)
			}
		}
		if _, err := a.Lock(ctx, "", "me"); !errors.Is(err, global.ErrBadName) {
			t.Error(err)
		}
		if _, err := a.Lock(ctx, "r", ""); !errors.Is(err, global.ErrBadArgument) {
			t.Error(err)
		}
	})
	t.Run("GLOB-56_GLOB-57_GLOB-59", func(t *testing.T) {
		l1, l2, l3 := lock(t, a, "r3", "same"), lock(t, b, "r3", "same"), lock(t, a, "r3", "same")
		l1.Unlock()
		l1.Unlock()
		refused(t, d, "r3", "other")
		l2.Unlock()
		refused(t, d, "r3", "other")
		l3.Unlock()
		must(t, a.Sync(ctx))
		lock(t, d, "r3", "other").Unlock()
	})
	t.Run("GLOB-60_GLOB-62", func(t *testing.T) {
		left := lock(t, a, "r4", "l", global.OnNodes(n(1), n(2)))
		right := lock(t, d, "r4", "r", global.OnNodes(n(3), n(4)))
		refused(t, a, "r4", "l", global.OnNodes(n(2), n(3)))
		refused(t, b, "r4", "x", global.OnNodes(n(1)))
		refused(t, d, "r4", "r", global.OnNodes(n(2), n(4)))
		left.Unlock()
		right.Unlock()
	})
	t.Run("GLOB-63", func(t *testing.T) {
		if _, err := a.Lock(ctx, "r5", "me", global.OnNodes("n9@127.0.0.1")); !errors.Is(err, global.ErrNotConnected) {
			t.Error(err)
		}
	})
	t.Run("GLOB-67_GLOB-68", func(t *testing.T) {
		broken := errors.New("broken")
		ran, err := a.Trans(ctx, "r6", "me", func(context.Context) error {
			refused(t, b, "r6", "you")
			if ran, err := b.Trans(ctx, "r6", "you", nil, global.Retries(0)); ran || !errors.Is(err, global.ErrLocked) {
				t.Errorf("%v, %v", ran, err)
			}
			return broken
		})
		if !ran || !errors.Is(err, broken) {
			t.Errorf("%v, %v", ran, err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic is gone")
				}
			}()
			_, _ = a.Trans(ctx, "r6", "me", func(context.Context) error { panic("on purpose") })
		}()
		must(t, a.Sync(ctx))
		lock(t, b, "r6", "you", global.Retries(0)).Unlock()
	})
	t.Run("contended", func(t *testing.T) {
		var wg sync.WaitGroup
		var inside, count int
		last := uint64(0)
		for i := range 8 {
			wg.Go(func() {
				for range 5 {
					l, err := c.r[i%4].Lock(ctx, "r7", string(rune('a'+i)))
					if err != nil {
						t.Error(err)
						return
					}
					if inside++; inside != 1 || l.Token() <= last {
						t.Errorf("%d inside, token %d after %d", inside, l.Token(), last)
					}
					last = l.Token()
					count++
					inside--
					l.Unlock()
				}
			})
		}
		wg.Wait()
		if count != 40 {
			t.Errorf("%d turns", count)
		}
	})
	t.Run("held_by", func(t *testing.T) {
		p := c.idle(0)
		l := lock(t, a, "r8", "me", global.HeldBy(p))
		c.rt[0].Exit(p, process.ErrKill)
		<-l.Context().Done()
		lock(t, d, "r8", "you").Unlock()
		if _, err := a.Lock(ctx, "r8", "me", global.HeldBy(p)); !errors.Is(err, global.ErrNoProcess) {
			t.Error(err)
		}
	})
	t.Run("context", func(t *testing.T) {
		l := lock(t, a, "r9", "me")
		short, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
		defer cancel()
		if _, err := b.Lock(short, "r9", "you"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		l.Unlock()
		lock(t, d, "r9", "them").Unlock()
	})
	t.Run("GLOB-64", func(t *testing.T) {
		early := lock(t, a, "r10", "me")
		c.apart(1, 2)
		meshtest.Eventually(t, "the lost node's lock is free", func() bool {
			_, held := d.LockOwner("r10")
			return !held
		})
		lo, hi := lock(t, b, "r11", "left"), lock(t, d, "r11", "right")
		c.together()
		<-hi.Context().Done()
		if err := context.Cause(hi.Context()); !errors.Is(err, global.ErrLockLost) {
			t.Error(err)
		}
		if lo.Context().Err() != nil || early.Context().Err() != nil {
			t.Error("the lower lost its lock")
		}
		for _, r := range c.r {
			meshtest.Eventually(t, "one holder", func() bool {
				info, _ := r.LockOwner("r11")
				again, _ := r.LockOwner("r10")
				return info.Requester == "left" && again.Requester == "me"
			})
		}
		refused(t, d, "r10", "you")
		lo.Unlock()
		early.Unlock()
		must(t, a.Sync(ctx))
		must(t, b.Sync(ctx))
		lock(t, d, "r11", "right", global.Retries(0)).Unlock()
		lock(t, d, "r10", "right", global.Retries(0)).Unlock()
	})
	t.Run("node_down", func(t *testing.T) {
		lock(t, d, "r12", "me")
		c.Kill(4)
		lock(t, a, "r12", "you").Unlock()
	})
}
