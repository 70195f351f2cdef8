package global_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/internal/codec"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/quorum"
)

const shortLease = 2 * time.Second

// newQuorumCluster is a mesh of three stores and more nodes, all with names in quorum mode.
func newQuorumCluster(t testing.TB, n int, opts ...meshtest.Option) (*cluster, []*quorum.Store) {
	t.Helper()
	c := &cluster{t: t, Mesh: meshtest.New(t, n, append(opts, meshtest.Stores(3))...)}
	c.rt, c.r = make([]*process.Runtime, n), make([]*global.Registry, n)
	stores := make([]*quorum.Store, n)
	for i := range n {
		stores[i] = c.equipQuorum(i)
	}
	return c, stores
}

func (c *cluster) equipQuorum(i int, opts ...quorum.Option) *quorum.Store {
	c.t.Helper()
	if len(opts) == 0 {
		opts = []quorum.Option{quorum.WithLease(shortLease)}
	}
	var err error
	c.rt[i], err = process.New(c.Node(i + 1))
	must(c.t, err)
	s, err := quorum.Open(background(c.t), c.Node(i+1), opts...)
	must(c.t, err)
	c.t.Cleanup(func() { _ = s.Close() })
	c.r[i], err = global.New(c.rt[i], global.Quorum(s))
	must(c.t, err)
	return s
}

