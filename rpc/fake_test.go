package rpc

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/kith-mesh/kith/node"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeMesh is a mesh without a broker: sessions between fake nodes that a test can cut and freeze. It keeps the
// promises that package node makes to a protocol, so the rules of calls can be tested apart from the wire.
type fakeMesh struct {
	mu    sync.Mutex
	nodes map[string]*fakeNode
	conns uint64
	grace time.Duration // how long a silent node is given to begin to serve
}

// fakeNode is one end of fake sessions. Its dispatcher is one goroutine.
type fakeNode struct {
	mesh       *fakeMesh
	id         node.ID
	ctx        context.Context
	cancel     context.CancelFunc
	ended      chan struct{}
	window     int
	connecting func() // called before a session is opened from here

	mu       sync.Mutex // guards the fields below
	handler  node.Handler
	sessions map[string]*fakeSession
	inbox    []func(node.Handler)
	wake     chan struct{}
	resumed  chan struct{} // closed while not frozen
	refuse   error         // what opening a session with this node fails with
	silent   bool          // it never handles ProtocolCalls
	rules    []node.Rule   // of which only peers and targets without patterns are looked at
	sent     []string      // frame kinds sent, for assertions
}

// fakeSession is this node's side of a session.
type fakeSession struct {
	peer  node.Peer
	other *fakeNode
	mu    sync.Mutex
	under int           // frames not handed on by the peer
	space chan struct{} // closed when that changes
	done  chan struct{}
}

func newFakeMesh() *fakeMesh {
	return &fakeMesh{nodes: map[string]*fakeNode{}, grace: 200 * time.Millisecond}
}

// add starts a node and its server.
func (m *fakeMesh) add(t testing.TB, name string, opts ...Option) (*fakeNode, *Server) {
	t.Helper()
	n := m.addNode(t, name)
	s, err := newServer(n, opts)
	if err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	n.handler = sessions{s}
	n.mu.Unlock()
	return n, s
}

