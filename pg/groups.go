package pg

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// DefaultScope is the scope that programs share unless they have a reason for one of their own.
const DefaultScope = "pg"

// mesh is what groups need of their node.
type mesh interface {
	Send(ctx context.Context, to node.ID, p node.Protocol, flags node.SendFlags, parts ...[]byte) error
	Post(to node.ID, p node.Protocol, parts ...[]byte) error
	Peers() []node.Peer
	Subscribe(topic string) error
	Unsubscribe(topic string) error
	Broadcast(ctx context.Context, topic string, p node.Protocol, to []node.ID, parts ...[]byte) ([]node.ID, error)
	Draining(id node.ID) bool
	MaxMessage() int
	Taken(id node.ID) uint64
	Guarded() bool
	Permit(peer string, action node.Action, target string) error
}

// runtime is what groups need of the processes.
type runtime interface {
	Watch(local process.PID, fn func(reason error)) (cancel func())
	Deliver(local []process.PID, msg any) (delivered int)
	Encode(msg any) ([]byte, error)
	Decode(data []byte) (any, error)
}

// Groups keeps the process groups of one node. All its methods may be called by any number of goroutines at once.
type Groups struct {
	self      node.ID
	net       mesh
	rt        runtime
	log       zerolog.Logger
	ctx       context.Context // ends with the groups
	cancel    context.CancelFunc
	patience  time.Duration
	topicFrom int
	deaths    deaths
	behind    behind
	credit    credit
	intakes   map[node.ID]*intake // the dispatcher owns it
	calls     calls
	stats     counters
	running   sync.WaitGroup // goroutines, except those of monitors

	scopes atomic.Pointer[map[string]*Scope] // replaced, never changed

	mu      sync.Mutex // guards the fields below, and the replacement of scopes
	closed  bool
	peers   map[node.ID]node.Peer // visible sessions
	retired map[string]*tapSet    // the topics of each scope that ever ran: they outlive it by a round trip
}

// Option changes the groups made by New.
type Option func(*Groups)

// WithPatience sets how long a broadcast waits for a node that takes nothing in, before that node is skipped until it
// does again. The default is two ticks of the node, half of what makes it down. A shorter context of the broadcast
// counts.
func WithPatience(d time.Duration) Option { return func(g *Groups) { g.patience = d } }

// New gives the node of rt its groups: one Groups per node. It installs the handler of node.ProtocolGroups and ends
// with the node. No scope runs yet: see Scope. Errors are those of node.Handle.
func New(rt *process.Runtime, opts ...Option) (*Groups, error) {
	n := rt.Node()
	g := newGroups(n.Context(), n.ID(), n, rt, n.Log(), append([]Option{WithPatience(2 * n.Tick())}, opts...)...)
	if err := n.Handle(node.ProtocolGroups, g); err != nil {
		_ = g.Close()
		return nil, err
	}
	return g, nil
}

func newGroups(ctx context.Context, self node.ID, net mesh, rt runtime, log zerolog.Logger, opts ...Option) *Groups {
	g := &Groups{
		self: self, net: net, rt: rt, log: log.With().Str("component", "pg").Logger(), patience: time.Second,
		topicFrom: topicFrom,
		peers:     make(map[node.ID]node.Peer), retired: make(map[string]*tapSet),
	}
	for _, opt := range opts {
		opt(g)
	}
	g.scopes.Store(&map[string]*Scope{})
	g.deaths.init()
	g.behind.init(g)
	g.credit.init()
	g.intakes = make(map[node.ID]*intake)
	g.calls.init()
	g.ctx, g.cancel = context.WithCancel(ctx)
	g.running.Go(g.bury)
	context.AfterFunc(g.ctx, g.ended)
	return g
}

// Scope starts a scope on this node, or returns the one that runs already. Groups of the same name in two scopes have
// nothing to do with each other (PG-24), and a node sees the members of a scope only while it runs it. Errors:
// ErrBadName, ErrClosed.
func (g *Groups) Scope(name string) (*Scope, error) {
	if err := checkName("scope", name); err != nil {
		return nil, err
	}
	for {
		s, err := g.startScope(name)
		if err != nil || s.runs() {
			return s, err
		}
		<-s.done // it is being stopped: its goodbye comes first
	}
}

// startScope returns the scope of a name, which may be about to stop.
func (g *Groups) startScope(name string) (*Scope, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, ErrClosed
	}
	if s := (*g.scopes.Load())[name]; s != nil {
		return s, nil
	}
	taps := g.retired[name]
	if taps == nil {
		taps = &tapSet{taps: newTaps()}
		g.retired[name] = taps
	}
	s := newScope(g, name, taps)
	g.replace(func(m map[string]*Scope) { m[name] = s })
	for id := range g.peers {
		g.post(id, appendHeader(nil, kindHello, name))
	}
	return s, nil
}

// Lookup returns a scope if it runs on this node.
func (g *Groups) Lookup(name string) (*Scope, bool) {
	s, ok := (*g.scopes.Load())[name]
	if !ok || !s.runs() {
		return nil, false
	}
	return s, true
}

// Scopes lists the scopes that run on this node, in no particular order.
func (g *Groups) Scopes() []string {
	scopes := *g.scopes.Load()
	names := make([]string, 0, len(scopes))
	for name, s := range scopes {
		if !s.runs() {
			continue
		}
		names = append(names, name)
	}
	return names
}

