package rpc

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/kith-mesh/kith/node"
)

// call is one request of this node that has not been answered. Calls that nobody else can still hold are used again.
type call struct {
	id       uint64
	node, fn string
	out      outcome
	done     chan struct{}                 // gets one value when out is there; has room for it
	notify   atomic.Pointer[func(outcome)] // of a Future, once the request has left
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
	c.out = out
	c.done <- struct{}{}
	c.hand()
}

// handTo has f called with the outcome, now or when it is there, rather than have somebody wait for done.
func (c *call) handTo(f func(outcome)) {
	c.notify.Store(&f)
	c.hand()
}

// hand passes the outcome on. It is called behind each of its two conditions, and one of the calls finds both.
func (c *call) hand() {
	f := c.notify.Load()
	if f == nil {
		return
	}
	select {
	case <-c.done:
		(*f)(c.out)
	default:
	}
}

func (s *Server) put(c *call) {
	c.out, c.parts = outcome{}, [2][]byte{}
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
	hurried  bool // of a cast: nobody waits for a full window
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
	if out.err == errExpired { //nolint:errorlint // the sweep's own sentinel
		out.err = rq.fail(true, s.waitError(ErrTimeout)).err
		s.abandon(rq, id, sv, out.err)
	}
	out.err = s.inTime(rq, out.err)
	return out
}

// inTime replaces an error of the function that came behind the deadline: the function's context ends with it too, and
// what it then says must not be mistaken for an answer that came in time.
func (s *Server) inTime(rq *outgoing, err error) error {
	if err == nil || rq.deadline == 0 {
		return err
	}
	switch err.(type) { //nolint:errorlint // as it came from the wire
	case *RemoteError, *RemotePanic:
		if s.clock.now() >= rq.deadline {
			return rq.fail(true, s.waitError(ErrTimeout)).err
		}
	}
	return err
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
	s.cancelThere(rq.node, id)
}

// cancelThere tells a node that nobody waits for a call any more. Without a session there is nothing left to cancel.
func (s *Server) cancelThere(name string, id uint64) {
	if name == s.self.Name {
		return
	}
	f := frame{kind: frameCancel, id: id}
	_ = s.link.Post(node.ID{Name: name}, node.ProtocolCalls, f.appendHead(nil))
}

// timedOutAtOnce is a call that has no time at all: it is sent, and nobody waits (ERPC-10).
func (s *Server) timedOutAtOnce(rq *outgoing) outcome {
	s.count.timeouts.Add(1)
	if err := s.send(s.ctx, rq, false); err != nil {
		return outcome{err: err}
	}
	return rq.fail(true, ErrTimeout)
}

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
