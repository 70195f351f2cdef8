package global

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/internal/queue"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/quorum"
)

// mesh is what the registry needs of its node.
type mesh interface {
	Post(to node.ID, p node.Protocol, parts ...[]byte) error
	Tick() time.Duration
}

// runtime is what the registry needs of the processes.
type runtime interface {
	Watch(local process.PID, fn func(reason error)) (cancel func())
	Alive(pid process.PID) bool
	Life(pid process.PID) process.Life
	Deliver(local []process.PID, msg any) (delivered int)
	Send(ctx context.Context, to process.PID, msg any) error
	Exit(pid process.PID, reason error)
}

// Registry is the global names and locks as one node sees them. All its methods may be called by any number of
// goroutines at once.
type Registry struct {
	self    node.ID
	net     mesh
	rt      runtime
	log     zerolog.Logger
	space   string
	several bool
	grace   time.Duration
	store   *quorum.Store   // nil in available mode
	ctx     context.Context // ends with the registry
	cancel  context.CancelFunc
	running sync.WaitGroup
	stats   counters

	resolvers sync.Map // name to Resolver
	view      sync.Map // name to *entry: what readers see
	doubting  atomic.Bool
	deaths    *queue.Queue[uint64] // own processes that have ended; as many as have names
	waiting   atomic.Int32         // goroutines that want the lock

	mu       sync.Mutex    // guards the fields below
	core     *core         // of available mode
	ledger   *ledger       // of quorum mode, nil in the other
	meeting  chan struct{} // closed when a peer joins
	held     int           // calls since the last flush
	closed   bool
	watches  map[uint64]func()
	monitors monitors
}

// Option changes a registry made by New.
type Option func(*Registry)

// Space sets the name space, at most MaxName bytes. Registries of different spaces have nothing to do with each other:
// they split one mesh into several sets of names (GLOB-26). The default is the empty one.
func Space(name string) Option { return func(r *Registry) { r.space = name } }

// SeveralNames lets a process have more than one name by Register (GLOB-04).
func SeveralNames() Option { return func(r *Registry) { r.several = true } }

// Grace sets how long a process of this node has between a Conflict and its end. The default is DefaultGrace.
func Grace(d time.Duration) Option { return func(r *Registry) { r.grace = d } }

// New gives the node of rt the global names: one Registry per node, and one in quorum mode for each space. It installs the
// handler of node.ProtocolGlobal, or starts a process in quorum mode, and ends with the node. It does not wait for peers:
// see Sync. Errors are ErrBadArgument and those of node.Handle; in quorum mode process.ErrNameTaken for a second registry
// of its space.
func New(rt *process.Runtime, opts ...Option) (*Registry, error) {
	n := rt.Node()
	r := newRegistry(n.Context(), n.ID(), n, rt, n.Log(), opts...)
	if len(r.space) > MaxName {
		_ = r.Close()
		return nil, ErrBadArgument
	}
	if r.ledger != nil {
		r.ledger.begin()
		if err := r.ledger.serve(rt); err != nil {
			_ = r.Close()
			return nil, err
		}
		return r, nil
	}
	if err := n.Handle(node.ProtocolGlobal, r); err != nil {
		_ = r.Close()
		return nil, err
	}
	return r, nil
}

func newRegistry(ctx context.Context, self node.ID, net mesh, rt runtime, log zerolog.Logger, opts ...Option) *Registry {
	r := &Registry{
		self: self, net: net, rt: rt, log: log.With().Str("component", "global").Logger(), grace: DefaultGrace,
		deaths: queue.New[uint64](), watches: map[uint64]func(){}, meeting: make(chan struct{}),
	}
	for _, opt := range opts {
		opt(r)
	}
	r.ctx, r.cancel = context.WithCancel(ctx)
	if r.store != nil {
		r.ledger = newLedger(r, r.store)
	} else {
		r.core = newCore(self, r.space, r)
		r.core.several = r.several
		r.running.Go(r.keepTime)
	}
	r.running.Go(r.bury)
	context.AfterFunc(r.ctx, r.ended)
	return r
}

// do calls f, which changes the core, and sends what comes of it. While others wait for the lock, sending is left to
// the last of them: so what many goroutines want at once travels together.
func (r *Registry) do(f func()) {
	r.waiting.Add(1)
	r.mu.Lock()
	r.waiting.Add(-1)
	defer r.mu.Unlock()
	r.core.at(time.Now(), r.net.Tick())
	f()
	if r.held++; r.waiting.Load() == 0 || r.held >= mostHeld {
		r.held = 0
		r.core.flush()
	}
}

// mostHeld bounds how many calls travel together.
const mostHeld = 128

// call is do for what a caller wants: it returns ErrClosed after Close.
func (r *Registry) call(f func()) (err error) {
	r.do(func() {
		if r.closed {
			err = ErrClosed
			return
		}
		f()
	})
	return err
}

// Close gives up the names, locks and monitors of this node's processes, which tells the peers, and ends what the
// registry keeps running. Afterwards calls return ErrClosed; the node goes on to answer its peers about their names.
// Calling it again is harmless. When the node stops, the registry closes by itself. It waits for resolvers that run.
func (r *Registry) Close() error {
	if r.ledger != nil {
		r.closeLedger()
		return nil
	}
	r.do(func() {
		if r.closed {
			return
		}
		r.closed = true
		r.core.giveUpAll()
		r.held = mostHeld // send it now
	})
	r.cancel()
	r.running.Wait()
	return nil
}

// closeLedger is Close in quorum mode.
func (r *Registry) closeLedger() {
	r.mu.Lock()
	was := r.closed
	r.closed = true
	r.mu.Unlock()
	if !was {
		r.ledger.giveUpAll()
	}
	r.cancel()
	r.running.Wait()
}

