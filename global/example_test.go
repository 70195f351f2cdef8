package global_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// place is a node with processes and names.
type place struct {
	node  *node.Node
	rt    *process.Runtime
	names *global.Registry
}

func startPlace(ctx context.Context, dir, name string) place {
	n, err := node.Start(ctx, node.Config{Name: name, Cookie: []byte("32 random bytes in real programs"), DataDir: dir})
	check(err)
	rt, err := process.New(n)
	check(err)
	names, err := global.New(rt)
	check(err)
	return place{n, rt, names}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// wait is a process that does nothing until it is told to end.
func wait(self *process.Process) error {
	<-self.Context().Done()
	return nil
}

// Two nodes: a name that one registers resolves on the other at once, and is refused there. When its process ends, a
// monitor tells.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "kith")
	check(err)
	defer os.RemoveAll(dir)
	a, b := startPlace(ctx, dir, "a@127.0.0.1"), startPlace(ctx, dir, "b@127.0.0.1")
	defer a.node.Close()
	defer b.node.Close()
	check(a.names.WaitPeers(ctx, 1))
	check(b.names.WaitPeers(ctx, 1))

	printer := a.rt.Spawn(wait)
	check(a.names.Register(ctx, "printer", printer, global.WithMeta(global.Meta{"room": "12"})))
	e, ok := b.names.Lookup("printer")
	fmt.Println(e.PID == printer, ok, e.Meta["room"])

	err = b.names.Register(ctx, "printer", b.rt.Spawn(wait))
	var taken *global.TakenError
	fmt.Println(errors.Is(err, global.ErrTaken), errors.As(err, &taken) && taken.Holder == printer)

	m, list := b.names.Monitor("print")
	defer m.Close()
	fmt.Println(len(list))
	a.rt.Exit(printer, process.ErrKill)
	ev := <-m.Events()
	fmt.Println(ev.Entry.Name, ev.Kind, "since its process has", ev.Reason)
	// Output:
	// true true 12
	// true true
	// 1
	// printer unregistered since its process has exited
}

// A lock excludes others in the whole mesh, and says so at once to whoever does not want to wait.
func ExampleRegistry_Trans() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "kith")
	check(err)
	defer os.RemoveAll(dir)
	a, b := startPlace(ctx, dir, "a@127.0.0.1"), startPlace(ctx, dir, "b@127.0.0.1")
	defer a.node.Close()
	defer b.node.Close()
	check(a.names.WaitPeers(ctx, 1))
	check(b.names.WaitPeers(ctx, 1))

	ran, err := a.names.Trans(ctx, "invoices", "a's job", func(context.Context) error {
		_, err := b.names.Lock(ctx, "invoices", "b's job", global.Retries(0))
		fmt.Println(errors.Is(err, global.ErrLocked))
		return nil
	})
	fmt.Println(ran, err)
	// Output:
	// true
	// true <nil>
}