// replace changes the set of scopes. The lock is held.
func (g *Groups) replace(change func(map[string]*Scope)) {
	old := *g.scopes.Load()
	fresh := make(map[string]*Scope, len(old)+1)
	for k, v := range old {
		fresh[k] = v
	}
	change(fresh)
	g.scopes.Store(&fresh)
}

// Close stops all scopes, which tells the peers that their members here are gone, and ends what the groups keep
// running. It waits for broadcasts that are being handed to the node, not for anything of a peer. Calling it again is
// harmless. When the node stops, the groups close by themselves.
func (g *Groups) Close() error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	for _, s := range *g.scopes.Load() {
		s.Stop()
	}
	g.behind.close()
	g.cancel()
	g.running.Wait()
	return nil
}

// ended cleans up when the node has stopped, or after Close: nothing is sent any more.
func (g *Groups) ended() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	for _, s := range *g.scopes.Load() {
		s.halt(true)
	}
	g.calls.end()
}

// post sends a frame that must not wait. A peer that has just gone is no error: its PeerDown is on its way.
func (g *Groups) post(to node.ID, parts ...[]byte) {
	err := g.net.Post(to, node.ProtocolGroups, parts...)
	switch {
	case err == nil, errors.Is(err, node.ErrNotConnected), errors.Is(err, node.ErrNoNode), errors.Is(err, node.ErrClosed),
		errors.Is(err, node.ErrNoProtocol):
	default:
		g.stats.unsent.Add(1)
		g.log.Error().Err(err).Stringer("to", to).Msg("group frame not sent")
	}
}

// PeerUp implements node.Handler: it asks a new peer for the members of each scope (PG-18, PG-33, PG-55).
func (g *Groups) PeerUp(p node.Peer) {
	if p.Hidden || p.ID == g.self {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.peers[p.ID] = p
	g.credit.up(p.ID)
	for name := range *g.scopes.Load() {
		g.post(p.ID, appendHeader(nil, kindHello, name))
	}
}

// PeerDown implements node.Handler: the members of a lost peer are gone (PG-34).
func (g *Groups) PeerDown(p node.Peer, reason node.Reason) {
	g.mu.Lock()
	known := g.peers[p.ID] == p
	if known {
		delete(g.peers, p.ID)
	}
	taps := make(map[string]*tapSet, len(g.retired))
	for name, t := range g.retired {
		taps[name] = t
	}
	g.mu.Unlock()
	if !known {
		return
	}
	for _, s := range *g.scopes.Load() {
		s.peerDown(p.ID, reason)
	}
	for name, t := range taps {
		t.gone(g, name, p.ID)
		g.tidy(name)
	}
	delete(g.intakes, p.ID)
	g.credit.drop(p.ID)
	g.behind.drop(p.ID)
	g.calls.lost(p.ID)
}

// Frame implements node.Handler.
func (g *Groups) Frame(p node.Peer, payload []byte) {
	g.mu.Lock()
	known := g.peers[p.ID] == p
	g.mu.Unlock()
	if !known {
		g.stats.ignored.Add(1)
		return
	}
	r := &reader{b: payload}
	k, scope := r.header()
	if r.err != nil {
		g.badFrame(p, r.err)
		return
	}
	switch k {
	case kindRelease:
		g.onRelease(p, string(scope), r)
	case kindProbe:
	case kindTook:
		if n := r.uint(); r.err == nil {
			g.credit.get(p.ID).took(int(min(n, creditLimit)))
		}
	case kindAccept, kindReply, kindCancel:
		g.onCallFrame(p, k, r)
	default:
		g.scopeFrame(p, k, scope, r)
	}
	if r.err != nil {
		g.badFrame(p, r.err)
	}
}

// scopeFrame hands a frame to its scope, if that runs.
func (g *Groups) scopeFrame(p node.Peer, k kind, scope []byte, r *reader) {
	s := (*g.scopes.Load())[string(scope)]
	switch {
	case s != nil:
		s.frame(p, k, r)
	case k == kindMany:
		g.takenIn(p, string(scope), 0)
	case k == kindHello:
		g.absent(p, string(scope))
	case k == kindCall:
		g.nobody(p, string(scope), r)
	default:
		g.stats.ignored.Add(1)
	}
	if k == kindBye {
		g.releasedAll(p, string(scope))
	}
}

// absent answers a hello: the scope does not run here.
func (g *Groups) absent(p node.Peer, scope string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if (*g.scopes.Load())[scope] == nil { // if it has just started, its hello is out, and this must not follow
		g.post(p.ID, appendHeader(nil, kindBye, scope))
	}
}

// nobody answers a call: the scope does not run here any more, and its members are none of it.
func (g *Groups) nobody(p node.Peer, scope string, r *reader) {
	if id := r.uint(); r.err == nil {
		newCall(g, scope, "", p.ID, id, nil, nil).accept(nil)
	}
}

// badFrame counts and tells of a frame that made no sense. The session goes on: the next frame may be good.
func (g *Groups) badFrame(p node.Peer, err error) {
	if g.stats.badFrames.Add(1) == 1 || errors.Is(err, ErrBadFrame) {
		g.log.Warn().Err(err).Stringer("peer", p.ID).Msg("group frame dropped")
	}
}