// ended cleans up when the node has stopped, or after Close.
func (r *Registry) ended() {
	r.mu.Lock()
	r.closed = true
	watching := r.monitors.all()
	r.monitors = monitors{}
	watches := r.watches
	r.watches = map[uint64]func(){}
	if r.core != nil {
		r.core.lockAllLost()
	}
	if r.ledger != nil && r.ledger.watch != nil {
		r.ledger.watch.Close()
	}
	r.mu.Unlock()
	for _, cancel := range watches {
		cancel()
	}
	for _, m := range watching {
		m.events.Close()
	}
}

// keepTime tells the core the time, several times in each tick.
func (r *Registry) keepTime() {
	const perTick, least = 8, 2 * time.Millisecond
	for {
		t := time.NewTimer(max(r.net.Tick()/perTick, least))
		select {
		case <-t.C:
			r.do(r.core.ticked)
		case <-r.ctx.Done():
			t.Stop()
			return
		}
	}
}

// bury takes the names of processes that have ended.
func (r *Registry) bury() {
	var taken []uint64
	for {
		select {
		case <-r.deaths.Wake():
		case <-r.ctx.Done():
			return
		}
		taken = r.deaths.Take(taken)
		for batch := taken; len(batch) > 0; {
			n := min(len(batch), mostHeld)
			r.exited(batch[:n])
			batch = batch[n:]
		}
	}
}

// exited takes the names of processes.
func (r *Registry) exited(ids []uint64) {
	if r.ledger != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, id := range ids {
			r.ledger.exit(id)
		}
		return
	}
	r.do(func() {
		for _, id := range ids {
			r.core.exit(id)
		}
	})
}

// shown is what readers see under a name, nil for nobody. The lock is held.
func (r *Registry) shown(name string) *entry {
	if r.ledger != nil {
		return r.ledger.table[name]
	}
	return r.core.shown(name)
}

// PeerUp implements node.Handler: it tells a new peer the names of this node's processes. Hidden nodes take no part
// (GLOB-24, GLOB-65).
func (r *Registry) PeerUp(p node.Peer) {
	if p.Hidden || p.ID == r.self {
		return
	}
	r.do(func() { r.core.peerUp(p.ID) })
}

// PeerDown implements node.Handler: the names of a lost node's processes are gone (GLOB-11).
func (r *Registry) PeerDown(p node.Peer, _ node.Reason) {
	r.do(func() { r.core.peerDown(p.ID) })
}

// Frame implements node.Handler.
func (r *Registry) Frame(p node.Peer, payload []byte) {
	r.do(func() {
		peer := r.core.peers[p.ID]
		if peer == nil {
			r.stats.ignored.Add(1)
			return
		}
		if err := r.core.frame(peer, &reader{b: payload}); err != nil {
			r.stats.badFrames.Add(1)
			r.log.Warn().Err(err).Stringer("peer", p.ID).Msg("frame dropped")
		}
	})
}

// post implements effects. A peer that has just gone is no error: its PeerDown is on its way.
func (r *Registry) post(to node.ID, frame []byte) {
	err := r.net.Post(to, node.ProtocolGlobal, frame)
	switch {
	case err == nil, errors.Is(err, node.ErrNotConnected), errors.Is(err, node.ErrNoNode), errors.Is(err, node.ErrClosed),
		errors.Is(err, node.ErrNoProtocol):
	default:
		r.stats.unsent.Add(1)
		r.log.Error().Err(err).Stringer("to", to).Msg("frame not sent")
	}
}

func (r *Registry) pid(id uint64) process.PID {
	return process.PID{Node: r.self.Name, Incarnation: r.self.Incarnation, ID: id}
}

// alive implements effects. A closed registry registers nobody.
func (r *Registry) alive(id uint64) bool { return !r.closed && r.rt.Alive(r.pid(id)) }

// watch implements effects.
func (r *Registry) watch(id uint64) {
	r.watches[id] = r.rt.Watch(r.pid(id), func(error) { r.deaths.Push(id) })
}

// unwatch implements effects.
func (r *Registry) unwatch(id uint64) {
	if cancel := r.watches[id]; cancel != nil {
		delete(r.watches, id)
		cancel()
	}
}

// doubted implements effects.
func (r *Registry) doubted(on bool) {
	r.doubting.Store(on)
	if on {
		r.stats.doubts.Add(1)
		r.log.Warn().Msg("this node was frozen: its names are in doubt until its peers confirm them")
	}
}

// met implements effects.
func (r *Registry) met() {
	close(r.meeting)
	r.meeting = make(chan struct{})
}

// ignored implements effects.
func (r *Registry) ignored() { r.stats.ignored.Add(1) }

// show lets readers see an entry. The lock is held.
func (r *Registry) show(e *entry) {
	if e.PID.NodeID() == r.self && !e.own { // else readers have it already
		e.own, e.life = true, r.rt.Life(e.PID)
	}
	r.view.Store(e.Name, e)
}

// changed implements effects.
func (r *Registry) changed(before, after *entry, why Reason) {
	ev := Event{Reason: why}
	switch {
	case after == nil:
		r.view.Delete(before.Name)
		ev.Kind, ev.Entry = Unregistered, before.Entry
	default:
		r.show(after)
		ev.Entry = after.Entry
		switch {
		case before == nil:
			ev.Kind, ev.Reason = Registered, 0
		case before.PID == after.PID && before.Version == after.Version:
			ev.Kind, ev.Previous, ev.Reason = Updated, before.Entry, 0
		default:
			ev.Kind, ev.Previous = Moved, before.Entry
		}
	}
	r.monitors.tell(ev)
}
