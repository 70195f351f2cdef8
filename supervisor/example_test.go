package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/kith-mesh/kith/genserver"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/supervisor"
)

// Add is answered with the new count.
type Add struct {
	genserver.Returns[int]
	N int
}

// Spoil makes the counter panic, as a mistake would.
type Spoil struct{}

// tally is the state of a counter.
type tally struct{ count int }

func (t *tally) add(_ *genserver.Self, r Add) (int, error) {
	t.count += r.N
	return t.count, nil
}

func (t *tally) spoil(_ *genserver.Self, _ Spoil) error {
	panic("a mistake in the counter")
}

var counters = &genserver.Server[*tally]{
	Init: func(*genserver.Self) (*tally, error) { return &tally{}, nil },
	Handlers: []genserver.Handler[*tally]{
		genserver.OnCall((*tally).add),
		genserver.OnCast((*tally).spoil),
	},
}

// A counter service on two nodes: bob runs the counter under a supervisor, alice uses it. When the counter panics, its
// supervisor starts it again, with a new count, and alice goes on under the same name.
func Example() {
	ctx := context.Background()
	alice := join(ctx, "alice@127.0.0.1")
	bob := join(ctx, "bob@127.0.0.1", alice.Node().Addr())
	defer func() { _, _ = alice.Node().Close(), bob.Node().Close() }()
	if err := alice.Node().WaitPeers(ctx, 1); err != nil {
		log.Fatal(err)
	}

	sup, err := supervisor.Start(ctx, bob, supervisor.Spec{
		Children: []supervisor.Child{
			supervisor.Server("counter", counters, process.WithName("counter")),
		},
	})
	if err != nil {
		log.Fatal(err)
	}

	counter := process.Name{Name: "counter", Node: "bob@127.0.0.1"}
	for range 2 {
		count, err := genserver.Call(ctx, alice, counter, Add{N: 5})
		fmt.Println("count:", count, err)
	}

	// alice watches the counter, spoils it, and sees it end.
	self := alice.Attach()
	defer self.Detach(nil)
	self.Monitor(counter)
	if err := genserver.Cast(ctx, alice, counter, Spoil{}); err != nil {
		log.Fatal(err)
	}
	down, err := process.Receive[process.Down](ctx, self)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ended:", down.Reason)

	// The supervisor has it running again in a moment.
	for {
		count, err := genserver.Call(ctx, alice, counter, Add{N: 1})
		if errors.Is(err, process.ErrNoProcess) {
			time.Sleep(time.Millisecond)
			continue
		}
		fmt.Println("count:", count, err)
		break
	}
	children, err := sup.Children(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range children {
		fmt.Println(c.ID, c.Restart, "restarted", c.Restarts)
	}
	fmt.Println("stopped:", sup.Stop(ctx))
	// Output:
	// count: 5 <nil>
	// count: 10 <nil>
	// ended: panic: a mistake in the counter
	// count: 1 <nil>
	// counter permanent restarted 1
	// stopped: <nil>
}

// join starts a node that runs processes.
func join(ctx context.Context, name string, peers ...string) *process.Runtime {
	n, err := node.Start(ctx, node.Config{Name: name, Cookie: []byte("a secret of sixteen bytes or more"), Join: peers})
	if err != nil {
		log.Fatal(err)
	}
	rt, err := process.New(n)
	if err != nil {
		log.Fatal(err)
	}
	return rt
}
