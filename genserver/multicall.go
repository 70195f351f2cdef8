package genserver

import (
	"context"
	"errors"
	"fmt"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// Reply is what one node answered to a MultiCall.
type Reply[Resp any] struct {
	Node  string
	Value Resp
	// Err is what the handler returned.
	Err error
}

// BadNode is a node that did not answer a MultiCall.
type BadNode struct {
	Node string
	// Err says why, as of Call.
	Err error
}

// AllNodes is this node and all visible ones, for MultiCall and AbCast.
func AllNodes(rt *process.Runtime) []string {
	return append([]string{rt.Node().Name()}, rt.Node().Nodes()...)
}

// MultiCall calls the server of a name on each of the nodes, all at the same time, and returns the answers, and the nodes
// that gave none, both in the order of the list (GEN-17). A node is bad when it is unknown or down, has no such name,
// when the server ends before it answers, or when ctx ends first (GEN-18, GEN-19): without a deadline MultiCall waits
// as long as the nodes live (GEN-31). A server that calls itself on its own node finds that node bad (GEN-23).
//
// The error is ErrBadNode, for a malformed node name; then nothing was sent (GEN-22).
func MultiCall[Resp any](ctx context.Context, rt *process.Runtime, nodes []string, name string, req Request[Resp]) (
	[]Reply[Resp], []BadNode, error,
) {
	if err := checkNodes(nodes); err != nil {
		return nil, nil, err
	}
	var c Collection[Resp]
	defer c.Abandon()
	for i, n := range nodes {
		c.Send(ctx, rt, process.Name{Name: name, Node: n}, req, i)
	}
	answers := make([]*Answer[Resp], len(nodes))
	var late error
	for a, err := range c.All(ctx) {
		if err != nil {
			late = err
			break
		}
		answers[a.Label.(int)] = &a
	}
	var replies []Reply[Resp]
	var bad []BadNode
	for i, a := range answers {
		switch {
		case a == nil:
			bad = append(bad, BadNode{nodes[i], late})
		case a.answered:
			replies = append(replies, Reply[Resp]{nodes[i], a.Value, a.Err})
		default:
			bad = append(bad, BadNode{nodes[i], a.Err})
		}
	}
	return replies, bad, nil
}

// AbCast casts to the server of a name on each of the nodes, and ignores those that have none (GEN-16). Errors: ErrBadNode,
// and those of process.Send, joined, where a cast could not be sent.
func AbCast(ctx context.Context, rt *process.Runtime, nodes []string, name string, msg any) error {
	if err := checkNodes(nodes); err != nil {
		return err
	}
	var all []error
	for _, n := range nodes {
		all = append(all, Cast(ctx, rt, process.Name{Name: name, Node: n}, msg))
	}
	return errors.Join(all...)
}

func checkNodes(nodes []string) error {
	for _, n := range nodes {
		if _, _, err := node.ParseName(n); err != nil {
			return fmt.Errorf("%w: %q: %w", ErrBadNode, n, err)
		}
	}
	return nil
}
