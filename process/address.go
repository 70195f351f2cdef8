package process

// Address is where a message can be sent: a PID or a Name.
type Address interface {
	// String prints the address for people.
	String() string
	address()
}

// Name is the address of whatever process has the registered name on the node at the time of delivery (SEND-03).
type Name struct {
	// Name is the registered name.
	Name string
	// Node is the full name of a node. Empty means this node, and then sending to a name that nobody has is an error
	// (SIG-07); with a node, this one included, such a message is lost and counted (SEND-04, SEND-05).
	Node string
}

// String prints the name, and the node if there is one.
func (n Name) String() string {
	if n.Node == "" {
		return n.Name
	}
	return n.Name + " on " + n.Node
}

func (PID) address()  {}
func (Name) address() {}
