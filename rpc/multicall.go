package rpc

import (
	"context"
	"fmt"
	"iter"

	"github.com/kith-mesh/kith/node"
)

// Reply is what one node answered to a multicall.
type Reply struct {
	// Node is the node, and Index its place in the list of nodes.
	Node  string
	Index int
	// Err is what Call would have returned for this node alone. With an Err there is nothing to decode.
	Err error
	Result
}

// Multicall calls fn with arg on each entry of nodes, all at once, and returns their replies in the order of the list
// (ERPC-41). A nil list means this node and all visible ones (RPC-05), an empty one has no replies. There is one
// deadline for all: a node that has not answered by then has ErrTimeout in its reply, and the others keep what they
// answered (ERPC-44). Dead, unknown and frozen nodes fill only their own slot, and delay no other (ERPC-45). An entry
// that is no node name, like a bad function name, fails the whole call with ErrBadArgument before anything is sent
// (ERPC-47).
func (s *Server) Multicall(ctx context.Context, nodes []string, fn string, arg any, opts ...CallOption) ([]Reply, error) {
	requests, err := s.fanOut(ctx, nodes, fn, arg, opts)
	if err != nil {
		return nil, err
	}
	return s.gather(ctx, requests), nil
}

// MulticallSeq is Multicall that yields each reply as it comes, in the order of completion; the error is the Reply's
// Err. Leaving the loop cancels the calls that have not been answered. A mistake in the arguments is yielded as the
// only reply, with the Index -1. Each range over it makes the calls anew.
func (s *Server) MulticallSeq(ctx context.Context, nodes []string, fn string, arg any, opts ...CallOption) iter.Seq2[Reply, error] {
	return func(yield func(Reply, error) bool) {
		requests, err := s.fanOut(ctx, nodes, fn, arg, opts)
		if err != nil {
			yield(Reply{Index: -1, Err: err}, err)
			return
		}
		for r := range s.each(ctx, requests) {
			if !yield(r, r.Err) {
				return
			}
		}
	}
}

// fanOut makes one request for each node, with one argument and one deadline.
func (s *Server) fanOut(ctx context.Context, nodes []string, fn string, arg any, opts []CallOption) ([]outgoing, error) {
	if nodes == nil {
		nodes = s.link.Nodes(node.This, node.Visible)
	}
	if err := checkNodes(fn, nodes); err != nil {
		return nil, err
	}
	first, err := s.outgoing(ctx, s.self.Name, fn, opts)
	var here, remote payload
	if err == nil {
		here, err = argument(arg)
	}
	if err == nil {
		remote.ct, remote.data, err = encode(arg)
	}
	if err != nil {
		return nil, &CallError{Func: fn, Err: err}
	}
	requests := make([]outgoing, len(nodes))
	for i, name := range nodes {
		requests[i] = first
		requests[i].node, requests[i].local = name, name == s.self.Name
		requests[i].arg = remote
		if requests[i].local {
			requests[i].arg = here
		}
	}
	return requests, nil
}

func checkNodes(fn string, nodes []string) error {
	for _, name := range nodes {
		if _, _, err := node.ParseName(name); err != nil {
			return &CallError{Node: name, Func: fn, Err: fmt.Errorf("%w: %w", ErrBadArgument, err)}
		}
	}
	return nil
}

// gather makes the requests and returns the replies in their order.
func (s *Server) gather(ctx context.Context, requests []outgoing) []Reply {
	replies := make([]Reply, len(requests))
	for r := range s.each(ctx, requests) {
		replies[r.Index] = r
	}
	return replies
}

// each makes the requests and yields the replies in the order of completion.
func (s *Server) each(ctx context.Context, requests []outgoing) iter.Seq[Reply] {
	return func(yield func(Reply) bool) {
		futures := make([]*Future, len(requests))
		finished := make(chan int, len(requests))
		for i := range requests {
			futures[i] = s.start(ctx, requests[i])
			futures[i].watch(func() { finished <- i })
		}
		defer func() {
			for _, f := range futures {
				f.Abandon()
			}
		}()
		for range requests {
			// Every request has a deadline or a session, and ends with it: this wait does too.
			i := <-finished
			out := futures[i].take()
			name := requests[i].node
			r := Reply{Node: name, Index: i, Err: out.err, Result: Result{out, name, requests[i].fn}}
			if !yield(r) {
				return
			}
		}
	}
}

// Spread calls fn once for each of args, on the nodes in turn, all at once, and returns the replies in the order of the
// arguments (RPC-12). A nil list means this node and all visible ones; an empty one is ErrBadArgument unless there are
// no arguments either. There is one deadline for all.
func (s *Server) Spread(ctx context.Context, nodes []string, fn string, args []any, opts ...CallOption) ([]Reply, error) {
	requests, err := s.fanOut(ctx, nodes, fn, nil, opts)
	if err != nil {
		return nil, err
	}
	if len(requests) == 0 && len(args) > 0 {
		return nil, &CallError{Func: fn, Err: fmt.Errorf("%w: no nodes", ErrBadArgument)}
	}
	spread := make([]outgoing, len(args))
	for i, arg := range args {
		spread[i] = requests[i%len(requests)]
		if err := spread[i].setArg(arg); err != nil {
			return nil, spread[i].fail(false, err).err
		}
	}
	return s.gather(ctx, spread), nil
}

// Map is Spread for one type of arguments and results. It fails as a whole, with the error of the first argument
// whose call failed.
func Map[Req, Resp any](ctx context.Context, s *Server, nodes []string, fn string, args []Req, opts ...CallOption) ([]Resp, error) {
	list := make([]any, len(args))
	for i, a := range args {
		list[i] = a
	}
	replies, err := s.Spread(ctx, nodes, fn, list, opts...)
	if err != nil {
		return nil, err
	}
	results := make([]Resp, len(replies))
	for i := range replies {
		if err := replies[i].Decode(&results[i]); err != nil {
			return nil, err
		}
	}
	return results, nil
}