// TestGLOBQuorum is the contract of names in quorum mode, where it is that of available mode and where it is not.
func TestGLOBQuorum(t *testing.T) {
	t.Parallel()
	c, stores := newQuorumCluster(t, 4)
	ctx := background(t)
	a, b, d := c.r[0], c.r[1], c.r[3]

	t.Run("GLOB-01_GLOB-02_GLOB-03_GLOB-08", func(t *testing.T) {
		p := c.idle(3)
		v, err := d.RegisterVersion(ctx, "first", p, global.WithMeta(global.Meta{"k": "v"}))
		must(t, err)
		resolves(t, "first", p, d)
		for _, r := range c.r {
			if pid, ok, err := r.WhereisConfirmed(ctx, "first"); pid != p || !ok || err != nil {
				t.Errorf("%v, %v, %v", pid, ok, err)
			}
		}
		becomes(t, "first", p, a, b, d)
		if e, _ := a.Lookup("first"); e.Meta["k"] != "v" || e.Version != v {
			t.Errorf("%+v, want version %v", e, v)
		}
		var taken *global.TakenError
		for i, r := range c.r {
			if err := r.Register(ctx, "first", c.idle(i)); !errors.As(err, &taken) || taken.Holder != p || !errors.Is(err, global.ErrTaken) {
				t.Errorf("registered twice: %v", err)
			}
		}
		if err := d.Register(ctx, "first", p); !errors.Is(err, global.ErrHasName) {
			t.Errorf("the same again: %v", err)
		}
	})
	t.Run("GLOB-04_GLOB-07_GLOB-13", func(t *testing.T) {
		p, q := c.idle(0), c.idle(3)
		v, err := b.RegisterVersion(ctx, "x", p, global.WithMeta(global.Meta{"k": "v"}))
		must(t, err)
		resolves(t, "x", p, b, a)
		for _, r := range []*global.Registry{a, b} {
			if e, _ := r.Lookup("x"); e.Version != v || e.Meta["k"] != "v" {
				t.Errorf("%+v, want version %v", e, v)
			}
		}
		if err := b.Register(ctx, "y", p); !errors.Is(err, global.ErrHasName) {
			t.Errorf("a second name: %v", err)
		}
		var taken *global.TakenError
		if err := b.Register(ctx, "x", q); !errors.As(err, &taken) || taken.Holder != p {
			t.Errorf("a taken name: %v", err)
		}
		must(t, b.ReRegister(ctx, "x", q))
		resolves(t, "x", q, b, d)
		becomes(t, "x", q, a) // whose process has lost it, and may have another now
		must(t, a.Register(ctx, "y", p))
		c.rt[3].Exit(q, process.ErrKill)
		becomes(t, "x", process.PID{}, c.r...)
		for i, r := range c.r {
			if err := r.Register(ctx, "x", q); !errors.Is(err, global.ErrNoProcess) {
				t.Errorf("a dead process, on node %d: %v", i+1, err)
			}
		}
		for _, absent := range []struct {
			pid  process.PID
			want error
		}{
			{process.PID{Node: p.Node, Incarnation: p.Incarnation - 1, ID: p.ID}, global.ErrNoProcess},
			{process.PID{Node: "nobody@127.0.0.1", Incarnation: 1, ID: 1}, global.ErrNotConnected},
		} {
			if err := b.Register(ctx, "x", absent.pid); !errors.Is(err, absent.want) {
				t.Errorf("%v: %v, want %v", absent.pid, err, absent.want)
			}
		}
		resolves(t, "x", process.PID{}, c.r...)
	})
	t.Run("GLOB-05", func(t *testing.T) {
		for _, name := range []string{"race-1", "race-2", "race-3"} {
			race(t, c, name)
		}
	})
	t.Run("GLOB-14_GLOB-15", func(t *testing.T) {
		p, q := c.idle(0), c.idle(3)
		must(t, a.Register(ctx, "moves", p))
		before, _ := a.Lookup("moves")
		m, _, _ := b.MonitorName("moves")
		defer m.Close()
		must(t, d.ReRegister(ctx, "moves", q))
		resolves(t, "moves", q, d)
		becomes(t, "moves", q, a, b)
		after, _ := a.Lookup("moves")
		if after.Version.Compare(before.Version) <= 0 {
			t.Errorf("version %v after %v", after.Version, before.Version)
		}
		must(t, b.Unregister(ctx, "moves"))
		resolves(t, "moves", process.PID{}, b)
		if pid, ok, err := a.WhereisConfirmed(ctx, "moves"); ok || err != nil {
			t.Errorf("still %v, %v", pid, err)
		}
		becomes(t, "moves", process.PID{}, c.r...)
		must(t, b.Unregister(ctx, "unknown"))
		for last := (global.Event{}); last.Kind != global.Unregistered; {
			last = next(t, m)
			if last.Kind == global.Moved && (last.Previous.PID != p || last.Entry.PID != q) {
				t.Errorf("%+v", last)
			}
		}
		if !c.rt[0].Alive(p) || !c.rt[3].Alive(q) {
			t.Error("a process has ended")
		}
	})
	t.Run("GLOB-09", func(t *testing.T) {
		p := c.idle(3)
		must(t, d.Register(ctx, "mortal", p))
		becomes(t, "mortal", p, a)
		m, _, _ := a.MonitorName("mortal")
		defer m.Close()
		c.rt[3].Exit(p, process.ErrKill)
		meshtest.Eventually(t, "death", func() bool { return !c.rt[3].Alive(p) })
		resolves(t, "mortal", process.PID{}, d)
		if ev := next(t, m); ev.Kind != global.Unregistered || ev.Reason != global.Exited || ev.Entry.PID != p {
			t.Errorf("%+v", ev)
		}
		must(t, a.Register(ctx, "mortal", c.idle(0)))
	})
	t.Run("GLOB-17", func(t *testing.T) {
		p, in := c.sink(3)
		must(t, d.Register(ctx, "inbox", p))
		must(t, a.Sync(ctx))
		if to, err := a.Send(ctx, "inbox", "hello"); err != nil || to != p {
			t.Errorf("%v, %v", to, err)
		}
		if msg := take(t, in); msg != "hello" {
			t.Errorf("got %v", msg)
		}
		must(t, c.rt[0].SendTo(ctx, process.Via{Registry: a, Name: "inbox"}, "by address"))
	})
	t.Run("GLOB-18_meta", func(t *testing.T) {
		m, _ := b.Monitor("list/")
		defer m.Close()
		must(t, d.Register(ctx, "list/a", c.idle(3), global.WithMeta(global.Meta{"n": "old"})))
		if ev := next(t, m); ev.Kind != global.Registered || ev.Entry.Meta["n"] != "old" {
			t.Errorf("%+v", ev)
		}
		must(t, a.SetMeta(ctx, "list/a", global.Meta{"n": "new"}))
		if ev := next(t, m); ev.Kind != global.Updated || ev.Entry.Meta["n"] != "new" || ev.Previous.Meta["n"] != "old" {
			t.Errorf("%+v", ev)
		}
		if err := a.SetMeta(ctx, "list/b", nil); !errors.Is(err, global.ErrNoName) {
			t.Errorf("metadata of nobody: %v", err)
		}
		time.Sleep(shortLease) // its lease goes on, with what another node has written
		for _, r := range c.r {
			must(t, r.Sync(ctx))
			if e, ok := r.Lookup("list/a"); !ok || e.Meta["n"] != "new" {
				t.Errorf("%+v, %v", e, ok)
			}
		}
		select {
		case ev := <-m.Events():
			t.Errorf("a renewal is an event: %+v", ev)
		default:
		}
	})
	t.Run("left_over_is_cleared_away", func(t *testing.T) {
		// As if a call had been given up before its answer came: the lease is this node's, and nobody keeps it.
		const key = "global/name/0//left"
		value, err := codec.Marshal(map[int]uint64{1: 99})
		must(t, err)
		l, err := stores[3].Acquire(ctx, key, value)
		must(t, err)
		<-l.Context().Done()
		if _, ok, err := a.WhereisConfirmed(ctx, "left"); ok || err != nil {
			t.Errorf("%v, %v", ok, err)
		}
		resolves(t, "left", process.PID{}, d)
		must(t, a.Register(ctx, "left", c.idle(0)))
	})
	t.Run("locks", func(t *testing.T) { quorumLocks(t, c) })
	t.Run("GLOB-20", func(t *testing.T) {
		c.Start("n5@127.0.0.1")
		c.rt, c.r = append(c.rt, nil), append(c.r, nil)
		c.WaitFull()
		c.equipQuorum(4)
		must(t, c.r[4].Sync(ctx))
		if e, ok := c.r[4].Lookup("list/a"); !ok || e.Meta["n"] != "new" {
			t.Errorf("%+v, %v", e, ok)
		}
	})
	t.Run("GLOB-11_after_the_lease", func(t *testing.T) {
		p := c.idle(4)
		must(t, c.r[4].Register(ctx, "ghost", p))
		becomes(t, "ghost", p, a)
		m, _, _ := a.MonitorName("ghost")
		defer m.Close()
		c.Kill(5)
		if err := a.Register(ctx, "ghost", c.idle(0)); err != nil && !errors.Is(err, global.ErrTaken) {
			t.Errorf("before the lease has ended: %v", err)
		}
		if ev := next(t, m); ev.Kind != global.Unregistered || ev.Reason != global.LeaseEnded || ev.Entry.PID != p {
			t.Errorf("%+v", ev)
		}
	})
	t.Run("busy", func(t *testing.T) {
		d.LeaveNoRoom()
		if err := b.Register(ctx, "too-many", c.idle(3)); !errors.Is(err, global.ErrBusy) || d.Stats().Busy != 1 {
			t.Errorf("%v, %+v", err, d.Stats())
		}
		must(t, d.Register(ctx, "too-many", c.idle(3)))
	})
	t.Run("closed", func(t *testing.T) {
		must(t, b.Register(ctx, "closing", c.idle(1)))
		must(t, b.Close())
		if _, ok, err := a.WhereisConfirmed(ctx, "closing"); ok || err != nil {
			t.Errorf("%v, %v", ok, err)
		}
		for _, i := range []int{1, 3} {
			if err := b.Register(ctx, "more", c.idle(i)); !errors.Is(err, global.ErrClosed) {
				t.Error(err)
			}
		}
		if err := a.Register(ctx, "more", c.idle(1)); !errors.Is(err, global.ErrNotConnected) {
			t.Error(err)
		}
		if err := b.SetMeta(ctx, "list/a", nil); !errors.Is(err, global.ErrClosed) {
			t.Error(err)
		}
		if _, _, err := b.LookupConfirmed(ctx, "list/a"); !errors.Is(err, global.ErrClosed) {
			t.Error(err)
		}
		if _, err := b.Lock(ctx, "more", "me"); !errors.Is(err, global.ErrClosed) {
			t.Error(err)
		}
	})
}

