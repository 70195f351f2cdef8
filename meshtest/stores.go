package meshtest

import "github.com/kith-mesh/kith/node"

// Stores makes the first n nodes of the mesh its stores, 3 or 5, so that package quorum works on all of them: see
// node.Config.Store. Their data is in a directory of the test, and outlives Kill and Restart.
//
// A test that looks for leaked goroutines may find flushStreamStateLoop and ats.Register of nats-server, which forgets the
// log of a stream that is being made while it stops.
func Stores(n int) Option {
	return func(m *Mesh) {
		dir, list := m.t.TempDir(), map[string]string{}
		for i := range n {
			addr, err := m.links.Open(nameOf(i + 1))
			if err != nil {
				m.t.Fatal(err)
			}
			list[nameOf(i+1)] = addr
		}
		m.edit = append(m.edit, func(c *node.Config) { c.Store, c.DataDir = list, dir })
	}
}
