package process

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/node"
)

// transport is what a runtime needs of its node.
type transport interface {
	Send(ctx context.Context, to node.ID, p node.Protocol, flags node.SendFlags, parts ...[]byte) error
	Post(to node.ID, p node.Protocol, parts ...[]byte) error
	Peer(name string) (node.Peer, bool)
}

// Runtime runs the processes of one node. All its methods may be called by any number of goroutines at once.
type Runtime struct {
	id    node.ID
	node  *node.Node // nil in tests of the core
	net   transport
	log   zerolog.Logger
	types registry
	table table
	names names
	stats counters

	lastID atomic.Uint64
	closed atomic.Bool
	once   sync.Once
}

// Option changes a runtime made by New.
type Option func(*Runtime) error

// New gives the node its processes: one runtime per node. It installs the handler of node.ProtocolProcess, and ends
// with the node: when the node stops, every process is killed.
func New(n *node.Node, opts ...Option) (*Runtime, error) {
	rt, err := newRuntime(n.ID(), n, n.Log(), opts...)
	if err != nil {
		return nil, err
	}
	rt.node = n
	context.AfterFunc(n.Context(), func() { _ = rt.Close() })
	return rt, nil
}

// newRuntime makes a runtime that is not yet attached to its node.
func newRuntime(id node.ID, net transport, log zerolog.Logger, opts ...Option) (*Runtime, error) {
	rt := &Runtime{id: id, net: net, log: log.With().Str("component", "process").Logger()}
	rt.table.init()
	rt.names.init()
	rt.types.init()
	for _, opt := range opts {
		if err := opt(rt); err != nil {
			return nil, err
		}
	}
	return rt, nil
}

// Node is the node whose processes these are.
func (r *Runtime) Node() *node.Node { return r.node }

// local reports whether the PID is of this life of this node.
func (r *Runtime) local(pid PID) bool {
	return pid.Incarnation == r.id.Incarnation && pid.Node == r.id.Name
}

// find is the process of a local PID, nil when there is none.
func (r *Runtime) find(pid PID) *Process {
	if !r.local(pid) {
		return nil
	}
	return r.table.get(pid.ID)
}

// Alive reports whether the process exists. It is false for a process of another node.
func (r *Runtime) Alive(pid PID) bool { return r.find(pid) != nil }

// Close kills every process, and returns without waiting for functions that have not noticed. It is idempotent.
func (r *Runtime) Close() error {
	r.once.Do(func() {
		r.closed.Store(true)
		for _, p := range r.table.all() {
			p.terminate(ErrKilled)
		}
	})
	return nil
}
