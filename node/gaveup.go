package node

import (
	"time"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/internal/membership"
)

// gaveUp notes, by server, when our own broker gave up a connection of its route. While that stands, the end of the route,
// and that nobody takes what is for the node, says nothing about the node.
type gaveUp map[string]time.Time

func (g gaveUp) has(id membership.ID) bool {
	for _, name := range serverNames(id) {
		if _, ok := g[name]; ok {
			return true
		}
	}
	return false
}

// repaired takes a note back once the route has all its connections again, one of which is younger than the note. The
// broker may tell of an end before its list of routes shows it.
func (g gaveUp) repaired(r broker.Route, whole bool) {
	if at, ok := g[r.ServerName]; ok && whole && r.Since.After(at) {
		delete(g, r.ServerName)
	}
}

// serverNames are the names that a node's server may have: of a visible node, a hidden one, a store.
func serverNames(id membership.ID) [3]string {
	return [3]string{serverName(ID(id), false), serverName(ID(id), true), id.Name}
}
