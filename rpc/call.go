package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kith-mesh/kith/node"
)

// call is one request of this node that has not been answered. Calls that nobody else can still hold are used again.
type call struct {
	id       uint64
	node, fn string
	out      outcome
	done     chan struct{} // gets one value when out is there; has room for it
	notify   func(outcome) // instead of done, for a Future
	timer    *time.Timer
	head     []byte
	parts    [2][]byte
}

func newCall() *call {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &call{done: make(chan struct{}, 1), timer: t}
}

// finish completes a call that was taken out of the pending table. It does not wait.
func (c *call) finish(out outcome) {
	if c.notify != nil {
		c.notify(out)
		return
	}
	c.out = out
	c.done <- struct{}{}
}

func (s *Server) put(c *call) {
	c.out, c.parts, c.notify = outcome{}, [2][]byte{}, nil
	c.node, c.fn = "", ""
	s.free.Put(c)
}

// Call calls the function fn of the node with the argument arg, waits for the answer, and decodes it into what result
// points to (nil: throw it away). A nil arg is none. []byte travels as it is, json.RawMessage as JSON, Raw as it
// says, anything else as CBOR. The node's own name, or "", calls this same node: without the broker, and without
// encoding where arg and result have the types that the function uses, so that neither may be changed afterwards.
//
// It connects to the node if need be, and blocks until the answer, the deadline of ctx, or DefaultTimeout if there is
// none (see Timeout, NoTimeout). When it returns early, because of the deadline or because ctx was cancelled, the
// function's context ends, but the function may run on, and its answer is dropped.
//
// Errors: ErrNoFunction, ErrOverload (nothing ran), ErrNoConnection (also at nodedown), ErrTimeout, context.Canceled
// (in CallError.Sent: whether it may have run), ErrBadArgument (nothing was sent), ErrBadResult, ErrClosed,
// node.ErrTooLarge, all in a *CallError; *RemoteError and *RemotePanic from the function itself.
func (s *Server) Call(ctx context.Context, nodeName, fn string, arg, result any, opts ...CallOption) error {
	rq, err := s.outgoing(ctx, nodeName, fn, opts)
	if err == nil {
		err = rq.setArg(arg)
	}
	if err != nil {
		return &CallError{Node: nodeName, Func: fn, Err: err}
	}
	out := s.exchange(ctx, &rq)
	return out.into(result, rq.node, fn)
}

// outgoing is one request about to be made.
type outgoing struct {
	node, fn string
	local    bool
	cast     bool
	stream   bool
	arg      payload
	deadline instant // zero: none
	own      bool    // the deadline is not that of the context, which would tell of it by itself
	opts     callOptions
}

// outgoing checks what can be checked without asking anybody.
func (s *Server) outgoing(ctx context.Context, nodeName, fn string, opts []CallOption) (outgoing, error) {
	rq := outgoing{node: nodeName, fn: fn}
	if nodeName == "" || nodeName == s.self.Name {
		rq.node, rq.local = s.self.Name, true
	}
	if err := checkName(fn); err != nil {
		return rq, err
	}
	var err error
	if rq.opts, err = readOptions(opts); err != nil {
		return rq, err
	}
	return rq, s.setDeadline(ctx, &rq)
}

// setDeadline decides when the call must end.
func (s *Server) setDeadline(ctx context.Context, rq *outgoing) error {
	d, ok := ctx.Deadline()
	o := &rq.opts
	if !ok && o.none {
		return nil
	}
	now := s.clock.now()
	if ok {
		rq.deadline = s.clock.of(d)
		if left := time.Duration(rq.deadline - now); left > maxTimeout {
			return fmt.Errorf("%w: deadline in %s", ErrBadArgument, left.Round(time.Second))
		}
		rq.own = ctx.Done() == nil
	}
	timeout := o.timeout
	if timeout < 0 && !ok {
		timeout = s.set.timeout
	}
	if limit := now + instant(timeout); timeout >= 0 && (!ok || limit < rq.deadline) {
		rq.deadline, rq.own = limit, true
	}
	return nil
}

// setArg encodes the argument, unless it stays on this node.
func (rq *outgoing) setArg(arg any) (err error) {
	if rq.local {
		rq.arg, err = argument(arg)
		return err
	}
	rq.arg.ct, rq.arg.data, err = encode(arg)
	return err
}

func (rq *outgoing) fail(sent bool, err error) outcome {
	return outcome{err: &CallError{Node: rq.node, Func: rq.fn, Sent: sent, Err: err}}
}

// exchange makes the request, through this node's own middleware if there is any, and waits for the answer.
func (s *Server) exchange(ctx context.Context, rq *outgoing) outcome {
	if s.client != nil {
		return s.intercept(ctx, rq)
	}
	return s.roundTrip(ctx, rq)
}

// roundTrip makes the request and waits for the answer.
func (s *Server) roundTrip(ctx context.Context, rq *outgoing) outcome {
	s.count.calls.Add(1)
	switch err := ctx.Err(); {
	case rq.opts.timeout == 0, errors.Is(err, context.DeadlineExceeded):
		return s.timedOutAtOnce(rq)
	case err != nil:
		return rq.fail(false, err)
	}
	c := s.free.Get().(*call)
	c.id, c.node, c.fn = s.pending.nextID(), rq.node, rq.fn
	if !s.addPending(rq, c) {
		s.put(c)
		return rq.fail(false, ErrClosed)
	}
	var sv *serving
	var err error
	ours := false // whether c has left the table, and nobody else can finish it
	if rq.local {
		sv, err = s.startLocal(rq, c.id)
	} else {
		ours, err = s.sendRequest(ctx, rq, c)
	}
	if err == nil {
		if err = s.wait(ctx, rq, c); err == nil {
			return s.collect(rq, c, sv)
		}
	}
	if !ours {
		_, ours = s.pending.take(c.id, c.node)
	}
	if !ours {
		<-c.done // whoever took it is about to say so
		return s.collect(rq, c, sv)
	}
	s.abandon(rq, c.id, sv, err)
	s.put(c)
	return outcome{err: err}
}

