package rpc

import (
	"context"
	"errors"

	"github.com/kith-mesh/kith/node"
)

// frame describes the request.
func (s *Server) frame(rq *outgoing, id uint64) frame {
	f := frame{
		kind: frameRequest, id: id, content: rq.arg.ct, payload: rq.arg.data, budget: -1,
		name: rq.fn, key: rq.opts.key, header: rq.opts.header, stream: rq.stream,
	}
	if rq.stream {
		f.credit = uint64(rq.opts.credit)
	}
	if rq.deadline != 0 {
		f.budget = max(0, s.clock.until(rq.deadline))
	}
	return f
}

// sendRequest sends the request of c. An error is a *CallError; ours says that c has left the table for good.
func (s *Server) sendRequest(ctx context.Context, rq *outgoing, c *call) (ours bool, err error) {
	s.fillFrame(rq, c)
	if err = s.sendNow(ctx, c); err == nil {
		return false, nil
	}
	if !s.reclaim(c) {
		return false, err
	}
	return s.sendAgain(ctx, rq, c, err)
}

// sendNow sends the request of c if it can leave at once.
func (s *Server) sendNow(ctx context.Context, c *call) error {
	return s.tryNow(ctx, c.node, c.parts[:]...)
}

// tryNow sends a frame to the node if it can leave at once. A large one travels in parts, and may have to wait between
// them, within a context that has a deadline.
func (s *Server) tryNow(ctx context.Context, nodeName string, parts ...[]byte) error {
	if !s.peers.has(nodeName) {
		return node.ErrNotConnected
	}
	if len(parts[1]) > large {
		return node.ErrWouldBlock
	}
	return s.link.Send(ctx, node.ID{Name: nodeName}, node.ProtocolCalls, node.NoWait|node.NoConnect, parts...)
}

// reclaim takes c, whose request did not leave, out of the table. It reports false if c was finished meanwhile, other
// than by the end of a session: that was one before, and none of the business of a call that is still to be sent.
func (s *Server) reclaim(c *call) bool {
	if _, ok := s.pending.take(c.id, c.node); ok {
		return true
	}
	<-c.done // whoever took it is about to say so
	if errors.Is(c.out.err, ErrNoConnection) {
		c.out = outcome{}
		return true
	}
	c.done <- struct{}{}
	return false
}

func (s *Server) fillFrame(rq *outgoing, c *call) {
	f := s.frame(rq, c.id)
	c.head = f.appendHead(c.head[:0])
	c.parts = [2][]byte{c.head, f.payload}
}

// mayWait says whether a request that could not leave at once may leave later.
func mayWait(err error) bool {
	return errors.Is(err, node.ErrNotConnected) || errors.Is(err, node.ErrWouldBlock)
}

// sendAgain sends the request of c, which could not leave at once because of err: it connects first if need be, then
// waits for the node's window. While it does not wait for an answer, c is not in the table.
func (s *Server) sendAgain(ctx context.Context, rq *outgoing, c *call, err error) (ours bool, _ error) {
	if !mayWait(err) {
		return true, s.sendError(rq, err)
	}
	ctx, cancel := s.within(ctx, rq.deadline)
	defer cancel()
	to := node.ID{Name: rq.node}
	if errors.Is(err, node.ErrNotConnected) {
		hello := frame{kind: frameHello, version: protocolVersion}
		if err := s.link.Send(ctx, to, node.ProtocolCalls, 0, hello.appendHead(nil)); err != nil {
			return true, s.sendError(rq, err)
		}
	}
	if !s.addPending(rq, c) {
		return true, s.sendError(rq, ErrClosed)
	}
	if err := s.link.Send(ctx, to, node.ProtocolCalls, node.NoConnect, c.parts[:]...); err != nil {
		return false, s.sendError(rq, err)
	}
	return false, nil
}

// sendError is what the caller is told of a request that did not leave.
func (s *Server) sendError(rq *outgoing, err error) error {
	if s.ctx.Err() != nil {
		err = ErrClosed
	}
	return rq.fail(false, s.waitError(transportError(err))).err
}

// large is the size in bytes from which a request is not tried at once. It is under that from which node sends in parts.
const large = 64 << 10
