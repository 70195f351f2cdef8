package rpc

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Future is a request whose answer is taken later. Any goroutine may use it, and several at once; the answer can be
// taken once (ERPC-30). A Future that is never taken costs nothing beyond its own deadline.
type Future struct {
	s    *Server
	rq   outgoing
	ctx  context.Context
	call *call
	done chan struct{}

	mu       sync.Mutex // guards the fields below
	out      outcome
	finished bool
	taken    bool
	watchers []func()
	sv       *serving
	timer    *time.Timer
	unhook   func() bool
}

// Go makes a request like Call and does not wait: neither for the answer, nor for a connection or the node's window.
// The request's life is that of a call: it ends with an error at the deadline of ctx, or after DefaultTimeout (see
// Timeout, NoTimeout), when ctx is cancelled, and when the node is lost. That error surfaces when the answer is taken
// (ERPC-25); Go itself fails with ErrBadArgument only. arg must not be changed while the request lives.
func (s *Server) Go(ctx context.Context, nodeName, fn string, arg any, opts ...CallOption) (*Future, error) {
	rq, err := s.outgoing(ctx, nodeName, fn, opts)
	if err == nil {
		err = rq.setArg(arg)
	}
	if err != nil {
		return nil, &CallError{Node: nodeName, Func: fn, Err: err}
	}
	return s.start(ctx, rq), nil
}

// start makes the request.
func (s *Server) start(ctx context.Context, rq outgoing) *Future {
	f := &Future{s: s, rq: rq, ctx: ctx, done: make(chan struct{})}
	if s.client != nil || ctx.Err() != nil || rq.opts.timeout == 0 {
		ctx, cancel := context.WithCancel(ctx)
		f.unhook = func() bool { cancel(); return true }
		go func() { f.finish(s.exchange(ctx, &f.rq)) }()
		return f
	}
	s.count.calls.Add(1)
	f.call = &call{id: s.pending.nextID(), node: rq.node, fn: rq.fn, done: make(chan struct{}, 1)}
	if !s.pending.add(f.call.id, rq.node, 0, f.call) {
		f.finish(rq.fail(false, ErrClosed))
		return f
	}
	f.send()
	f.arm()
	return f
}

func (f *Future) send() {
	s, c := f.s, f.call
	if f.rq.local {
		sv, err := s.startLocal(&f.rq, c.id)
		f.mu.Lock()
		f.sv = sv
		f.mu.Unlock()
		if err != nil {
			f.giveUp(err)
			return
		}
		c.handTo(f.finish)
		return
	}
	s.fillFrame(&f.rq, c)
	err := s.sendNow(f.ctx, c)
	if err == nil || !s.reclaim(c) {
		c.handTo(f.finish)
		return
	}
	go f.sendLater(err)
}

// sendLater waits for a connection or for the window.
func (f *Future) sendLater(err error) {
	ours, err := f.s.sendAgain(f.ctx, &f.rq, f.call, err)
	if ours {
		f.finish(outcome{err: err})
		return
	}
	f.call.handTo(f.finish)
	switch {
	case err != nil:
		f.giveUp(err)
	// What follows may have happened while the call was out of the table, where nobody could end it.
	case f.abandoned():
		f.giveUp(f.rq.fail(true, context.Canceled).err)
	case f.ctx.Err() != nil:
		f.expire(f.ctx.Err())
	case f.rq.deadline != 0 && f.s.clock.now() >= f.rq.deadline:
		f.expire(ErrTimeout)
	}
}

// arm sets what ends the request early.
func (f *Future) arm() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.finished {
		return
	}
	if f.rq.deadline != 0 {
		f.timer = time.AfterFunc(f.s.clock.until(f.rq.deadline), func() { f.expire(ErrTimeout) })
	}
	if f.ctx.Done() != nil {
		f.unhook = context.AfterFunc(f.ctx, func() { f.expire(f.ctx.Err()) })
	}
}

func (f *Future) expire(err error) {
	f.giveUp(f.rq.fail(true, f.s.waitError(err)).err)
}

