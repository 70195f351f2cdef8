package meshtest

import (
	"slices"
	"time"

	"github.com/kith-mesh/kith/node"
)

// Links returns the network under the mesh, which goes by full names.
func (m *Mesh) Links() *Links { return m.links }

// Cut stops all bytes between nodes i and j; see Links.Cut.
func (m *Mesh) Cut(i, j int) {
	m.t.Helper()
	m.links.Cut(m.name(i), m.name(j))
}

// CutOneWay stops the bytes from node i to node j; see Links.CutOneWay.
func (m *Mesh) CutOneWay(i, j int) {
	m.t.Helper()
	m.links.CutOneWay(m.name(i), m.name(j))
}

// Break resets all connections between nodes i and j, and new ones; see Links.Break.
func (m *Mesh) Break(i, j int) {
	m.t.Helper()
	m.links.Break(m.name(i), m.name(j))
}

// Mend takes back what Cut, CutOneWay and Break did between nodes i and j.
func (m *Mesh) Mend(i, j int) {
	m.t.Helper()
	m.links.Mend(m.name(i), m.name(j))
}

// Delay makes bytes take d longer each way between nodes i and j; see Links.Delay.
func (m *Mesh) Delay(i, j int, d time.Duration) {
	m.t.Helper()
	m.links.Delay(m.name(i), m.name(j), d)
}

// Partition cuts all links between the nodes of group and those outside it. Links within either side are left alone.
func (m *Mesh) Partition(group ...int) {
	m.t.Helper()
	m.eachPair(func(i, j int) {
		if slices.Contains(group, i) != slices.Contains(group, j) {
			m.Cut(i, j)
		}
	})
}

// MendAll mends every link.
func (m *Mesh) MendAll() {
	m.t.Helper()
	m.eachPair(m.Mend)
}

func (m *Mesh) eachPair(f func(i, j int)) {
	m.mu.Lock()
	count := len(m.names)
	m.mu.Unlock()
	for i := 1; i <= count; i++ {
		for j := i + 1; j <= count; j++ {
			f(i, j)
		}
	}
}

// Connected reports whether nodes i and j both run and each has a session with the other, of their present lives.
func (m *Mesh) Connected(i, j int) bool {
	a, b := m.running(i), m.running(j)
	return a != nil && b != nil && sees(a, b) && sees(b, a)
}

func sees(a, b *node.Node) bool {
	p, ok := a.Peer(b.Name())
	return ok && p.ID == b.ID()
}

// Full reports whether every two running nodes are connected.
func (m *Mesh) Full() bool {
	nodes := m.Nodes()
	for i, a := range nodes {
		for _, b := range nodes[i+1:] {
			if !sees(a, b) || !sees(b, a) {
				return false
			}
		}
	}
	return true
}

// WaitFull waits until every two running nodes are connected, and fails the test if that takes half a minute.
func (m *Mesh) WaitFull() {
	m.t.Helper()
	Eventually(m.t, "full mesh", m.Full, startTimeout)
}
