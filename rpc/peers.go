package rpc

import (
	"maps"
	"sync/atomic"

	"github.com/kith-mesh/kith/node"
)

// peerSet is the peers with a session over which they serve calls. Only to those is a request tried at once: node would
// wait a while for another to begin to serve, and one node must not hold up the requests to the next. The dispatcher
// writes it, and reading takes no lock.
type peerSet struct {
	m atomic.Pointer[map[string]uint64]
}

func (t *peerSet) has(name string) bool {
	m := t.m.Load()
	if m == nil {
		return false
	}
	_, ok := (*m)[name]
	return ok
}

func (t *peerSet) add(p node.Peer) {
	next := make(map[string]uint64)
	if m := t.m.Load(); m != nil {
		maps.Copy(next, *m)
	}
	next[p.Name] = p.Conn
	t.m.Store(&next)
}

func (t *peerSet) remove(p node.Peer) {
	m := t.m.Load()
	if m == nil || (*m)[p.Name] != p.Conn {
		return
	}
	next := maps.Clone(*m)
	delete(next, p.Name)
	t.m.Store(&next)
}
