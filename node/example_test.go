package node_test

import (
	"context"
	"fmt"

	"github.com/kith-mesh/kith/node"
)

// The cookie of two nodes is changed while they run, in three steps, each of which is done everywhere before the next. The
// session that they have stays, and a new one opens with the new cookie.
func ExampleNode_SetCookie() {
	ctx := context.Background()
	before, after := []byte("the cookie of yesterday"), []byte("the cookie of tomorrow")
	a, err := node.Start(ctx, node.Config{Name: "a@127.0.0.1", Cookie: before})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Shutdown(ctx)
	b, err := node.Start(ctx, node.Config{Name: "b@127.0.0.1", Cookie: before, Join: []string{a.Addr()}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Shutdown(ctx)
	both := []*node.Node{a, b}
	for _, n := range both {
		err = n.SetCookie(before, after) // accept the new one too
	}
	for _, n := range both {
		err = n.SetCookie(after, before) // show the new one
	}
	for _, n := range both {
		err = n.SetCookie(after) // drop the old one
	}
	fmt.Println(a.Nodes(), err)
	c, err := node.Start(ctx, node.Config{Name: "c@127.0.0.1", Cookie: after, Join: []string{a.Addr()}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Shutdown(ctx)
	fmt.Println(c.WaitPeers(ctx, 2), c.Nodes())
	// Output:
	// [b@127.0.0.1] <nil>
	// <nil> [a@127.0.0.1 b@127.0.0.1]
}

// A node that is about to leave tells the others first. They still have their sessions with it.
func ExampleNode_Drain() {
	ctx := context.Background()
	cookie := []byte("at least 16 bytes")
	a, err := node.Start(ctx, node.Config{Name: "a@127.0.0.1", Cookie: cookie})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Shutdown(ctx)
	b, err := node.Start(ctx, node.Config{Name: "b@127.0.0.1", Cookie: cookie, Join: []string{a.Addr()}})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := b.Drain(ctx); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(a.Nodes(), a.Draining(b.ID()))
	// Now what b has can be handed over. Then it goes.
	if err := b.Shutdown(ctx); err != nil {
		fmt.Println(err)
	}
	// Output: [b@127.0.0.1] true
}

// Rules are read as they stand in a configuration. The first one that fits counts.
func ExampleParseRule() {
	for _, s := range []string{"allow ops-*@* any", "refuse * stop", "refuse * dance"} {
		r, err := node.ParseRule(s)
		fmt.Printf("%v | %v\n", r, err)
	}
	// Output:
	// allow ops-*@* any | <nil>
	// refuse * stop | <nil>
	// allow * any | bad argument: rule "refuse * dance": "dance" is none of any, call, join, stop
}
