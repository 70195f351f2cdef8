package node

import (
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/kith-mesh/kith/broker"
)

// ClientAddr is the HOST:PORT of the port for plain NATS clients, or "" if there is none: see Config.Clients.
func (n *Node) ClientAddr() string { return n.broker.ClientAddr() }

// Outside opens a connection to the account of plain NATS clients, for a package that answers them, such as gateway. It
// has nothing to do with the connections that carry frames. The caller closes it; it is closed too when the node stops.
// Errors: ErrClosed.
func (n *Node) Outside(opts ...nats.Option) (*nats.Conn, error) {
	if n.leaving.Load() {
		return nil, ErrClosed
	}
	nc, err := n.broker.Connect(broker.Outside, opts...)
	if err != nil {
		return nil, n.closedOr(fmt.Errorf("connecting to the account of clients: %w", err))
	}
	return nc, nil
}

// OutsideChanges is how often a subscription in the account of plain NATS clients was added or removed on this node. It is
// cheap to ask.
func (n *Node) OutsideChanges() uint64 { return n.broker.OutsideChanges() }

// OutsideSubjects lists the subjects that plain NATS clients of this node have subscribed to, sorted. It walks all of
// them: ask when OutsideChanges has. Errors: ErrClosed.
func (n *Node) OutsideSubjects() ([]string, error) {
	list, err := n.broker.OutsideSubjects()
	return list, n.closedOr(err)
}
