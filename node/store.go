package node

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kith-mesh/kith/broker"
)

// storeConfig is what the broker needs to be a store, or nil.
func (n *Node) storeConfig() *broker.StoreConfig {
	if !n.isStore() {
		return nil
	}
	return &broker.StoreConfig{
		Name: n.cfg.Name, Nodes: n.cfg.Store, Dir: filepath.Join(n.cfg.DataDir, "store", n.cfg.Name),
	}
}

// checkStore completes a store's configuration: it listens where the list says.
func (c *Config) checkStore() error {
	addr, listed := c.Store[c.Name]
	if !listed {
		return nil
	}
	switch {
	case c.DataDir == "":
		return fmt.Errorf("%w: store node %s has no data dir", ErrBadArgument, c.Name)
	case c.Hidden:
		return fmt.Errorf("%w: store node %s is hidden", ErrBadArgument, c.Name)
	case c.Listen == "" && c.Advertise == "":
		c.Listen = addr
	}
	return nil
}

// IsStore says whether this node is one of the mesh's stores: see Config.Store.
func (n *Node) IsStore() bool { return n.isStore() }

// StoreNodes returns the full names of the mesh's stores, sorted: those of Config.Store, and none if that was not given.
func (n *Node) StoreNodes() []string { return slices.Sorted(maps.Keys(n.cfg.Store)) }

// Stores returns a connection to the account of the mesh's stores, and JetStream on it. It works on every node of a mesh
// that has stores; that they answer is another matter: see WaitStores. The caller closes the connection; it is closed
// too when the node stops. Errors: ErrClosed.
func (n *Node) Stores() (*nats.Conn, jetstream.JetStream, error) {
	if n.leaving.Load() {
		return nil, nil, ErrClosed
	}
	nc, err := n.broker.Connect(broker.Store)
	if err != nil {
		return nil, nil, n.closedOr(fmt.Errorf("connecting to the stores: %w", err))
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, nil, fmt.Errorf("connecting to the stores: %w", err)
	}
	return nc, js, nil
}

// WaitStores blocks until the mesh's stores answer, within ctx. Errors: ErrClosed, ctx.Err(), which is also how a mesh
// without stores shows.
func (n *Node) WaitStores(ctx context.Context) error {
	if err := n.broker.WaitStore(ctx); err != nil {
		return n.closedOr(err)
	}
	return nil
}
