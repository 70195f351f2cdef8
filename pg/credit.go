package pg

import (
	"context"
	"sync"
	"time"

	"github.com/kith-mesh/kith/node"
)

// A broadcast of a hundred bytes may be thousands of deliveries where it arrives, all of them on the goroutine that
// takes in everything that node receives. The window of a session counts bytes, so tens of thousands of such
// broadcasts would fit it, and hold that node up for minutes. Therefore deliveries to a node are bounded too: each
// broadcast to many is acknowledged when it has been delivered, and no more are under way than take some milliseconds.
const (
	// manyFrom is from how many members on one node a broadcast is counted.
	manyFrom = 32
	// creditLimit is how many deliveries one node may have under way to another.
	creditLimit = 64 << 10
	// creditFrames is how many counted broadcasts may be under way, however many deliveries they are.
	creditFrames = 8
	// A receiver acknowledges so many broadcasts, or deliveries, at once.
	ackFrames, ackDeliveries = creditFrames / 2, creditLimit / 8
)

// credit is what a node has under way to each of its peers. It is told when a peer comes and goes.
type credit struct {
	mu     sync.Mutex // guards the field below
	purses map[node.ID]*purse
}

// purse is what is under way to one peer in one session.
type purse struct {
	mu     sync.Mutex // guards the fields below
	costs  []int      // of the broadcasts that were sent and not acknowledged, in order
	early  int        // acknowledgements that came before their broadcast was noted
	frames int        // under way, or about to be
	sum    int        // their deliveries
	closed bool
	moved  chan struct{} // closed when something was acknowledged; nil if nobody waits
}

func (c *credit) init() { c.purses = make(map[node.ID]*purse) }

// up begins with a peer that has just come up.
func (c *credit) up(id node.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.purses[id] = &purse{}
}

// get returns the purse of a peer. One that is gone gets a purse that nobody fills: sending to it fails anyway.
func (c *credit) get(id node.ID) *purse {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.purses[id]; p != nil {
		return p
	}
	return &purse{closed: true}
}

// drop forgets what was under way to a peer that is gone. Who waits tries, and learns it from the node.
func (c *credit) drop(id node.ID) {
	c.mu.Lock()
	p := c.purses[id]
	delete(c.purses, id)
	c.mu.Unlock()
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.wake()
}

func (p *purse) wake() {
	if p.moved != nil {
		close(p.moved)
		p.moved = nil
	}
}

// reserve takes credit for a broadcast. If there is none, it returns a channel that is closed when there may be.
func (p *purse) reserve(cost int) (ok bool, moved <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.frames < creditFrames || p.sum+cost <= creditLimit {
		p.frames++
		p.sum += cost
		return true, nil
	}
	if p.moved == nil {
		p.moved = make(chan struct{})
	}
	return false, p.moved
}

// sent notes a broadcast whose credit was reserved, and that has gone out.
func (p *purse) sent(cost int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.early > 0 {
		p.early--
		p.give(cost)
		return
	}
	p.costs = append(p.costs, cost)
}

// unsent gives credit back for a broadcast that has not gone out.
func (p *purse) unsent(cost int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.give(cost)
}

// took takes the acknowledgement of n broadcasts.
func (p *purse) took(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := min(n, len(p.costs))
	for _, cost := range p.costs[:known] {
		p.give(cost)
	}
	p.costs = p.costs[known:]
	p.early = min(p.early+n-known, p.frames)
}

// give returns the credit of one broadcast. The lock is held.
func (p *purse) give(cost int) {
	p.frames--
	p.sum -= cost
	p.wake()
}

// await waits for credit as long as the peer delivers anything at all: it gives up when nothing has moved for the given
// patience, or when ctx ends.
func (p *purse) await(ctx context.Context, cost int, patience time.Duration) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		ok, moved := p.reserve(cost)
		if ok {
			return true
		}
		select {
		case <-moved:
			timer.Reset(patience)
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// intake counts what a peer's broadcasts were here, until it is acknowledged. The dispatcher owns it.
type intake struct {
	frames, deliveries int
}

// takenIn notes one broadcast to many that was delivered, and acknowledges when it is time.
func (g *Groups) takenIn(p node.Peer, scope string, deliveries int) {
	in := g.intakes[p.ID]
	if in == nil {
		in = &intake{}
		g.intakes[p.ID] = in
	}
	in.frames++
	in.deliveries += deliveries
	if in.frames < ackFrames && in.deliveries < ackDeliveries {
		return
	}
	g.post(p.ID, appendTook(nil, scope, in.frames))
	*in = intake{}
}
