package node

import "fmt"

// ID is one life of a node: its name, and the incarnation that is new at every start. Two IDs with the same name and
// different incarnations are different nodes. Incarnations are compared for equality only; zero is never used. The
// value is comparable and may be a map key.
type ID struct {
	// Name is the node's full name, name@host.
	Name string
	// Incarnation tells lives of the same name apart.
	Incarnation uint64
}

// String prints the name and the incarnation, such as "alice@127.0.0.1#1f0c5a7be2d94d11".
func (id ID) String() string { return fmt.Sprintf("%s#%016x", id.Name, id.Incarnation) }

// Peer is one session with another node, as protocols and lists see it. It is a comparable value.
type Peer struct {
	ID
	// Conn is the connection id of the session: both sides have the same, and a reconnect gets a new one (NET-32).
	Conn uint64
	// Hidden says that the session is hidden: the peer is a hidden node, or this node is.
	Hidden bool
}