// collect returns the result of a call that is done, and keeps the call for the next.
func (s *Server) collect(rq *outgoing, c *call, sv *serving) outcome {
	out, id := c.out, c.id
	s.put(c)
	if out.err == errExpired { //nolint:errorlint // the sweeper's own sentinel
		out.err = rq.fail(true, s.waitError(ErrTimeout)).err
		s.abandon(rq, id, sv, out.err)
	}
	return out
}

// wait waits until c is done. An error is a *CallError, and c is not done.
func (s *Server) wait(ctx context.Context, rq *outgoing, c *call) error {
	gone := ctx.Done()
	var expired <-chan time.Time
	if rq.own && !rq.swept() {
		c.timer.Reset(s.clock.until(rq.deadline))
		defer c.timer.Stop()
		expired = c.timer.C
	} else if gone == nil {
		<-c.done // a session, a sweep or the end of the server will see to it
		return nil
	}
	var err error
	select {
	case <-c.done:
		return nil
	case <-gone:
		err = ctx.Err()
	case <-expired:
		err = ErrTimeout
	}
	return rq.fail(true, s.waitError(err)).err
}

// waitError turns the end of a wait into what the caller is told.
func (s *Server) waitError(err error) error {
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	s.count.timeouts.Add(1)
	return ErrTimeout
}

// abandon tells the one who runs the function that nobody waits any more.
func (s *Server) abandon(rq *outgoing, id uint64, sv *serving, err error) {
	var ce *CallError
	if errors.As(err, &ce) && !ce.Sent {
		return
	}
	if rq.local {
		if sv != nil && sv.req.Key == "" {
			sv.callContext.cancel(context.Canceled)
		}
		return
	}
	f := frame{kind: frameCancel, id: id}
	// Without a session there is nothing left to cancel.
	_ = s.link.Post(node.ID{Name: rq.node}, node.ProtocolCalls, f.appendHead(nil))
}

// timedOutAtOnce is a call that has no time at all: it is sent, and nobody waits (ERPC-10).
func (s *Server) timedOutAtOnce(rq *outgoing) outcome {
	s.count.timeouts.Add(1)
	if err := s.send(s.ctx, rq, false); err != nil {
		return outcome{err: err}
	}
	return rq.fail(true, ErrTimeout)
}

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
	if err = s.sendNow(ctx, c); err != nil {
		return s.sendAgain(ctx, rq, c, err)
	}
	return false, nil
}

// sendNow sends the request of c if it can leave at once. A large one travels in parts, and may have to wait between
// them, within a context that has a deadline.
func (s *Server) sendNow(ctx context.Context, c *call) error {
	if len(c.parts[1]) > large {
		return node.ErrWouldBlock
	}
	return s.link.Send(ctx, node.ID{Name: c.node}, node.ProtocolCalls, node.NoWait|node.NoConnect, c.parts[:]...)
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

// sendAgain sends the request of c, which could not leave at once because of err: it waits for the node's window, or
// connects first.
func (s *Server) sendAgain(ctx context.Context, rq *outgoing, c *call, err error) (ours bool, _ error) {
	if mayWait(err) {
		ctx, cancel := s.within(ctx, rq.deadline)
		defer cancel()
		if errors.Is(err, node.ErrNotConnected) {
			ours, err = s.connectFor(ctx, rq, c)
		} else {
			err = nil
		}
		if err == nil {
			err = s.link.Send(ctx, node.ID{Name: rq.node}, node.ProtocolCalls, node.NoConnect, c.parts[:]...)
		}
	}
	if err == nil {
		return false, nil
	}
	if s.ctx.Err() != nil {
		err = ErrClosed
	}
	return ours, &CallError{Node: rq.node, Func: rq.fn, Err: s.waitError(transportError(err))}
}

// connectFor connects to the node. Meanwhile c is not in the table: the end of an earlier session may still be on its
// way to PeerDown, and is none of its business.
func (s *Server) connectFor(ctx context.Context, rq *outgoing, c *call) (ours bool, _ error) {
	if _, ours = s.pending.take(c.id, c.node); !ours {
		return false, node.ErrNotConnected
	}
	hello := frame{kind: frameHello, version: protocolVersion}
	if err := s.link.Send(ctx, node.ID{Name: rq.node}, node.ProtocolCalls, 0, hello.appendHead(nil)); err != nil {
		return true, err
	}
	if !s.addPending(rq, c) {
		return true, ErrClosed
	}
	return false, nil
}

// large is the size in bytes from which a request is not tried at once. It is under that from which node sends in parts.
const large = 64 << 10

// within returns ctx, bounded by the deadline and by the life of the server.
func (s *Server) within(ctx context.Context, deadline instant) (context.Context, context.CancelFunc) {
	var cancel context.CancelFunc
	if deadline == 0 {
		ctx, cancel = context.WithCancel(ctx)
	} else {
		ctx, cancel = context.WithDeadline(ctx, s.clock.time(deadline))
	}
	unhook := context.AfterFunc(s.ctx, cancel)
	return ctx, func() { unhook(); cancel() }
}
