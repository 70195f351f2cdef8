package rpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/kith-mesh/kith/node"
)

// maxBackground bounds how many casts wait, each on a goroutine, for a connection.
const maxBackground = 1024

// Cast asks the node to run fn, and does not wait for it. It returns nil at once also for a node that does not exist
// or is not connected, and for a function that is not there (ERPC-21): a connection is made in the background, and
// what cannot be delivered counts in Stats.LostCasts. Only a full window of the node makes it wait, within ctx or
// DefaultTimeout, and then fail with ErrTimeout. Two casts to one node have no order (ERPC-24).
//
// Errors: ErrBadArgument, ErrClosed, ErrTimeout, node.ErrTooLarge, and ErrOverload when 1,024 casts of this node
// already wait for connections.
func (s *Server) Cast(ctx context.Context, nodeName, fn string, arg any, opts ...CallOption) error {
	rq, err := s.outgoing(ctx, nodeName, fn, opts)
	if err == nil {
		err = rq.setArg(arg)
	}
	if err != nil {
		return &CallError{Node: nodeName, Func: fn, Err: err}
	}
	rq.cast = true
	return s.castOne(ctx, &rq)
}

// Multicast casts to each entry of nodes, as often as it is there; nil means this node and all visible ones. Unknown
// nodes are skipped silently, and no node delays another (ERPC-23). An entry that is no node name fails the whole with
// ErrBadArgument, before anything is sent.
func (s *Server) Multicast(ctx context.Context, nodes []string, fn string, arg any, opts ...CallOption) error {
	requests, err := s.fanOut(ctx, nodes, fn, arg, opts)
	if err != nil {
		return err
	}
	var failed error
	for i := range requests {
		requests[i].cast, requests[i].hurried = true, true
		if err := s.castOne(ctx, &requests[i]); err != nil && failed == nil {
			failed = err
		}
	}
	return failed
}

func (s *Server) castOne(ctx context.Context, rq *outgoing) error {
	if err := ctx.Err(); err != nil {
		return rq.fail(false, transportError(err)).err
	}
	if s.client != nil {
		return s.intercept(ctx, rq).err
	}
	return s.send(ctx, rq, !rq.hurried)
}

// send sends a request that nobody waits for. Unless wait is set, a full window does not hold it up either.
func (s *Server) send(ctx context.Context, rq *outgoing, wait bool) error {
	s.count.casts.Add(1)
	if s.ctx.Err() != nil {
		return rq.fail(false, ErrClosed).err
	}
	limit := rq.deadline
	if rq.cast {
		rq.deadline = 0 // it bounds our wait for the window; the function's time is its own
	}
	if rq.local {
		if _, err := s.startLocal(rq, 0); err != nil {
			s.count.failedCasts.Add(1)
		}
		return nil
	}
	f := s.frame(rq, 0)
	f.cast = true
	to := node.ID{Name: rq.node}
	err := s.tryNow(ctx, rq.node, f.appendHead(nil), f.payload)
	if errors.Is(err, node.ErrWouldBlock) && wait {
		ctx, cancel := s.within(ctx, limit)
		defer cancel()
		err = s.link.Send(ctx, to, node.ProtocolCalls, node.NoConnect, f.appendHead(nil), f.payload)
	}
	if mayWait(err) {
		err = s.sendInBackground(to, f)
	}
	if err != nil {
		s.count.lostCasts.Add(1)
		return rq.fail(false, transportError(err)).err
	}
	return nil
}

// sendInBackground connects to the node and sends f, on a goroutine of its own and within the default timeout.
func (s *Server) sendInBackground(to node.ID, f frame) error {
	if s.background.Add(1) > maxBackground {
		s.background.Add(-1)
		return fmt.Errorf("%w: %d casts wait for connections", ErrOverload, maxBackground)
	}
	data := append(f.appendHead(nil), f.payload...)
	go func() {
		defer s.background.Add(-1)
		ctx, cancel := context.WithTimeout(s.ctx, s.set.timeout)
		defer cancel()
		if err := s.link.Send(ctx, to, node.ProtocolCalls, 0, data); err != nil {
			s.count.lostCasts.Add(1)
			s.log.Debug().Err(err).Str("peer", to.Name).Msg("cast not delivered")
		}
	}()
	return nil
}
