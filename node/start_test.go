package node_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
)

// tick is the interval of most tests: four of it are more than anything here is held up, on a machine that is crowded.
const tick = 500 * time.Millisecond

// user is the protocol that tests speak.
const user = node.ProtocolUser

var testCookie = []byte("node tests: not a secret, loopback only")

// start starts a node that ends with the test.
func start(t testing.TB, name string, edit ...func(*node.Config)) *node.Node {
	t.Helper()
	n, err := tryStart(t, name, edit...)
	if err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	return n
}

func tryStart(t testing.TB, name string, edit ...func(*node.Config)) (*node.Node, error) {
	t.Helper()
	cfg := node.Config{Name: name + "@127.0.0.1", Mesh: "test", Cookie: testCookie, Tick: tick}
	for _, f := range edit {
		f(&cfg)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	n, err := node.Start(ctx, cfg)
	if err == nil {
		t.Cleanup(func() { _ = n.Close() })
	}
	return n, err
}

// joining has a node dial others.
func joining(others ...*node.Node) func(*node.Config) {
	return func(c *node.Config) {
		for _, o := range others {
			c.Join = append(c.Join, o.Addr())
		}
	}
}

func ticking(d time.Duration) func(*node.Config) { return func(c *node.Config) { c.Tick = d } }
func hidden(c *node.Config)                      { c.Hidden = true }
func auto(a node.AutoConnect) func(*node.Config) {
	return func(c *node.Config) { c.AutoConnect = a }
}

// pair starts a and b, with a session.
func pair(t testing.TB, edit ...func(*node.Config)) (a, b *node.Node) {
	t.Helper()
	a = start(t, "a", edit...)
	b = start(t, "b", append(edit, joining(a))...)
	connected(t, a, b)
	return a, b
}

// connected waits until two nodes have the same session.
func connected(t testing.TB, a, b *node.Node) {
	t.Helper()
	meshtest.Eventually(t, fmt.Sprintf("a session of %s and %s", a.Name(), b.Name()), func() bool { return same(a, b) })
}

func same(a, b *node.Node) bool {
	x, ok1 := a.Peer(b.Name())
	y, ok2 := b.Peer(a.Name())
	return ok1 && ok2 && x.Conn == y.Conn && x.ID == b.ID() && y.ID == a.ID()
}

// settled waits until all frames that a sent have been handed on by b.
func settled(t testing.TB, a, b *node.Node) {
	t.Helper()
	meshtest.Eventually(t, "all frames handed on", func() bool {
		charge, _ := a.UnderWay(b.Name())
		return charge == 0
	})
}

// within is a context of a time that only trouble exhausts.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// happening is one call of a handler.
type happening struct {
	kind   string // up, frame or down
	peer   node.Peer
	data   string
	reason node.Reason
}

// recorder is a handler that writes down what happens.
type recorder struct {
	slow func(data string) // called for each frame; may be nil

	mu  sync.Mutex // guards the field below
	log []happening
}

func (r *recorder) add(h happening) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, h)
}

// PeerUp implements node.Handler.
func (r *recorder) PeerUp(p node.Peer) { r.add(happening{kind: "up", peer: p}) }

// Frame implements node.Handler.
func (r *recorder) Frame(p node.Peer, payload []byte) {
	if r.slow != nil {
		r.slow(string(payload))
	}
	r.add(happening{kind: "frame", peer: p, data: string(payload)})
}

// PeerDown implements node.Handler.
func (r *recorder) PeerDown(p node.Peer, reason node.Reason) {
	r.add(happening{kind: "down", peer: p, reason: reason})
}

func (r *recorder) all() []happening {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]happening(nil), r.log...)
}

// of returns what happened with one peer.
func (r *recorder) of(name string) (list []happening) {
	for _, h := range r.all() {
		if h.peer.Name == name {
			list = append(list, h)
		}
	}
	return list
}

// frames returns the frames of one peer.
func (r *recorder) frames(name string) (list []string) {
	for _, h := range r.of(name) {
		if h.kind == "frame" {
			list = append(list, h.data)
		}
	}
	return list
}

// record installs a recorder.
func record(t testing.TB, n *node.Node) *recorder {
	t.Helper()
	r := &recorder{}
	handle(t, n, r)
	return r
}

func handle(t testing.TB, n *node.Node, h node.Handler) {
	t.Helper()
	if err := n.Handle(user, h); err != nil {
		t.Fatal(err)
	}
}

// send sends one frame. Where the handler over there was installed just now, and long after the session opened, it waits
// for the news of that.
func send(t testing.TB, from, to *node.Node, data string) {
	t.Helper()
	for ctx := within(t); ; {
		err := from.Send(ctx, to.ID(), user, 0, []byte(data))
		if err == nil {
			return
		}
		if !errors.Is(err, node.ErrNoProtocol) || ctx.Err() != nil {
			t.Fatalf("%s to %s: %v", from.Name(), to.Name(), err)
		}
	}
}

// events reads a monitor into a list.
type events struct {
	mu   sync.Mutex // guards the field below
	list []node.Event
}

func watch(t testing.TB, n *node.Node, opts ...node.MonitorOption) *events {
	t.Helper()
	e := &events{}
	m := n.Monitor(opts...)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ev := range m.Events() {
			e.mu.Lock()
			e.list = append(e.list, ev)
			e.mu.Unlock()
		}
	}()
	t.Cleanup(func() { m.Close(); <-done })
	return e
}

func (e *events) all() []node.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]node.Event(nil), e.list...)
}

// await waits for the n-th event and returns it.
func (e *events) await(t testing.TB, n int) node.Event {
	t.Helper()
	meshtest.Eventually(t, fmt.Sprintf("event %d", n), func() bool { return len(e.all()) >= n })
	return e.all()[n-1]
}
