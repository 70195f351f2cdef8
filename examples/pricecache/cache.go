package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
)

// group is the process group of all caches.
const group = "prices"

// Price is what an item costs. Of two prices for one item the later one counts, and of two at the same time the one by
// the node with the greater name: so all nodes agree, in whatever order they hear of them.
type Price struct {
	Text string
	At   int64
	By   string
}

func (p Price) later(o Price) bool { return p.At > o.At || p.At == o.At && p.By > o.By }

// Update tells all caches one price, Snapshot tells a new one all there are.
type (
	Update struct {
		Item  string
		Price Price
	}
	Snapshot struct{ Prices map[string]Price }
)

// cache is this node's copy.
type cache struct {
	rt    *process.Runtime
	scope *pg.Scope
	pid   process.PID

	mu     sync.Mutex // guards the field below
	prices map[string]Price
}

// newCache joins the caches of the mesh. What the others have comes soon: each sends its prices to a cache that joins.
func newCache(ctx context.Context, rt *process.Runtime, groups *pg.Groups) (*cache, error) {
	scope, err := groups.Scope(pg.DefaultScope)
	if err != nil {
		return nil, err
	}
	c := &cache{rt: rt, scope: scope, prices: map[string]Price{}}
	c.pid = rt.Spawn(c.receive)
	members, _ := scope.Monitor(group)
	go c.follow(ctx, members)
	return c, scope.Join(group, c.pid)
}

// receive takes what other caches send.
func (c *cache) receive(self *process.Process) error {
	for {
		msg, err := self.Receive(self.Context())
		if err != nil {
			return nil
		}
		switch m := msg.(type) {
		case Update:
			c.put(m.Item, m.Price)
		case Snapshot:
			for item, p := range m.Prices {
				c.put(item, p)
			}
		}
	}
}

// follow sends all prices to every cache that joins, whether its node is new or has come back from a partition.
func (c *cache) follow(ctx context.Context, members *pg.Monitor) {
	for {
		select {
		case ev, ok := <-members.Events():
			if !ok {
				return
			}
			if ev.Kind == pg.Overflow { // some may have joined unnoticed: all get everything
				all, _ := members.Resync()
				ev = pg.Event{Kind: pg.Joined, PIDs: all[group]}
			}
			for _, pid := range ev.PIDs {
				c.member(ctx, ev, pid)
			}
		case <-ctx.Done():
			members.Close()
			return
		}
	}
}

func (c *cache) member(ctx context.Context, ev pg.Event, pid process.PID) {
	switch {
	case pid == c.pid:
	case ev.Kind == pg.Joined:
		fmt.Println("joined", pid.Node)
		c.mu.Lock()
		all := maps.Clone(c.prices)
		c.mu.Unlock()
		if err := c.rt.Send(ctx, pid, Snapshot{all}); err != nil {
			fmt.Println("snapshot not sent:", err)
		}
	case ev.Kind == pg.Left:
		fmt.Println("left", pid.Node)
	}
}

// put enters a price, unless it knows a later one.
func (c *cache) put(item string, p Price) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if have, ok := c.prices[item]; !ok || p.later(have) {
		c.prices[item] = p
		fmt.Printf("price %s %s\n", item, p.Text)
	}
}

// command does one line of input: set ITEM PRICE, or list.
func (c *cache) command(ctx context.Context, line string) {
	switch f := strings.Fields(line); {
	case len(f) == 3 && f[0] == "set":
		p := Price{Text: f[2], At: time.Now().UnixNano(), By: c.pid.Node}
		if _, err := c.scope.Broadcast(ctx, group, Update{f[1], p}); err != nil { // to this node's cache too
			fmt.Println("not sent:", err)
		}
	case len(f) == 1 && f[0] == "list":
		c.mu.Lock()
		defer c.mu.Unlock()
		list := []string{}
		for _, item := range slices.Sorted(maps.Keys(c.prices)) {
			list = append(list, item+"="+c.prices[item].Text)
		}
		fmt.Println("list", strings.Join(list, " "))
	default:
		fmt.Println("commands: set ITEM PRICE, list")
	}
}
