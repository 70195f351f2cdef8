package rpc

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/node"
)

// link is what a Server needs of a node.
type link interface {
	ID() node.ID
	Context() context.Context
	Log() zerolog.Logger
	Nodes(kinds ...node.Kind) []string
	Send(ctx context.Context, to node.ID, p node.Protocol, flags node.SendFlags, parts ...[]byte) error
	Post(to node.ID, p node.Protocol, parts ...[]byte) error
	Guarded() bool
	Permit(peer string, action node.Action, target string) error
}

// Server serves the calls that other nodes make to this one, and makes calls to them. There is one for each node. Its
// methods may be called concurrently.
type Server struct {
	link  link
	self  node.ID
	log   zerolog.Logger
	set   settings
	clock clock
	ctx   context.Context // parent of every handler's context; ends with the server or its node
	stop  context.CancelFunc

	functions registry
	workers   workers
	serving   servingTable
	refusals  chan refusal
	// stopRefusing ends their sender, which outlives the server: only a node that serves no calls at all needs none.
	stopRefusing context.CancelFunc
	running      atomic.Int64
	answering    atomic.Int64 // calls that have ended, and whose answer is on its way
	draining     atomic.Bool
	drained      chan struct{} // closed when the last call of a draining server ended
	drainOnce    sync.Once

	pending    pendingTable[*call]
	sweeping   atomic.Bool
	streams    pendingTable[*clientStream]
	free       sync.Pool // of *call
	writes     sync.Pool // of *write
	background atomic.Int64
	peers      peerSet
	guarded    bool    // the node has rules: peers may be refused calls
	client     Handler // the middleware of this node's own calls; nil: none

	onceMu sync.Mutex // guards the field below
	once   onceTable[*serving]

	infoMu sync.Mutex // guards the field below
	info   map[string]func() any

	count counters
}

// New returns the server of the node n: it takes the frames of node.ProtocolCalls, and registers the functions that
// every node serves. It fails when the node has a handler of that protocol already, or is closed. The server closes
// with its node.
func New(n *node.Node, opts ...Option) (*Server, error) {
	s, err := newServer(n, opts)
	if err != nil {
		return nil, err
	}
	if err := n.Handle(node.ProtocolCalls, sessions{s}); err != nil {
		s.Close()
		s.stopRefusing()
		return nil, err
	}
	return s, nil
}

func newServer(l link, opts []Option) (*Server, error) {
	set := settings{
		timeout: DefaultTimeout, limit: DefaultLimit, window: DefaultWindow, onceLimit: 10_000, onceBytes: 64 << 20,
	}
	for _, opt := range opts {
		if err := opt(&set); err != nil {
			return nil, err
		}
	}
	s := &Server{
		link: l, self: l.ID(), set: set, clock: clock{time.Now()}, drained: make(chan struct{}),
		refusals: make(chan refusal, maxRefusals),
		log:      l.Log().With().Str("component", "rpc").Logger(),
		once:     onceTable[*serving]{window: set.window, maxKeys: set.onceLimit, maxBytes: set.onceBytes},
	}
	s.guarded = l.Guarded()
	s.free.New = func() any { return newCall() }
	s.writes.New = func() any { return new(write) }
	s.ctx, s.stop = context.WithCancel(l.Context())
	if len(set.call) > 0 {
		s.client = chain(HandlerFunc(s.handleOwn), set.call)
	}
	if !set.bare {
		if err := s.registerBuiltins(); err != nil {
			return nil, err
		}
	}
	context.AfterFunc(l.Context(), s.close)
	refusing, stop := context.WithCancel(l.Context())
	s.stopRefusing = stop
	go s.sendRefusals(refusing)
	return s, nil
}

// Register makes this node serve the function name with h. It fails with ErrBadArgument for a name that is not
// dot-separated [A-Za-z0-9_-]+, and with ErrFunctionExists for one that is taken.
func (s *Server) Register(name string, h Handler, opts ...RegisterOption) error {
	if err := checkName(name); err != nil {
		return err
	}
	if h == nil {
		return fmt.Errorf("%w: no handler for %q", ErrBadArgument, name)
	}
	if s.ctx.Err() != nil {
		return ErrClosed
	}
	f := &function{name: name, handler: h}
	for _, opt := range opts {
		if err := opt(f); err != nil {
			return err
		}
	}
	f.handler = chain(f.handler, s.set.serve)
	return s.functions.add(f)
}

