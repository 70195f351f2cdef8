package process

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/node"
)

// memNet joins runtimes by queues in memory, which a test empties step by step, in whatever order it likes between
// pairs. Within a pair and direction order is kept, as in a session.
type memNet struct {
	t        testing.TB
	mu       sync.Mutex
	nodes    map[string]*memNode
	conns    map[[2]string]uint64     // sessions that stand
	queues   map[[2]string][]memEvent // from, to
	lastConn uint64
}

type memNode struct {
	net      *memNet
	id       node.ID
	rt       *Runtime
	dispatch sync.Mutex           // held while an event happens at this node
	peer     map[string]node.Peer // sessions as this node sees them
}

func newMemNet(t testing.TB) *memNet {
	return &memNet{t: t, nodes: map[string]*memNode{}, conns: map[[2]string]uint64{}, queues: map[[2]string][]memEvent{}}
}

// start adds a runtime, of a new life if the name is known.
func (m *memNet) start(name string, opts ...Option) *Runtime {
	m.lastConn++
	n := &memNode{net: m, id: node.ID{Name: name, Incarnation: m.lastConn}, peer: map[string]node.Peer{}}
	rt, err := newRuntime(n.id, n, zerolog.Nop(), opts...)
	if err != nil {
		m.t.Fatal(err)
	}
	n.rt = rt
	m.mu.Lock()
	m.nodes[name] = n
	m.mu.Unlock()
	m.t.Cleanup(func() { _ = rt.Close() })
	return rt
}

// join opens a session between two nodes. Each sees it once it has handled what came before.
func (m *memNet) join(a, b string) {
	m.mu.Lock()
	m.lastConn++
	conn := m.lastConn
	m.conns[pairOf(a, b)] = conn
	m.mu.Unlock()
	for _, side := range [][2]string{{a, b}, {b, a}} {
		n, p := m.nodes[side[0]], node.Peer{ID: m.nodes[side[1]].id, Conn: conn}
		m.push(side[1], side[0], func() {
			m.mu.Lock()
			n.peer[p.Name] = p
			m.mu.Unlock()
			(*handler)(n.rt).PeerUp(p)
		})
	}
}

// cut ends the session between two nodes; what is under way is lost.
func (m *memNet) cut(a, b string) {
	m.mu.Lock()
	conn := m.conns[pairOf(a, b)]
	delete(m.conns, pairOf(a, b))
	for _, key := range [][2]string{{a, b}, {b, a}} {
		var kept []memEvent
		for _, e := range m.queues[key] {
			if !e.frame {
				kept = append(kept, e)
			}
		}
		m.queues[key] = kept
	}
	m.mu.Unlock()
	for _, side := range [][2]string{{a, b}, {b, a}} {
		n, p := m.nodes[side[0]], node.Peer{ID: m.nodes[side[1]].id, Conn: conn}
		m.push(side[1], side[0], func() {
			m.mu.Lock()
			delete(n.peer, p.Name)
			m.mu.Unlock()
			(*handler)(n.rt).PeerDown(p, node.ReasonConnectionClosed)
		})
	}
}

func pairOf(a, b string) [2]string { return [2]string{min(a, b), max(a, b)} }

// memEvent is something that is about to happen at a node: a frame comes in, or a session goes up or down.
type memEvent struct {
	frame bool
	f     func()
}

func (m *memNet) push(from, to string, f func()) {
	m.mu.Lock()
	key := [2]string{from, to}
	m.queues[key] = append(m.queues[key], memEvent{f: f})
	m.mu.Unlock()
}

// step lets one event of the direction happen, and reports whether there was one.
func (m *memNet) step(from, to string) bool {
	n := m.nodes[to]
	n.dispatch.Lock()
	defer n.dispatch.Unlock()
	m.mu.Lock()
	key := [2]string{from, to}
	queue := m.queues[key]
	if len(queue) == 0 {
		m.mu.Unlock()
		return false
	}
	m.queues[key] = queue[1:]
	m.mu.Unlock()
	queue[0].f()
	return true
}

// settle lets everything happen.
func (m *memNet) settle() {
	for again := true; again; {
		again = false
		m.mu.Lock()
		var keys [][2]string
		for key := range m.queues {
			keys = append(keys, key)
		}
		m.mu.Unlock()
		for _, key := range keys {
			again = m.step(key[0], key[1]) || again
		}
	}
}

func (n *memNode) Peer(name string) (node.Peer, bool) {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	p, ok := n.peer[name]
	return p, ok
}

// Send opens a session if this node sees none: events at this node happen until it does.
func (n *memNode) Send(_ context.Context, to node.ID, proto node.Protocol, flags node.SendFlags, parts ...[]byte) error {
	if _, ok := n.Peer(to.Name); !ok {
		n.net.mu.Lock()
		there := n.net.nodes[to.Name]
		stands := n.net.conns[pairOf(n.id.Name, to.Name)] != 0
		n.net.mu.Unlock()
		switch {
		case flags&node.NoConnect != 0:
			return node.ErrNotConnected
		case there == nil:
			return fmt.Errorf("%w: %s", node.ErrNoNode, to)
		case !stands:
			n.net.join(n.id.Name, to.Name)
		}
		for ok := false; !ok; _, ok = n.Peer(to.Name) {
			n.net.step(to.Name, n.id.Name)
		}
	}
	if p, _ := n.Peer(to.Name); to.Incarnation != 0 && p.Incarnation != to.Incarnation {
		return fmt.Errorf("%w: %s", node.ErrNoNode, to)
	}
	return n.Post(to, proto, parts...)
}

func (n *memNode) Post(to node.ID, _ node.Protocol, parts ...[]byte) error {
	p, ok := n.Peer(to.Name)
	if !ok || to.Incarnation != 0 && p.Incarnation != to.Incarnation {
		return node.ErrNotConnected
	}
	payload := bytes.Join(parts, nil)
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	if n.net.conns[pairOf(n.id.Name, to.Name)] != p.Conn {
		return nil // the session is over, and this node does not know yet
	}
	there := n.net.nodes[to.Name]
	self := node.Peer{ID: n.id, Conn: p.Conn}
	key := [2]string{n.id.Name, to.Name}
	n.net.queues[key] = append(n.net.queues[key], memEvent{frame: true, f: func() { (*handler)(there.rt).Frame(self, payload) }})
	return nil
}
