package pg_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
)

func TestMain(m *testing.M) {
	if me := os.Getenv(memoryEnv); me != "" {
		i, _ := strconv.Atoi(me)
		if err := runMemoryNode(i, os.Getenv(memoryDirEnv), os.Getenv(memoryHowEnv)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// cluster is a mesh of real nodes with processes and groups.
type cluster struct {
	t testing.TB
	*meshtest.Mesh
	rt []*process.Runtime
	g  []*pg.Groups
}

func newCluster(t testing.TB, n int, opts ...meshtest.Option) *cluster {
	t.Helper()
	c := &cluster{t: t, Mesh: meshtest.New(t, n, opts...)}
	c.rt, c.g = make([]*process.Runtime, n), make([]*pg.Groups, n)
	for i := range n {
		c.equip(i)
	}
	return c
}

// equip gives node i (from 0) its processes and groups.
func (c *cluster) equip(i int, opts ...pg.Option) {
	c.t.Helper()
	var err error
	if c.rt[i], err = process.New(c.Node(i + 1)); err != nil {
		c.t.Fatal(err)
	}
	if c.g[i], err = pg.New(c.rt[i], append([]pg.Option{pg.TopicFrom(2)}, opts...)...); err != nil {
		c.t.Fatal(err)
	}
}

// scope starts a scope on every node.
func (c *cluster) scope(name string) []*pg.Scope {
	c.t.Helper()
	list := make([]*pg.Scope, len(c.g))
	for i := range c.g {
		list[i] = c.start(i, name)
	}
	for _, s := range list {
		must(c.t, s.WaitReady(background(c.t)))
	}
	return list
}

func (c *cluster) start(i int, name string) *pg.Scope {
	c.t.Helper()
	s, err := c.g[i].Scope(name)
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

// idle starts a process that does nothing, until it is killed.
func (c *cluster) idle(i int) process.PID {
	return c.rt[i].Spawn(func(self *process.Process) error {
		<-self.Context().Done()
		return nil
	})
}

// sink starts a process that hands on what it receives.
func (c *cluster) sink(i int) (process.PID, <-chan any) {
	out := make(chan any, 1<<14)
	p := c.rt[i].Spawn(func(self *process.Process) error {
		for {
			msg, err := self.Receive(self.Context())
			if err != nil {
				return nil
			}
			select {
			case out <- msg:
			case <-self.Context().Done():
				return nil
			}
		}
	})
	return p, out
}

// counter starts a process that counts what it receives.
func (c *cluster) counter(i int, n *atomic.Int64) process.PID {
	return c.rt[i].Spawn(func(self *process.Process) error {
		for {
			if _, err := self.Receive(self.Context()); err != nil {
				return nil
			}
			n.Add(1)
		}
	})
}

// sees waits until a scope has just these members in a group.
func sees(t testing.TB, s *pg.Scope, group string, want ...process.PID) {
	t.Helper()
	meshtest.Eventually(t, "members of "+group, func() bool { return same(s.Members(group), want) })
}

// same compares two lists as multisets.
func same(a, b []process.PID) bool {
	n := map[process.PID]int{}
	for _, p := range a {
		n[p]++
	}
	for _, p := range b {
		n[p]--
	}
	for _, k := range n {
		if k != 0 {
			return false
		}
	}
	return len(a) == len(b)
}

// next takes one event.
func next(t testing.TB, m *pg.Monitor) pg.Event {
	t.Helper()
	select {
	case ev, ok := <-m.Events():
		if !ok {
			t.Fatal("the monitor has ended")
		}
		return ev
	case <-time.After(10 * time.Second):
		t.Fatal("no event within 10 s")
	}
	return pg.Event{}
}

// take takes one message.
func take(t testing.TB, in <-chan any) any {
	t.Helper()
	select {
	case msg := <-in:
		return msg
	case <-time.After(10 * time.Second):
		t.Fatal("no message within 10 s")
	}
	return nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func background(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}
