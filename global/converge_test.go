package global_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/process"
)

// deed is one successful change of a name, in the order in which its caller learned of it.
type deed struct {
	began, ended time.Time
	node         int
	pid          process.PID // zero of an unregister
}

// annals are the deeds of one history in available mode, and who was told of a conflict.
type annals struct {
	mu    sync.Mutex // guards the fields below
	deeds map[string][]deed
	told  map[process.PID]bool
	home  map[process.PID]int
	calls int
}

func (a *annals) add(name string, d deed) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.deeds[name] = append(a.deeds[name], d)
}

func (a *annals) hears(pid process.PID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.told[pid]
}

// spawn starts a process that notes when it is told that it has lost its name.
func (a *annals) spawn(rt *process.Runtime, i int) process.PID {
	pid := rt.Spawn(func(self *process.Process) error {
		for {
			msg, err := self.Receive(self.Context())
			if err != nil {
				return nil
			}
			if _, ok := msg.(global.Conflict); ok {
				a.mu.Lock()
				a.told[self.PID()] = true
				a.mu.Unlock()
			}
		}
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.home[pid] = i
	return pid
}

// work changes names on one node until the context ends. Names that begin with k are only registered.
func (a *annals) work(ctx context.Context, t *testing.T, i int, r *global.Registry, rt *process.Runtime) {
	for ctx.Err() == nil {
		name := fmt.Sprintf("%c-%d", "kfm"[rand.IntN(3)], rand.IntN(5))
		d := deed{began: time.Now(), node: i}
		var err error
		switch {
		case name[0] == 'f' && rand.IntN(2) == 0:
			err = r.Unregister(ctx, name)
		case name[0] == 'm' && rand.IntN(2) == 0:
			d.pid = a.spawn(rt, i)
			err = r.ReRegister(ctx, name, d.pid, global.WithResolver(global.ResolveNotify))
		default:
			d.pid = a.spawn(rt, i)
			err = r.Register(ctx, name, d.pid, global.WithResolver(global.ResolveNotify))
		}
		a.mu.Lock()
		a.calls++
		a.mu.Unlock()
		d.ended = time.Now()
		switch {
		case err == nil:
			a.add(name, d)
		case errors.Is(err, global.ErrClosed), rt.Node().Context().Err() != nil: // the node was killed
			return
		case errors.Is(err, global.ErrTaken), errors.Is(err, global.ErrNotConnected), ctx.Err() != nil:
			if !d.pid.IsZero() { // a call that was given up may have had its effect for a moment
				rt.Exit(d.pid, process.ErrKill)
			}
		default:
			t.Errorf("%s on node %d: %v", name, i+1, err)
		}
		time.Sleep(rand.N(20 * time.Millisecond))
	}
}

// TestHistoryAvailable records what four nodes do to names while the mesh falls apart in ways that change, and checks after
// each heal that all agree on one owner for each name within 2 s, that the owner is somebody who was told so, and that
// whoever lost a name which nobody else took from it was told (erlang-pains 4 and 15; P1 and P2).
func TestHistoryAvailable(t *testing.T) {
	c := newCluster(t, 4, meshtest.Tick(150*time.Millisecond))
	a := &annals{told: map[process.PID]bool{}, home: map[process.PID]int{}}
	worst := time.Duration(0)
	for round := range soak(3) {
		a.deeds = map[string][]deed{}
		for _, r := range c.r { // names of rounds before would only be refused
			for _, e := range r.Entries("") {
				if c.rt[a.home[e.PID]] != nil {
					c.rt[a.home[e.PID]].Exit(e.PID, process.ErrKill)
				}
			}
		}
		meshtest.Eventually(t, "no names", func() bool {
			for _, r := range c.r {
				if len(r.Names("")) > 0 {
					return false
				}
			}
			return true
		})
		before := a.calls
		ctx, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		for i := range c.r {
			r, rt := c.r[i], c.rt[i]
			wg.Go(func() { a.work(ctx, t, i, r, rt) })
		}
		meshtest.Eventually(t, "they work", func() bool { a.mu.Lock(); defer a.mu.Unlock(); return a.calls > before+20 })
		shake(c, round)
		c.MendAll()
		c.WaitFull()
		healed := time.Now()
		stop()
		wg.Wait()
		meshtest.Eventually(t, "one owner for each name", c.agree)
		worst = max(worst, time.Since(healed))
		a.check(t, c)
	}
	t.Logf("%d calls, agreed %v after a heal", a.calls, worst)
	if worst > 2*time.Second {
		t.Errorf("agreed %v after the heal", worst)
	}
}

// shake breaks the mesh in one of some ways, for a while.
func shake(c *cluster, round int) {
	m := c.Mesh
	const long, short = 1200 * time.Millisecond, 300 * time.Millisecond
	time.Sleep(short)
	switch round % 5 {
	case 0:
		m.Partition(1, 2)
		time.Sleep(long)
	case 1:
		m.Break(1, 2)
		m.CutOneWay(2, 3)
		c.Kill(4)
		time.Sleep(long)
		c.Restart(4)
		c.equip(3)
	case 2:
		m.Partition(4)
		time.Sleep(long)
		m.MendAll()
		m.Partition(1, 3)
		time.Sleep(long)
	case 3: // shorter than anybody notices
		m.Partition(1)
		time.Sleep(short)
		m.MendAll()
		time.Sleep(short)
		m.Break(2, 3)
		time.Sleep(short)
	case 4:
		for i := range 4 {
			m.Partition(i + 1)
		}
		time.Sleep(long)
	}
}

// agree says whether all tables are the same.
func (c *cluster) agree() bool {
	first := map[string]process.PID{}
	for i, r := range c.r {
		list := r.Entries("")
		if i > 0 && len(list) != len(first) {
			return false
		}
		for _, e := range list {
			if i == 0 {
				first[e.Name] = e.PID
			} else if first[e.Name] != e.PID {
				return false
			}
		}
	}
	return true
}

// check looks at what a history has come to.
func (a *annals) check(t *testing.T, c *cluster) {
	t.Helper()
	for name, deeds := range a.deeds {
		owner, ok := c.r[0].Whereis(name)
		known := false
		for _, d := range deeds {
			known = known || d.pid == owner
		}
		if ok && !known {
			t.Errorf("%s is %v, which nobody was told to have registered", name, owner)
		}
		if name[0] != 'k' {
			continue // it may have been taken from whoever had it
		}
		left := 0
		for _, d := range deeds {
			if d.pid.NodeID() != c.Node(d.node+1).ID() {
				continue // it went with its node
			}
			if left++; d.pid != owner {
				meshtest.Eventually(t, fmt.Sprintf("%v hears that it lost %s to %v", d.pid, name, owner), func() bool { return a.hears(d.pid) })
			}
		}
		if !ok && left > 0 {
			t.Errorf("%s is lost: %d had it", name, left)
		}
	}
}
