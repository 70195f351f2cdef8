package meshtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/internal/freeport"
	"github.com/kith-mesh/kith/node"
)

const (
	// startTimeout bounds the start of a node, and the forming of the mesh.
	startTimeout = 30 * time.Second
	// seedCount is how many running nodes a new one is told to join. The rest it learns.
	seedCount = 3
	// portAttempts is how often a free port is looked for, should another process take it first.
	portAttempts = 5
	// defaultTick makes a silent peer known in a second, and still lets a crowded machine run on time.
	defaultTick = 250 * time.Millisecond
)

// Mesh is a mesh of nodes in this process. Nodes are counted from 1: the first is n1@127.0.0.1. Methods that cannot do
// what they are asked fail the test and must be called on its goroutine; those that only look may be called from any.
type Mesh struct {
	t     testing.TB
	links *Links
	edit  []func(*node.Config)

	starting sync.Mutex // held while a node starts: Links can expect only one

	mu    sync.Mutex // guards the fields below
	names []string
	nodes map[string]*node.Node // running
}

// Option changes the nodes of a mesh.
type Option func(*Mesh)

// Tick sets the time between two signs of life. A silent peer is given up after four. Default 250 ms.
func Tick(d time.Duration) Option {
	return Configure(func(c *node.Config) { c.Tick = d })
}

// Configure lets f change each node's configuration before it starts. Name, Mesh, Cookie, Listen and Advertise belong to
// the test network and must be left alone.
func Configure(f func(*node.Config)) Option {
	return func(m *Mesh) { m.edit = append(m.edit, f) }
}

// New starts n nodes and returns when every pair is connected. The mesh ends with the test.
func New(t testing.TB, n int, opts ...Option) *Mesh {
	t.Helper()
	m := &Mesh{t: t, links: NewLinks(), nodes: make(map[string]*node.Node)}
	for _, o := range opts {
		o(m)
	}
	t.Cleanup(m.close)
	for i := range n {
		m.Start(nameOf(i + 1))
	}
	m.WaitFull()
	return m
}

func nameOf(i int) string { return fmt.Sprintf("n%d@127.0.0.1", i) }

// cookie is shared by the nodes of all test meshes, which are reachable from this host only.
var cookie = []byte("meshtest: not a secret, for loopback")

// Start starts a node of the given full name, such as n4@127.0.0.1: a new one, or a new life of one that was stopped,
// at the same address. It does not wait for peers. The first start of a name counts it in, behind those there are.
func (m *Mesh) Start(name string) *node.Node {
	m.t.Helper()
	m.starting.Lock()
	defer m.starting.Unlock()
	m.mu.Lock()
	running := m.nodes[name]
	m.mu.Unlock()
	if running != nil {
		m.t.Fatalf("%s is running", name)
	}
	addr, err := m.links.Open(name)
	if err != nil {
		m.t.Fatal(err)
	}
	n, err := m.launch(name, addr)
	if err != nil {
		m.t.Fatalf("starting %s: %v", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Contains(m.names, name) {
		m.names = append(m.names, name)
	}
	m.nodes[name] = n
	return n
}

// launch starts the node on a free port behind its proxy at addr.
func (m *Mesh) launch(name, addr string) (*node.Node, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	m.links.Expect(name)
	defer m.links.Expect("")
	for attempt := 1; ; attempt++ {
		ports, err := freeport.Addrs(1) // which its proxy must know before peers dial
		if err != nil {
			return nil, err
		}
		if err := m.links.Serve(name, ports[0]); err != nil {
			return nil, err
		}
		cfg := node.Config{
			Name: name, Mesh: "meshtest", Cookie: cookie, Listen: ports[0], Advertise: addr, Join: m.seeds(), Tick: defaultTick,
		}
		for _, edit := range m.edit {
			edit(&cfg)
		}
		n, err := node.Start(ctx, cfg)
		if err == nil {
			// A node that has nobody to dial says who it is only later.
			m.links.Label(name, label(n))
			return n, nil
		}
		if !errors.Is(err, broker.ErrPortInUse) || attempt == portAttempts {
			return nil, err
		}
	}
}

// label is what a node sends as the first label of its server name.
func label(n *node.Node) string { return fmt.Sprintf("%016x", n.ID().Incarnation) }

func (m *Mesh) seeds() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var addrs []string
	for _, name := range m.names {
		if n := m.nodes[name]; n != nil && len(addrs) < seedCount {
			addrs = append(addrs, n.Addr())
		}
	}
	return addrs
}

// Node returns node i. It fails the test if that is not running.
func (m *Mesh) Node(i int) *node.Node {
	m.t.Helper()
	n := m.running(i)
	if n == nil {
		m.t.Fatalf("node %d is not running", i)
	}
	return n
}

// Nodes returns the running nodes, in the order of their first starts.
func (m *Mesh) Nodes() []*node.Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []*node.Node
	for _, name := range m.names {
		if n := m.nodes[name]; n != nil {
			all = append(all, n)
		}
	}
	return all
}

func (m *Mesh) running(i int) *node.Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i < 1 || i > len(m.names) {
		return nil
	}
	return m.nodes[m.names[i-1]]
}

// name returns the name of node i, running or not.
func (m *Mesh) name(i int) string {
	m.t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if i < 1 || i > len(m.names) {
		m.t.Fatalf("there is no node %d", i)
	}
	return m.names[i-1]
}

// Stop shuts node i down: it leaves cleanly, and its peers report node.ReasonShutdown.
func (m *Mesh) Stop(i int) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := m.remove(i).Shutdown(ctx); err != nil {
		m.t.Errorf("stopping node %d: %v", i, err)
	}
}

// Kill ends node i as a crash would: its connections close and nobody is told why.
func (m *Mesh) Kill(i int) {
	m.t.Helper()
	if err := m.remove(i).Close(); err != nil {
		m.t.Errorf("killing node %d: %v", i, err)
	}
}

func (m *Mesh) remove(i int) *node.Node {
	m.t.Helper()
	n := m.Node(i)
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.nodes, n.Name())
	return n
}

// Restart starts a new life of node i, which was stopped or killed.
func (m *Mesh) Restart(i int) *node.Node {
	m.t.Helper()
	return m.Start(m.name(i))
}

// close ends the nodes, all at once, and then the network: nodes end faster while their connections stand.
func (m *Mesh) close() {
	m.mu.Lock()
	nodes := m.nodes
	m.nodes = make(map[string]*node.Node)
	m.mu.Unlock()
	var closing sync.WaitGroup
	for name, n := range nodes {
		closing.Go(func() {
			if err := n.Close(); err != nil {
				m.t.Errorf("closing %s: %v", name, err)
			}
		})
	}
	closing.Wait()
	if err := m.links.Close(); err != nil {
		m.t.Errorf("closing the links: %v", err)
	}
}
