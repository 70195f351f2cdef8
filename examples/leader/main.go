// Command leader is a node that campaigns for the leadership of its mesh, and says who leads. Start it three times, kill
// the leader, and another takes over; start that again, and it follows. See README.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/leader"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "leader:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	name := flag.String("name", "", "full name of the node, such as a@127.0.0.1")
	data := flag.String("data", "", "directory where the nodes of this host find each other")
	tick := flag.Duration("tick", time.Second, "time between two signs of life")
	priority := flag.Int("priority", 0, "who has more takes over")
	flag.Parse()

	n, err := node.Start(ctx, node.Config{Name: *name, Cookie: []byte(os.Getenv("KITH_COOKIE")), DataDir: *data, Tick: *tick})
	if err != nil {
		return err
	}
	defer n.Close()
	rt, err := process.New(n)
	if err != nil {
		return err
	}
	names, err := global.New(rt)
	if err != nil {
		return err
	}
	elections := leader.Names(rt, names)

	o := leader.Observe(ctx, elections, "example")
	defer o.Close()
	go func() {
		for c := range o.Changes() {
			if c.Led {
				fmt.Printf("leader %s epoch %d\n", c.Leader.Node, c.Leader.Epoch)
			} else {
				fmt.Println("no leader")
			}
		}
	}()

	c, err := leader.Campaign(ctx, elections, "example", leader.Priority(*priority))
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Println("ready", *name)
	for term := range c.Terms() {
		fmt.Printf("leading, epoch %d\n", term.Epoch())
		<-term.Context().Done() // the work of a leader goes here, and ends with this context
		fmt.Printf("not leading: %v\n", context.Cause(term.Context()))
	}
	return nil
}
