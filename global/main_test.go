package global_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/internal/leak"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/process"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		if err := child(); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m, leak.Stores()...)
}

// cluster is a mesh of real nodes with processes and names.
type cluster struct {
	t testing.TB
	*meshtest.Mesh
	rt []*process.Runtime
	r  []*global.Registry
}

func newCluster(t testing.TB, n int, opts ...meshtest.Option) *cluster {
	t.Helper()
	c := &cluster{t: t, Mesh: meshtest.New(t, n, opts...)}
	c.rt, c.r = make([]*process.Runtime, n), make([]*global.Registry, n)
	for i := range n {
		c.equip(i)
	}
	c.sync()
	return c
}

// equip gives node i (from 0) its processes and names.
func (c *cluster) equip(i int, opts ...global.Option) {
	c.t.Helper()
	var err error
	if c.rt[i], err = process.New(c.Node(i + 1)); err != nil {
		c.t.Fatal(err)
	}
	if c.r[i], err = global.New(c.rt[i], append([]global.Option{global.Grace(50 * time.Millisecond)}, opts...)...); err != nil {
		c.t.Fatal(err)
	}
}

// sync waits until every registry knows every other one.
func (c *cluster) sync() {
	c.t.Helper()
	for i, r := range c.r {
		meshtest.Eventually(c.t, "registries meet", func() bool { return len(r.Peers()) == len(c.r)-1 })
		must(c.t, r.Sync(background(c.t)))
		_ = i
	}
}

// idle starts a process that does nothing until it is told to end.
func (c *cluster) idle(i int) process.PID {
	return c.rt[i].Spawn(func(self *process.Process) error {
		<-self.Context().Done()
		return nil
	})
}

// sink starts a process that hands on what it receives.
func (c *cluster) sink(i int) (process.PID, <-chan any) {
	out := make(chan any, 1<<10)
	p := c.rt[i].Spawn(func(self *process.Process) error {
		for {
			msg, err := self.Receive(self.Context())
			if err != nil {
				return nil
			}
			out <- msg
		}
	})
	return p, out
}

// resolves fails unless a name is that process on the registries, now.
func resolves(t testing.TB, name string, want process.PID, on ...*global.Registry) {
	t.Helper()
	for i, r := range on {
		if got, ok := r.Whereis(name); got != want || ok == want.IsZero() {
			t.Fatalf("registry %d: %q is %v, %v, want %v", i, name, got, ok, want)
		}
	}
}

// becomes waits until a name is that process on the registries; the zero PID is nobody.
func becomes(t testing.TB, name string, want process.PID, on ...*global.Registry) {
	t.Helper()
	for _, r := range on {
		meshtest.Eventually(t, name+" is "+want.String(), func() bool {
			got, _ := r.Whereis(name)
			return got == want
		})
	}
}

func next(t testing.TB, m *global.Monitor) global.Event {
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
	return global.Event{}
}

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
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// idleHandle starts a process without a goroutine.
func (c *cluster) idleHandle(i int) process.PID {
	return c.rt[i].SpawnBehaviour(process.HandleFunc(func(*process.Process, process.Message) error { return nil }))
}
