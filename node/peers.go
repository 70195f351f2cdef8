package node

import (
	"sort"

	"github.com/kith-mesh/kith/internal/membership"
)

// tableRef is the membership table, as the controller hands it to the operations that run there.
type tableRef = *membership.Table

// peerSet is the sessions that are up. It is replaced, never changed.
type peerSet struct {
	byName map[string]*session
	byID   map[ID]*session
}

func newPeerSet(list []*session) *peerSet {
	set := &peerSet{byName: make(map[string]*session, len(list)), byID: make(map[ID]*session, len(list))}
	for _, s := range list {
		set.byName[s.peer.Name], set.byID[s.peer.ID] = s, s
	}
	return set
}

// find returns the session with a node; a zero incarnation means whichever life of the name is connected.
func (p *peerSet) find(id ID) *session {
	if id.Incarnation == 0 {
		return p.byName[id.Name]
	}
	return p.byID[id]
}

// addPeer and removePeer change the set. Only the dispatcher calls them.
func (n *Node) addPeer(s *session) {
	list := []*session{s}
	for _, other := range n.peers.Load().byName {
		list = append(list, other)
	}
	n.setPeers(list)
}

func (n *Node) removePeer(s *session) {
	var list []*session
	for _, other := range n.peers.Load().byName {
		if other != s {
			list = append(list, other)
		}
	}
	n.setPeers(list)
}

func (n *Node) setPeers(list []*session) {
	n.peers.Store(newPeerSet(list))
	grant := grantFor(len(list))
	n.grant.Store(grant)
	n.changed()
}

// Bounds of what peers may have under way towards this node, in charged bytes. The sum stays well under the broker's
// limit for one connection (64 MiB), behind which it would cut ours, and the number of messages under receiveCapacity.
const (
	grantTotal = 24 << 20
	grantMost  = 4 << 20
	grantLeast = 64 << 10
)

// grantFor is the window of each of count peers.
func grantFor(count int) uint64 {
	return uint64(min(grantMost, max(grantLeast, grantTotal/max(count, 1))))
}

// Kind selects nodes for Nodes. Kinds can be combined with |.
type Kind uint8

// The kinds of nodes (NET-21, and nodes/1 of Erlang).
const (
	// Visible are the connected nodes that are not hidden.
	Visible Kind = 1 << iota
	// HiddenNodes are the connected nodes that are hidden, or, on a hidden node, all connected ones.
	HiddenNodes
	// This is this node.
	This
	// Known are the nodes that are connected or were met before and have not left for good.
	Known
	// Connected are all connected nodes.
	Connected = Visible | HiddenNodes
)

// Nodes returns the names of the nodes of the given kinds, sorted, each once. Without kinds it means Visible. It does not
// block, except for Known, which asks the goroutine that keeps the table.
func (n *Node) Nodes(kinds ...Kind) []string {
	var want Kind
	for _, k := range kinds {
		want |= k
	}
	if want == 0 {
		want = Visible
	}
	names := map[string]bool{}
	if want&This != 0 {
		names[n.id.Name] = true
	}
	for name, s := range n.peers.Load().byName {
		if s.peer.Hidden && want&HiddenNodes != 0 || !s.peer.Hidden && want&Visible != 0 {
			names[name] = true
		}
	}
	if want&Known != 0 {
		for _, s := range n.status() {
			names[s.Info.Name] = true
		}
	}
	list := make([]string, 0, len(names))
	for name := range names {
		list = append(list, name)
	}
	sort.Strings(list)
	return list
}

// visible is how many nodes Nodes lists.
func (n *Node) visible() (count int) {
	for _, s := range n.peers.Load().byName {
		if !s.peer.Hidden {
			count++
		}
	}
	return count
}

// Peers returns the sessions that are up, by name. It does not block.
func (n *Node) Peers() []Peer {
	set := n.peers.Load()
	list := make([]Peer, 0, len(set.byName))
	for _, s := range set.byName {
		list = append(list, s.peer)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

// Peer returns the session with the node of that name, if one is up. It does not block.
func (n *Node) Peer(name string) (Peer, bool) {
	s := n.peers.Load().byName[name]
	if s == nil {
		return Peer{}, false
	}
	return s.peer, true
}