func (m *fakeMesh) addNode(t testing.TB, name string) *fakeNode {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conns++
	open := make(chan struct{})
	close(open)
	n := &fakeNode{
		mesh: m, id: node.ID{Name: name, Incarnation: m.conns}, window: 1000, ended: make(chan struct{}),
		sessions: map[string]*fakeSession{}, wake: make(chan struct{}, 1), resumed: open,
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	m.nodes[name] = n
	go n.dispatch()
	t.Cleanup(n.close)
	return n
}

func (n *fakeNode) dispatch() {
	defer close(n.ended)
	for {
		n.mu.Lock()
		list, h, resumed := n.inbox, n.handler, n.resumed
		n.inbox = nil
		n.mu.Unlock()
		for _, f := range list {
			select {
			case <-resumed:
			case <-n.ctx.Done():
				return
			}
			f(h)
		}
		if len(list) > 0 {
			continue
		}
		select {
		case <-n.wake:
		case <-n.ctx.Done():
			return
		}
	}
}

func (n *fakeNode) push(f func(node.Handler)) {
	n.mu.Lock()
	n.inbox = append(n.inbox, f)
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// close kills the node: its peers see the connection close.
func (n *fakeNode) close() {
	n.mesh.mu.Lock()
	if n.mesh.nodes[n.id.Name] == n {
		delete(n.mesh.nodes, n.id.Name)
	}
	others := slices.Collect(maps.Values(n.mesh.nodes))
	n.mesh.mu.Unlock()
	for _, other := range others {
		other.mu.Lock()
		s := other.sessions[n.id.Name]
		other.mu.Unlock()
		if s != nil && s.other == n {
			other.lower(s, node.ReasonConnectionClosed)
		}
	}
	n.cancel()
	<-n.ended
}

// freeze stops the dispatcher; the returned function lets it go on.
func (n *fakeNode) freeze() (thaw func()) {
	c := make(chan struct{})
	n.mu.Lock()
	n.resumed = c
	n.mu.Unlock()
	return sync.OnceFunc(func() { close(c) })
}

// cut ends the session with a peer, at both ends.
func (n *fakeNode) cut(name string, why node.Reason) {
	n.mu.Lock()
	s := n.sessions[name]
	n.mu.Unlock()
	if s == nil {
		return
	}
	n.lower(s, why)
	s.other.mu.Lock()
	back := s.other.sessions[n.id.Name]
	s.other.mu.Unlock()
	if back != nil && back.peer.Conn == s.peer.Conn {
		s.other.lower(back, why)
	}
}

// lower keeps the order of node: nothing more can be sent, then PeerDown.
func (n *fakeNode) lower(s *fakeSession, why node.Reason) {
	n.mu.Lock()
	if n.sessions[s.peer.Name] != s {
		n.mu.Unlock()
		return
	}
	delete(n.sessions, s.peer.Name)
	close(s.done)
	n.mu.Unlock()
	n.push(func(h node.Handler) {
		if h != nil && !s.other.silent {
			h.PeerDown(s.peer, why)
		}
	})
}

// connect opens a session between two nodes, and returns it.
func (n *fakeNode) connect(name string) (*fakeSession, error) {
	if n.connecting != nil {
		n.connecting()
	}
	n.mesh.mu.Lock()
	defer n.mesh.mu.Unlock()
	other := n.mesh.nodes[name]
	if other == nil {
		return nil, fmt.Errorf("%w: %s", node.ErrNoNode, name)
	}
	if other.refuse != nil {
		return nil, other.refuse
	}
	if s := n.session(node.ID{Name: name}); s != nil {
		return s, nil
	}
	n.mesh.conns++
	conn := n.mesh.conns
	other.raise(&fakeSession{peer: node.Peer{ID: n.id, Conn: conn}, other: n})
	s := &fakeSession{peer: node.Peer{ID: other.id, Conn: conn}, other: other}
	select {
	case <-n.raise(s):
		return s, nil
	case <-n.ctx.Done():
		return nil, node.ErrClosed
	}
}

// raise has the dispatcher announce the session; it can be used from then on, so behind the end of the one before.
func (n *fakeNode) raise(s *fakeSession) (up chan struct{}) {
	s.space, s.done, up = make(chan struct{}), make(chan struct{}), make(chan struct{})
	n.push(func(h node.Handler) {
		n.mu.Lock()
		n.sessions[s.peer.Name] = s
		n.mu.Unlock()
		if h != nil && !s.other.silent {
			h.PeerUp(s.peer)
		}
		close(up)
	})
	return up
}

func (n *fakeNode) ID() node.ID              { return n.id }
func (n *fakeNode) Context() context.Context { return n.ctx }
func (n *fakeNode) Log() zerolog.Logger      { return zerolog.Nop() }

func (n *fakeNode) Nodes(...node.Kind) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	names := []string{n.id.Name}
	for name := range n.sessions {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (n *fakeNode) session(to node.ID) *fakeSession {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.sessions[to.Name]
	if s == nil || to.Incarnation != 0 && s.peer.Incarnation != to.Incarnation {
		return nil
	}
	return s
}

func (n *fakeNode) Send(ctx context.Context, to node.ID, p node.Protocol, flags node.SendFlags, parts ...[]byte) error {
	if n.ctx.Err() != nil {
		return node.ErrClosed
	}
	s := n.session(to)
	if s == nil {
		if flags&node.NoConnect != 0 {
			return node.ErrNotConnected
		}
		var err error
		if s, err = n.connect(to.Name); err != nil {
			return err
		}
	}
	if s.other.silent {
		select {
		case <-time.After(n.mesh.grace):
			return node.ErrNoProtocol
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for {
		s.mu.Lock()
		if s.under < n.window {
			s.mu.Unlock()
			return n.put(s, parts)
		}
		space := s.space
		s.mu.Unlock()
		if flags&node.NoWait != 0 {
			return node.ErrWouldBlock
		}
		select {
		case <-space:
		case <-s.done:
			return node.ErrNotConnected
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (n *fakeNode) Post(to node.ID, p node.Protocol, parts ...[]byte) error {
	s := n.session(to)
	if s == nil {
		return node.ErrNotConnected
	}
	return n.put(s, parts)
}

func (n *fakeNode) put(s *fakeSession, parts [][]byte) error {
	data := slices.Concat(parts...)
	n.mu.Lock()
	if n.sessions[s.peer.Name] != s {
		n.mu.Unlock()
		return node.ErrNotConnected
	}
	n.sent = append(n.sent, frameNames[frameKind(data[0])])
	n.mu.Unlock()
	s.mu.Lock()
	s.under++
	s.mu.Unlock()
	self := node.Peer{ID: n.id, Conn: s.peer.Conn}
	s.other.push(func(h node.Handler) {
		if cur := s.other.session(n.id); h != nil && cur != nil && cur.peer.Conn == s.peer.Conn {
			h.Frame(self, data)
		}
		s.mu.Lock()
		s.under--
		close(s.space)
		s.space = make(chan struct{})
		s.mu.Unlock()
	})
	return nil
}

// count says how many frames of the kind the node has sent.
func (n *fakeNode) count(kind string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := 0
	for _, k := range n.sent {
		if k == kind {
			c++
		}
	}
	return c
}

var frameNames = map[frameKind]string{
	frameHello: "hello", frameRequest: "request", frameAnswer: "answer", frameFailure: "failure",
	frameCancel: "cancel", frameItem: "item", frameEnd: "end", frameCredit: "credit", frameOpened: "opened",
}

// bubble runs a subtest in which time passes only while everybody waits, so that its durations are exact.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// pair is two connected nodes, a and b.
func pair(t testing.TB, opts ...Option) (a, b *Server, na, nb *fakeNode) {
	t.Helper()
	m := newFakeMesh()
	na, a = m.add(t, "a@127.0.0.1", opts...)
	nb, b = m.add(t, "b@127.0.0.1", opts...)
	if _, err := na.connect("b@127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	return a, b, na, nb
}

const (
	nameA = "a@127.0.0.1"
	nameB = "b@127.0.0.1"
	nameC = "c@127.0.0.1"
)

// Guarded implements link.
func (n *fakeNode) Guarded() bool { return true }

// Permit implements link.
func (n *fakeNode) Permit(peer string, _ node.Action, target string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.rules {
		if r.Peer == peer && r.Target == target && r.Refuse {
			return node.ErrRefused
		}
	}
	return nil
}
