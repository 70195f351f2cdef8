package kith_test

import (
	"context"
	"fmt"
	"os"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/rpc"
)

// Two nodes find each other through a folder that they share. One serves a function, which the other calls; a process on
// one joins a group, to which the other broadcasts. Here both nodes are in one program, which is good for a test; they
// behave alike in two programs, or on two hosts with Config.Join.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "kith")
	check(err)
	defer os.RemoveAll(dir)
	secret := []byte("32 random bytes in real programs")

	a, err := node.Start(ctx, node.Config{Name: "a@127.0.0.1", Cookie: secret, DataDir: dir})
	check(err)
	defer a.Shutdown(ctx)
	b, err := node.Start(ctx, node.Config{Name: "b@127.0.0.1", Cookie: secret, DataDir: dir})
	check(err)
	defer b.Shutdown(ctx)
	fmt.Println(b.Nodes())

	// Node a serves a function.
	served, err := rpc.New(a)
	check(err)
	check(rpc.Register(served, "greet", func(_ context.Context, name string) (string, error) {
		return "hello, " + name, nil
	}))

	// Node b calls it.
	calls, err := rpc.New(b)
	check(err)
	answer, err := rpc.Call[string, string](ctx, calls, "a@127.0.0.1", "greet", "bob")
	check(err)
	fmt.Println(answer)

	// A process on a joins a group and waits for one message.
	onA, err := process.New(a)
	check(err)
	groupsA, err := pg.New(onA)
	check(err)
	scopeA, err := groupsA.Scope(pg.DefaultScope)
	check(err)
	got := make(chan process.Message)
	worker := onA.Spawn(func(self *process.Process) error {
		msg, err := self.Receive(ctx)
		got <- msg
		return err
	})
	check(scopeA.Join("workers", worker))

	// Node b sees the group and broadcasts to it.
	onB, err := process.New(b)
	check(err)
	groupsB, err := pg.New(onB)
	check(err)
	scopeB, err := groupsB.Scope(pg.DefaultScope)
	check(err)
	monitor, members := scopeB.Monitor("workers")
	defer monitor.Close()
	if len(members) == 0 {
		<-monitor.Events() // the worker has joined, as b sees it
	}
	_, err = scopeB.Broadcast(ctx, "workers", "to work")
	check(err)
	fmt.Println(<-got)
	// Output:
	// [a@127.0.0.1]
	// hello, bob
	// to work
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
