package pg

import (
	"sync"
	"sync/atomic"

	"github.com/kith-mesh/kith/node"
)

// behind knows the nodes that take in slower than is sent to them, and counts the broadcasts that each of them
// misses, until it can be told. Nothing is lost silently.
type behind struct {
	g   *Groups
	any atomic.Int32 // how many nodes there are, for the many times when there is none

	mu     sync.Mutex // guards the fields below
	nodes  map[node.ID]*lag
	closed bool
}

// lag is one node that was skipped and has not caught up, or not been told everything.
type lag struct {
	skip    bool // whoever broadcasts does not wait for it: it was waited for in vain since it last took something
	telling bool // a goroutine waits for its window
	counts  map[missed]uint64
}

// missed is one kind of loss: broadcasts to one group of one scope.
type missed struct {
	scope string
	group string
}

func (b *behind) init(g *Groups) {
	b.g, b.nodes = g, make(map[node.ID]*lag)
}

// close lets no further goroutine start.
func (b *behind) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}

// is reports whether a node is not worth waiting for.
func (b *behind) is(id node.ID) bool {
	if b.any.Load() == 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.nodes[id]
	return l != nil && l.skip
}

// took says that a broadcast has gone out to a node.
func (b *behind) took(id node.ID) {
	if b.any.Load() == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.nodes[id]; l != nil {
		l.skip = false
		b.tidy(id, l)
	}
}

// miss counts a broadcast that a node does not get, and has it told as soon as its window opens.
func (b *behind) miss(id node.ID, what missed) {
	b.g.stats.skipped.Add(1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	l := b.nodes[id]
	if l == nil {
		l = &lag{counts: make(map[missed]uint64)}
		b.nodes[id] = l
		b.any.Add(1)
	}
	l.skip = true
	l.counts[what]++
	if !l.telling {
		l.telling = true
		b.g.running.Go(func() { b.tell(id, l) })
	}
}

// tidy forgets a node that has caught up and been told. The lock is held.
func (b *behind) tidy(id node.ID, l *lag) {
	if !l.skip && !l.telling && b.nodes[id] == l {
		delete(b.nodes, id)
		b.any.Add(-1)
	}
}

// drop forgets a node that is gone: whatever it missed is nothing to it now. Who still tells it finds that out by itself.
func (b *behind) drop(id node.ID) {
	if b.any.Load() == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.nodes[id]; l != nil {
		l.skip = false
		clear(l.counts)
		b.tidy(id, l)
	}
}

// tell waits until something can be sent to the node again, and tells it what it missed. If its session ends instead,
// that is the news, and the node's own layer tells it.
func (b *behind) tell(id node.ID, l *lag) {
	probe := appendHeader(nil, kindProbe, DefaultScope)
	err := b.g.net.Send(b.g.ctx, id, node.ProtocolGroups, node.NoConnect, probe)
	for counts := b.take(id, l, err == nil); len(counts) > 0; counts = b.take(id, l, true) {
		for what, n := range counts {
			b.g.post(id, appendMissed(appendHeader(nil, kindMissed, what.scope), what.group, n))
		}
	}
}

// take returns what is to be told. When that is nothing, the telling is over.
func (b *behind) take(id node.ID, l *lag, alive bool) map[missed]uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	counts := l.counts
	l.counts = make(map[missed]uint64)
	if !alive {
		l.skip, counts = false, nil
	}
	if len(counts) == 0 {
		l.telling = false
		b.tidy(id, l)
	}
	return counts
}
