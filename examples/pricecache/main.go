// Command pricecache is a node of a price cache that is replicated over its mesh: every node has all prices, a price set
// on one is on all, and a node that joins gets what there is. It reads commands from standard input. See README.md.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "pricecache:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	name := flag.String("name", "", "full name of the node, such as a@127.0.0.1")
	data := flag.String("data", "", "directory where the nodes of this host find each other")
	tick := flag.Duration("tick", time.Second, "time between two signs of life")
	flag.Parse()

	n, err := node.Start(ctx, node.Config{Name: *name, Cookie: []byte(os.Getenv("KITH_COOKIE")), DataDir: *data, Tick: *tick})
	if err != nil {
		return err
	}
	defer shutdown(n)
	rt, err := process.New(n, process.WithType[Update]("pricecache.Update"), process.WithType[Snapshot]("pricecache.Snapshot"))
	if err != nil {
		return err
	}
	groups, err := pg.New(rt)
	if err != nil {
		return err
	}
	c, err := newCache(ctx, rt, groups)
	if err != nil {
		return err
	}
	fmt.Println("ready", *name)

	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
	}()
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return nil
			}
			c.command(ctx, line)
		case <-ctx.Done():
			return nil
		}
	}
}

func shutdown(n *node.Node) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = n.Shutdown(ctx)
}
