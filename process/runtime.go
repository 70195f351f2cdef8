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
	id         node.ID
	node       *node.Node // nil in tests of the core
	net        transport
	log        zerolog.Logger
	types      registry
	kinds      kinds
	procs      table[*Process]
	aliases    table[*alias]
	names      names
	peers      peers
	stats      counters
	workers    workers
	connectors connectors

	highWater   uint32
	onHighWater func(pid PID, messages int)

	lastID  atomic.Uint64 // of processes and aliases
	lastRef atomic.Uint64 // of monitors, unlinks and requests
	closed  atomic.Bool
	ctx     context.Context // done when the runtime is closed
	cancel  context.CancelFunc
	once    sync.Once
}

// DefaultHighWater is the length at which an unbounded mailbox is reported, in messages.
const DefaultHighWater = 100_000

// Option changes a runtime made by New.
type Option func(*Runtime) error

// HighWater sets the length, in messages, at which a mailbox is reported: by a warning in the log, by Stats and by
// report, which may be nil and must not block. It is reported again at each doubling. Zero means DefaultHighWater, a
// negative number never.
func HighWater(messages int, report func(pid PID, messages int)) Option {
	return func(r *Runtime) error {
		switch {
		case messages > 0:
			r.highWater = uint32(min(messages, neverWarn))
		case messages < 0:
			r.highWater = neverWarn
		}
		r.onHighWater = report
		return nil
	}
}

// neverWarn is a length that no mailbox reaches.
const neverWarn = 1<<32 - 1

// New gives the node its processes: one runtime per node. It installs the handler of node.ProtocolProcess, and ends
// with the node: when the node stops, every process is killed. Errors are those of the options and of node.Handle.
func New(n *node.Node, opts ...Option) (*Runtime, error) {
	r, err := newRuntime(n.ID(), n, n.Log(), opts...)
	if err != nil {
		return nil, err
	}
	r.node = n
	if err := n.Handle(node.ProtocolProcess, (*handler)(r)); err != nil {
		return nil, err
	}
	context.AfterFunc(n.Context(), func() { _ = r.Close() })
	return r, nil
}

// newRuntime makes a runtime that is not yet attached to its node.
func newRuntime(id node.ID, net transport, log zerolog.Logger, opts ...Option) (*Runtime, error) {
	ctx, cancel := context.WithCancel(context.Background())
	r := &Runtime{id: id, net: net, log: log.With().Str("component", "process").Logger(), highWater: DefaultHighWater,
		ctx: ctx, cancel: cancel}
	r.names.init()
	r.workers.init()
	r.types.init()
	for _, opt := range opts {
		if err := opt(r); err != nil {
			cancel()
			return nil, err
		}
	}
	return r, nil
}

// Node is the node whose processes these are.
func (r *Runtime) Node() *node.Node { return r.node }

// local reports whether the PID is of this life of this node.
func (r *Runtime) local(pid PID) bool {
	return pid.Incarnation == r.id.Incarnation && pid.Node == r.id.Name
}

// pid is the PID of a local id.
func (r *Runtime) pid(id uint64) PID {
	return PID{Node: r.id.Name, Incarnation: r.id.Incarnation, ID: id}
}

// find is the process of a local PID, nil when there is none.
func (r *Runtime) find(pid PID) *Process {
	if !r.local(pid) {
		return nil
	}
	return r.procs.get(pid.ID)
}

// Shutdown asks every process to end, with ErrShutdown as the reason, and waits for them within ctx. Then it closes the
// runtime, which kills those that are left. Processes that trap exits get the request as an Exit. It returns the error
// of ctx when it had to kill. New processes that are started meanwhile are killed.
func (r *Runtime) Shutdown(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, p := range r.procs.all() {
		wg.Add(1)
		w := &watch{sink: watchFunc(func(error) { wg.Done() }), target: p}
		if !p.addWatch(w, nil) {
			wg.Done()
			continue
		}
		p.exitSignal(Exit{Reason: ErrShutdown})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	_ = r.Close() // ends those that are left, and with them the wait
	<-done
	return err
}

// Close kills every process, and returns without waiting for goroutines that have not noticed. It is idempotent, and
// happens by itself when the node stops. Afterwards calls return ErrClosed.
func (r *Runtime) Close() error {
	r.once.Do(func() {
		r.closed.Store(true)
		r.cancel()
		for _, p := range r.procs.all() {
			p.terminate(ErrKilled)
		}
		r.workers.close()
	})
	return nil
}