// giveUp ends the request with err, unless somebody else is about to finish it.
func (f *Future) giveUp(err error) {
	if _, ok := f.s.pending.take(f.call.id, f.rq.node); !ok {
		return
	}
	f.mu.Lock()
	sv := f.sv
	f.mu.Unlock()
	f.s.abandon(&f.rq, f.call.id, sv, err)
	f.finish(outcome{err: err})
}

// finish stores the outcome and wakes who waits. The first one counts.
func (f *Future) finish(out outcome) {
	if out.err == errExpired { //nolint:errorlint // the sweep's own sentinel: the request waited for the window
		out.err = f.rq.fail(true, f.s.waitError(ErrTimeout)).err
		f.s.abandon(&f.rq, f.call.id, nil, out.err)
	}
	out.err = f.s.inTime(&f.rq, out.err)
	f.mu.Lock()
	if f.finished {
		f.mu.Unlock()
		return
	}
	f.finished, f.out = true, out
	watchers, timer, unhook := f.watchers, f.timer, f.unhook
	f.watchers = nil
	close(f.done)
	f.mu.Unlock()
	if timer != nil {
		timer.Stop()
	}
	if unhook != nil {
		unhook()
	}
	for _, w := range watchers {
		w()
	}
}

// watch calls w once the request has ended: at once if it has. w must not block.
func (f *Future) watch(w func()) {
	f.mu.Lock()
	if !f.finished {
		f.watchers = append(f.watchers, w)
		f.mu.Unlock()
		return
	}
	f.mu.Unlock()
	w()
}

// take returns the outcome to the first who asks.
func (f *Future) take() outcome {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.taken {
		return f.rq.fail(true, ErrTaken)
	}
	f.taken = true
	out := f.out
	f.out = outcome{}
	return out
}

// Done returns a channel that is closed when the answer, or the error, is there.
func (f *Future) Done() <-chan struct{} { return f.done }

// Wait waits for the answer and takes it, as Call would return it. When ctx ends first, it returns ErrNoResponse, and
// the request lives on: Wait can be repeated (ERPC-28).
func (f *Future) Wait(ctx context.Context, result any) error {
	if err := f.await(ctx); err != nil {
		return err
	}
	out := f.take()
	return out.into(result, f.rq.node, f.rq.fn)
}

// Receive waits for the answer and takes it, as Call would return it. When ctx ends first, it returns ErrTimeout or
// context.Canceled and abandons the request: its answer will be dropped, and later calls return ErrTaken (ERPC-27).
func (f *Future) Receive(ctx context.Context, result any) error {
	if f.await(ctx) != nil && f.abandon() {
		return f.rq.fail(true, transportError(ctx.Err())).err
	}
	out := f.take()
	return out.into(result, f.rq.node, f.rq.fn)
}

// Check takes the answer if it is there, and never blocks. ok is false while it is not.
func (f *Future) Check(result any) (ok bool, err error) {
	select {
	case <-f.done:
		out := f.take()
		return true, out.into(result, f.rq.node, f.rq.fn)
	default:
		return false, nil
	}
}

// Abandon gives the request up: the function's context ends, and its answer is dropped. It does nothing to a request
// that has ended.
func (f *Future) Abandon() { f.abandon() }

// abandon reports whether the answer will never be taken because of it.
func (f *Future) abandon() bool {
	f.mu.Lock()
	if f.taken || f.finished {
		f.mu.Unlock()
		return false
	}
	f.taken = true
	unhook := f.unhook
	f.mu.Unlock()
	if f.call == nil {
		unhook() // cancels the exchange, which will finish
		return true
	}
	f.giveUp(f.rq.fail(true, context.Canceled).err)
	return true
}

func (f *Future) abandoned() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.taken && !f.finished
}

// await waits until the request has ended or was given up.
func (f *Future) await(ctx context.Context) error {
	select {
	case <-f.done:
		return nil
	default:
	}
	f.mu.Lock()
	taken := f.taken
	f.mu.Unlock()
	if taken {
		return nil // take will say so
	}
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return f.rq.fail(true, fmt.Errorf("%w: %w", ErrNoResponse, ctx.Err())).err
	}
}
