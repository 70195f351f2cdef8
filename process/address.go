package process

import "fmt"

// Address is where a message can be sent: a PID, a Name or a Via.
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

// Registry is where names are kept other than those of a node, such as names for the whole mesh.
type Registry interface {
	// Whereis is the process that has the name now. It must be quick.
	Whereis(name string) (PID, bool)
}

// Via is the address of whatever process has the name in a registry at the time of sending. Sending to a name that
// nobody has is ErrNoProcess.
type Via struct {
	Registry Registry
	Name     string
}

// String is the name.
func (v Via) String() string { return v.Name }

func (PID) address()  {}
func (Name) address() {}
func (Via) address()  {}

// Resolve looks a Via up, and returns other addresses as they are. The error is ErrNoProcess.
func Resolve(to Address) (Address, error) {
	via, ok := to.(Via)
	if !ok {
		return to, nil
	}
	if via.Registry != nil {
		if pid, ok := via.Registry.Whereis(via.Name); ok {
			return pid, nil
		}
	}
	return nil, fmt.Errorf("%w: %q", ErrNoProcess, via.Name)
}
