package process_test

import (
	"context"
	"fmt"
	"log"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// Two nodes in one program: a counter on one, and a process on the other that uses it, and sees it end.
func Example() {
	ctx := context.Background()
	alice := start(ctx, "alice@127.0.0.1")
	bob := start(ctx, "bob@127.0.0.1", alice.Node().Addr())
	defer func() { _, _ = alice.Node().Close(), bob.Node().Close() }()
	if err := bob.Node().WaitPeers(ctx, 1); err != nil {
		log.Fatal(err)
	}

	// The counter lives on bob, under a name.
	bob.Spawn(func(self *process.Process) error {
		for count := 1; count <= 2; count++ {
			from, err := process.Receive[process.PID](self.Context(), self)
			if err != nil {
				return err
			}
			if err := bob.Send(ctx, from, count); err != nil {
				return err
			}
		}
		return fmt.Errorf("%w: counted enough", process.ErrShutdown)
	}, process.WithName("counter"))

	// This goroutine becomes a process of alice.
	self := alice.Attach()
	defer self.Detach(nil)
	counter := process.Name{Name: "counter", Node: "bob@127.0.0.1"}
	self.Monitor(counter)
	for range 2 {
		if err := alice.SendTo(ctx, counter, self.PID()); err != nil {
			log.Fatal(err)
		}
	}
	for range 3 {
		msg, err := self.Receive(ctx)
		if err != nil {
			log.Fatal(err)
		}
		switch msg := msg.(type) {
		case int:
			fmt.Println("count:", msg)
		case process.Down:
			fmt.Println("ended:", msg.Reason)
		}
	}
	// Output:
	// count: 1
	// count: 2
	// ended: shutdown: counted enough
}

// start starts a node with processes.
func start(ctx context.Context, name string, join ...string) *process.Runtime {
	n, err := node.Start(ctx, node.Config{Name: name, Cookie: []byte("a secret of sixteen bytes or more"), Join: join})
	if err != nil {
		log.Fatal(err)
	}
	rt, err := process.New(n)
	if err != nil {
		log.Fatal(err)
	}
	return rt
}
