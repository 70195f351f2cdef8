package leader_test

import (
	"context"
	"fmt"
	"os"

	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/leader"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

func startElections(ctx context.Context, dir, name string) (*node.Node, leader.Backend) {
	n, err := node.Start(ctx, node.Config{Name: name, Cookie: []byte("32 random bytes in real programs"), DataDir: dir})
	check(err)
	rt, err := process.New(n)
	check(err)
	names, err := global.New(rt)
	check(err)
	return n, leader.Names(rt, names)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// Two candidates: one leads; when its node goes, the other follows, with a greater epoch.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "kith")
	check(err)
	defer os.RemoveAll(dir)
	a, onA := startElections(ctx, dir, "a@127.0.0.1")
	b, onB := startElections(ctx, dir, "b@127.0.0.1")
	defer b.Close()
	check(a.WaitPeers(ctx, 1))
	check(b.WaitPeers(ctx, 1))

	first, err := leader.Campaign(ctx, onA, "billing", leader.Value("desk 1"))
	check(err)
	defer first.Close()
	term := <-first.Terms()
	second, err := leader.Campaign(ctx, onB, "billing", leader.Value("desk 2"))
	check(err)
	defer second.Close()

	check(a.Shutdown(ctx))
	next := <-second.Terms()
	fmt.Println(term.Context().Err() != nil, next.Epoch() > term.Epoch())

	o := leader.Observe(ctx, onB, "billing")
	defer o.Close()
	fmt.Println((<-o.Changes()).Leader.Value)
	// Output:
	// true true
	// desk 2
}