// Unregister stops serving the function, and reports whether it was served. Calls that run already go on.
func (s *Server) Unregister(name string) bool { return s.functions.remove(name) }

// Functions returns the names of what this node serves, sorted.
func (s *Server) Functions() []string { return s.functions.names() }

// ID returns the node whose server this is.
func (s *Server) ID() node.ID { return s.self }

// Shutdown refuses further requests of others, waits within ctx for those that run here to end, then closes. Calls
// that this node makes still work until then. When ctx ends first, it closes at once and returns ctx.Err().
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	s.noteDrained()
	var err error
	select {
	case <-s.drained:
	case <-s.ctx.Done():
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.close()
	return err
}

// Close ends the server now: calls that this node waits for fail with ErrClosed, the contexts of running handlers end,
// and callers elsewhere are told ErrNoConnection. The node goes on. A second Close does nothing.
func (s *Server) Close() error {
	s.close()
	return nil
}

func (s *Server) close() {
	s.draining.Store(true)
	s.stop()
	for _, c := range s.pending.close() {
		s.cancelThere(c.node, c.id)
		c.finish(outcome{err: &CallError{Node: c.node, Func: c.fn, Sent: true, Err: ErrClosed}})
	}
	for _, st := range s.streams.close() {
		s.cancelThere(st.node, st.id)
		st.end(&CallError{Node: st.node, Func: st.fn, Sent: true, Err: ErrClosed})
	}
	s.workers.close()
}

func (s *Server) noteDrained() {
	if s.draining.Load() && s.running.Load() == 0 {
		s.drainOnce.Do(func() { close(s.drained) })
	}
}

// sessions is the Server as the node's dispatcher sees it. Nothing here waits.
type sessions struct{ s *Server }

// PeerUp notes that the peer serves calls.
func (h sessions) PeerUp(p node.Peer) { h.s.peers.add(p) }

// PeerDown fails the calls to the peer (ERPC-07) and ends what only the peer could have ended.
func (h sessions) PeerDown(p node.Peer, reason node.Reason) {
	s := h.s
	s.peers.remove(p)
	err := fmt.Errorf("%w: %s", ErrNoConnection, reason)
	for _, c := range s.pending.takeNode(p.Name) {
		c.finish(outcome{err: &CallError{Node: c.node, Func: c.fn, Sent: true, Err: err}})
	}
	for _, st := range s.streams.takeNode(p.Name) {
		st.end(&CallError{Node: st.node, Func: st.fn, Sent: true, Err: err})
	}
	s.serving.orphan(p.Conn)
}

// Frame takes one frame of a peer.
func (h sessions) Frame(p node.Peer, data []byte) {
	s := h.s
	var f frame
	if err := f.decode(data); err != nil {
		s.badFrame(p, &f, err)
		return
	}
	switch f.kind {
	case frameRequest:
		s.serve(p, &f)
	case frameAnswer:
		s.answered(p, f.id, outcome{payload: payload{ct: f.content, data: f.payload}})
	case frameFailure:
		s.failed(p, &f)
	case frameCancel:
		s.serving.cancel(servingKey{p.Conn, f.id}, context.Canceled)
	case frameCredit:
		s.serving.credit(servingKey{p.Conn, f.id}, f.credit)
	case frameItem, frameEnd, frameOpened:
		s.streamed(p, &f)
	case frameHello: // it has done its work by opening the session
	}
}

// badFrame counts, and tells the peer if it was a request that can be answered.
func (s *Server) badFrame(p node.Peer, f *frame, err error) {
	s.count.bad.Add(1)
	s.log.Warn().Err(err).Str("peer", p.Name).Msg("bad frame")
	if f.kind == frameRequest && f.id != 0 && !f.cast {
		s.refuse(p, f.id, errRefusedFrame)
	}
}

// answered completes the call that waits for the answer.
func (s *Server) answered(p node.Peer, id uint64, out outcome) {
	c, ok := s.pending.take(id, p.Name)
	if !ok {
		s.count.late.Add(1)
		return
	}
	c.finish(out)
}

func (s *Server) failed(p node.Peer, f *frame) {
	if c, ok := s.pending.take(f.id, p.Name); ok {
		c.finish(outcome{err: decodeFailure(p.Name, c.fn, f.code, f.payload)})
		return
	}
	if st, ok := s.streams.take(f.id, p.Name); ok {
		st.end(decodeFailure(p.Name, st.fn, f.code, f.payload))
		return
	}
	s.count.late.Add(1)
}
