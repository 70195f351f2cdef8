package rpc

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/kith-mesh/kith/node"
)

// Result is a value that an answer brought, not yet decoded.
type Result struct {
	out      outcome
	node, fn string
}

// Decode decodes the value into what v points to, like the result of Call. An error is ErrBadResult.
func (r Result) Decode(v any) error { return r.out.into(v, r.node, r.fn) }

// Raw returns the encoded value, which must not be changed.
func (r Result) Raw() (Raw, error) { return r.out.raw() }

// Stream calls a function that returns Items, and yields them one by one. Each range over it is a call of its own,
// which starts when the range does. The function runs ahead of the loop by at most DefaultCredit items (see Credit) and
// then waits. Leaving the loop ends the function's context.
//
// A stream lasts for as long as ctx and the session with the node do; DefaultTimeout (or Timeout) bounds only the wait
// until the node has taken the call, and the deadline of ctx travels as the function's own. An error is the last thing
// that is yielded: what Call would return, or what the function yielded. A function that returns a single value yields
// that.
func (s *Server) Stream(ctx context.Context, nodeName, fn string, arg any, opts ...CallOption) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		rq, err := s.outgoing(ctx, nodeName, fn, opts)
		if err == nil {
			rq.stream, rq.opts.key = true, ""
			err = rq.setArg(arg)
		}
		if err != nil {
			yield(Result{}, &CallError{Node: nodeName, Func: fn, Err: err})
			return
		}
		items := s.items
		if s.client != nil {
			items = s.interceptItems
		}
		for v, err := range items(ctx, &rq) {
			out := interceptOutcome(v, err)
			if !yield(Result{out, rq.node, rq.fn}, err) || err != nil {
				return
			}
		}
	}
}

// interceptItems makes the request through the middleware of this node's own calls.
func (s *Server) interceptItems(ctx context.Context, rq *outgoing) Items {
	return func(yield func(any, error) bool) {
		v, err := s.client.Handle(ctx, rq.request(s))
		items, ok := v.(Items)
		if err != nil || !ok {
			yield(v, err)
			return
		}
		items(yield)
	}
}

// items makes the request of a stream and yields what comes.
func (s *Server) items(ctx context.Context, rq *outgoing) Items {
	return func(yield func(any, error) bool) {
		s.count.streams.Add(1)
		limit := rq.deadline
		rq.deadline = 0 // what travels is the deadline of the whole
		if d, ok := ctx.Deadline(); ok {
			rq.deadline = s.clock.of(d)
		}
		st, err := s.openStream(ctx, rq, limit)
		if err != nil {
			yield(nil, err)
			return
		}
		s.drain(ctx, rq, st, yield)
		if _, ok := s.streams.take(st.id, rq.node); ok { // the loop was left before the end
			s.abandon(rq, st.id, st.serving(), nil)
		}
	}
}

// openStream connects to the node if need be, within limit, and sends the request.
func (s *Server) openStream(ctx context.Context, rq *outgoing, limit instant) (*clientStream, error) {
	st := newClientStream(rq, s.pending.nextID())
	if rq.local {
		if !s.streams.add(st.id, rq.node, 0, st) {
			return nil, rq.fail(false, ErrClosed).err
		}
		sv, err := s.startLocal(rq, st.id)
		if err != nil {
			s.streams.take(st.id, rq.node)
			return nil, err
		}
		st.setServing(sv)
		return st, nil
	}
	ctx, cancel := s.within(ctx, limit)
	defer cancel()
	to := node.ID{Name: rq.node}
	err := node.ErrNotConnected
	if s.peers.has(rq.node) {
		err = s.requestStream(ctx, rq, to, st)
	}
	if errors.Is(err, node.ErrNotConnected) {
		// The end of the session before, which is perhaps just being told, is none of the business of a stream that is still
		// to be requested: it is not in the table while there is no session.
		hello := frame{kind: frameHello, version: protocolVersion}
		st = newClientStream(rq, s.pending.nextID())
		if err = s.link.Send(ctx, to, node.ProtocolCalls, 0, hello.appendHead(nil)); err == nil {
			err = s.requestStream(ctx, rq, to, st)
		}
	}
	if err != nil {
		return nil, s.sendError(rq, err)
	}
	st.openBy = limit
	return st, nil
}

// requestStream puts the stream in the table and sends its request over the session that there is.
func (s *Server) requestStream(ctx context.Context, rq *outgoing, to node.ID, st *clientStream) error {
	if !s.streams.add(st.id, rq.node, 0, st) {
		return ErrClosed
	}
	f := s.frame(rq, st.id)
	err := s.link.Send(ctx, to, node.ProtocolCalls, node.NoConnect, f.appendHead(nil), f.payload)
	if err != nil {
		s.streams.take(st.id, rq.node)
	}
	return err
}