// quorumLocks is the contract of locks in quorum mode.
func quorumLocks(t *testing.T, c *cluster) {
	ctx := background(t)
	a, b, d := c.r[0], c.r[1], c.r[3]
	t.Run("GLOB-53_GLOB-66", func(t *testing.T) {
		l := lock(t, a, "r", "me")
		for _, r := range c.r {
			refused(t, r, "r", "you")
		}
		got := make(chan *global.Lock)
		go func() {
			next, err := d.Lock(ctx, "r", "you")
			if err != nil {
				t.Error(err)
			}
			got <- next
		}()
		meshtest.Eventually(t, "it waits", func() bool { info, _ := d.LockOwner("r"); return info.Requester == "me" && info.Waiting == 1 })
		must(t, l.Release(ctx))
		next := <-got
		if next.Token() <= l.Token() {
			t.Errorf("token %d after %d", next.Token(), l.Token())
		}
		must(t, b.Sync(ctx))
		if info, ok := b.LockOwner("r"); !ok || info.Requester != "you" || len(info.Nodes) != 1 || info.Nodes[0] != c.Node(4).Name() || info.Token != next.Token() {
			t.Errorf("%+v, %v", info, ok)
		}
		must(t, next.Release(ctx))
		must(t, next.Release(ctx))
	})
	t.Run("GLOB-54_GLOB-55", func(t *testing.T) {
		l := lock(t, a, "r2", "me")
		if _, err := b.Lock(ctx, "r2", "you", global.Retries(1)); !errors.Is(err, global.ErrLocked) {
			t.Error(err)
		}
		if _, err := b.Lock(ctx, "r2", "you", global.OnNodes(c.Node(1).Name())); !errors.Is(err, global.ErrBadArgument) {
			t.Error(err)
		}
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		if _, err := b.Lock(short, "r2", "you"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		l.Unlock()
		lock(t, b, "r2", "you").Unlock()
	})
	t.Run("GLOB-56_GLOB-57_GLOB-59", func(t *testing.T) {
		l1, l2, l3 := lock(t, a, "r3", "same"), lock(t, b, "r3", "same"), lock(t, a, "r3", "same")
		if l2.Token() != l1.Token() || l3.Token() != l1.Token() {
			t.Error("those who share a lock have different tokens")
		}
		l1.Unlock()
		must(t, l1.Release(ctx))
		refused(t, d, "r3", "other")
		must(t, l2.Release(ctx))
		time.Sleep(shortLease) // the last one keeps it
		refused(t, d, "r3", "other")
		if l3.Context().Err() != nil {
			t.Error(context.Cause(l3.Context()))
		}
		must(t, l3.Release(ctx))
		lock(t, d, "r3", "other", global.Retries(0)).Unlock()
	})
	t.Run("GLOB-67", func(t *testing.T) {
		broken := errors.New("broken")
		ran, err := a.Trans(ctx, "r4", "me", func(context.Context) error { refused(t, b, "r4", "you"); return broken })
		if !ran || !errors.Is(err, broken) {
			t.Errorf("%v, %v", ran, err)
		}
		lock(t, b, "r4", "you").Unlock()
	})
	t.Run("held_by", func(t *testing.T) {
		p := c.idle(0)
		l := lock(t, a, "r5", "me", global.HeldBy(p))
		c.rt[0].Exit(p, process.ErrKill)
		<-l.Context().Done()
		lock(t, d, "r5", "you").Unlock()
	})
}

// TestGLOBQuorumMinority cuts one node from the stores: it gets ErrNoQuorum, and does not believe in its names and locks
// any more before the others can have them (erlang-pains 4: the minority refuses, the majority goes on).
func TestGLOBQuorumMinority(t *testing.T) {
	t.Parallel()
	c, _ := newQuorumCluster(t, 4)
	ctx := background(t)
	a, d := c.r[0], c.r[3]
	p := c.idle(3)
	must(t, d.Register(ctx, "name", p))
	l := lock(t, d, "resource", "me")
	becomes(t, "name", p, a)
	c.Partition(4)
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := d.Register(short, "other", c.idle(3)); !errors.Is(err, global.ErrNoQuorum) {
		t.Errorf("registered by a minority: %v", err)
	}
	if _, _, err := d.WhereisConfirmed(short, "name"); !errors.Is(err, global.ErrNoQuorum) {
		t.Errorf("confirmed by a minority: %v", err)
	}
	q := c.idle(0)
	meshtest.Eventually(t, "the majority goes on", func() bool {
		err := a.Register(ctx, "name", q)
		if err == nil {
			resolves(t, "name", process.PID{}, d) // it has noticed before
			if l.Context().Err() == nil {
				t.Error("it still believes in its lock")
			}
		}
		return err == nil
	})
	next, err := a.Lock(ctx, "resource", "you")
	must(t, err)
	if next.Token() <= l.Token() || !errors.Is(context.Cause(l.Context()), quorum.ErrLeaseLost) {
		t.Errorf("token %d after %d; %v", next.Token(), l.Token(), context.Cause(l.Context()))
	}
	c.MendAll()
	becomes(t, "name", q, c.r...)
	meshtest.Eventually(t, "it has a quorum again", func() bool {
		pid, ok, err := d.WhereisConfirmed(ctx, "name")
		return err == nil && ok && pid == q
	})
	if !c.rt[3].Alive(p) {
		t.Error("the process has ended")
	}
}
