package pg

import (
	"sync"

	"github.com/kith-mesh/kith/node"
)

// behind knows the nodes that take in slower than is sent to them, and counts the broadcasts that each of them
// misses, until it can be told. Nothing is lost silently.
type behind struct {
	g *Groups

	mu     sync.Mutex // guards the fields below
	nodes  map[node.ID]map[missed]uint64
	closed bool
}

// missed is one kind of loss: broadcasts to one group of one scope.
type missed struct {
	scope string
	group string
}

func (b *behind) init(g *Groups) {
	b.g, b.nodes = g, make(map[node.ID]map[missed]uint64)
}

// close lets no further goroutine start.
func (b *behind) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}

// is reports whether a node is behind: whoever broadcasts does not wait for it.
func (b *behind) is(id node.ID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.nodes[id] != nil
}

// miss counts a broadcast that a node does not get. From the first one on a goroutine waits for the node's window.
func (b *behind) miss(id node.ID, what missed) {
	b.g.stats.skipped.Add(1)
	b.mu.Lock()
	defer b.mu.Unlock()
	counts := b.nodes[id]
	if counts == nil {
		if b.closed {
			return
		}
		counts = make(map[missed]uint64)
		b.nodes[id] = counts
		b.g.running.Go(func() { b.catchUp(id) })
	}
	counts[what]++
}

// catchUp waits until something can be sent to the node again, and tells it what it missed. If its session ends
// instead, that is the news, and it is told by the node.
func (b *behind) catchUp(id node.ID) {
	probe := appendHeader(nil, kindProbe, DefaultScope)
	if err := b.g.net.Send(b.g.ctx, id, node.ProtocolGroups, node.NoConnect, probe); err != nil {
		b.mu.Lock()
		delete(b.nodes, id)
		b.mu.Unlock()
		return
	}
	for counts := b.take(id); len(counts) > 0; counts = b.take(id) {
		for what, n := range counts {
			b.g.post(id, appendMissed(appendHeader(nil, kindMissed, what.scope), what.group, n))
		}
	}
}

// take returns what is to be told. When that is nothing, the node is not behind any more.
func (b *behind) take(id node.ID) map[missed]uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	counts := b.nodes[id]
	if len(counts) == 0 {
		delete(b.nodes, id)
		return nil
	}
	b.nodes[id] = make(map[missed]uint64)
	return counts
}