// drain yields the items of st until it ends, and returns credit for what has been taken.
func (s *Server) drain(ctx context.Context, rq *outgoing, st *clientStream, yield func(any, error) bool) {
	var timer *time.Timer
	var expired <-chan time.Time
	if st.openBy != 0 {
		timer = time.NewTimer(s.clock.until(st.openBy))
		defer timer.Stop()
		expired = timer.C
	}
	taken, batch := 0, max(1, rq.opts.credit/2)
	for {
		out, more, opened := st.next()
		if opened {
			expired = nil
		}
		switch {
		case more:
			if err := ctx.Err(); err != nil { // however much waits
				yield(nil, rq.fail(true, s.waitError(err)).err)
				return
			}
			if !yield(out.asValue(), nil) {
				return
			}
			if taken++; taken == batch {
				s.grant(rq, st, taken)
				taken = 0
			}
			continue
		case out.err == errStreamEnd:
			return
		case out.err != nil:
			yield(nil, s.inTime(rq, out.err))
			return
		}
		var err error
		select {
		case <-st.wake:
			continue
		case <-ctx.Done():
			err = ctx.Err()
		case <-expired:
			err = ErrTimeout
		}
		yield(nil, rq.fail(true, s.waitError(err)).err)
		return
	}
}

// grant lets the function send n more items.
func (s *Server) grant(rq *outgoing, st *clientStream, n int) {
	if rq.local {
		if sv := st.serving(); sv != nil {
			sv.gate.add(uint64(n))
		}
		return
	}
	f := frame{kind: frameCredit, id: st.id, credit: uint64(n)}
	// Without a session the stream is about to end.
	_ = s.link.Post(node.ID{Name: rq.node}, node.ProtocolCalls, f.appendHead(nil))
}

// streamed takes a frame of a stream that this node reads.
func (s *Server) streamed(p node.Peer, f *frame) {
	st, ok := s.streams.peek(f.id, p.Name)
	if !ok {
		s.count.late.Add(1)
		return
	}
	switch f.kind {
	case frameOpened:
		st.open()
	case frameItem:
		if !st.push(outcome{payload: payload{ct: f.content, data: f.payload}}) {
			s.count.bad.Add(1)
		}
	case frameEnd:
		if _, ok := s.streams.take(f.id, p.Name); ok {
			st.end(nil)
		}
	}
}

// clientStream is one stream that this node reads: what has come and was not yielded. It holds no more than the
// credit that was given.
type clientStream struct {
	id       uint64
	node, fn string
	limit    int
	openBy   instant       // zero: whenever
	wake     chan struct{} // has room for one; gets a value when there is news

	mu     sync.Mutex // guards the fields below
	queue  []outcome
	opened bool
	ended  bool
	err    error
	sv     *serving // of a stream of this same node
}

func newClientStream(rq *outgoing, id uint64) *clientStream {
	return &clientStream{id: id, node: rq.node, fn: rq.fn, limit: rq.opts.credit, wake: make(chan struct{}, 1)}
}

// errStreamEnd is what next returns at the regular end.
var errStreamEnd = Errorf("end", "end of the stream")

// next returns the next item if there is one. Otherwise out.err says why the stream ended, or is nil while it has not.
func (st *clientStream) next() (out outcome, more, opened bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case len(st.queue) > 0:
		out = st.queue[0]
		st.queue[0] = outcome{}
		st.queue = st.queue[1:]
		return out, true, st.opened
	case st.ended && st.err == nil:
		return outcome{err: errStreamEnd}, false, true
	}
	return outcome{err: st.err}, false, st.opened
}

func (st *clientStream) open() {
	st.mu.Lock()
	st.opened = true
	st.mu.Unlock()
	st.signal()
}

// push queues an item. It reports false for one that exceeds the credit, which ends the stream.
func (st *clientStream) push(out outcome) bool {
	st.mu.Lock()
	st.opened = true
	ok := len(st.queue) < st.limit
	if ok && !st.ended {
		st.queue = append(st.queue, out)
	}
	st.mu.Unlock()
	if !ok {
		st.end(&CallError{Node: st.node, Func: st.fn, Sent: true, Err: errBadFrame})
		return false
	}
	st.signal()
	return true
}

// end ends the stream behind what is queued; a nil err is the regular end. The first end counts.
func (st *clientStream) end(err error) {
	st.mu.Lock()
	if !st.ended {
		st.ended, st.err = true, err
	}
	st.mu.Unlock()
	st.signal()
}

func (st *clientStream) signal() {
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

func (st *clientStream) setServing(sv *serving) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.sv = sv
}

func (st *clientStream) serving() *serving {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.sv
}
