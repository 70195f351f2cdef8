package rpc

import (
	"context"
	"errors"
	"time"

	"github.com/kith-mesh/kith/node"
)

// serving is one request that this node answers. It is also the context of its handler.
type serving struct {
	callContext
	s    *Server
	fn   *function // nil: there is none of that name
	req  Request
	id   uint64
	conn uint64      // the session that it came over; 0 on this node
	gate *creditGate // of a stream

	local    bool // this node asks
	cast     bool
	returned bool // the handler has returned, rather than panicked
	unbound  bool // no longer counts against the limit of its function
	executed bool // ran under an idempotency key, for all that wait for it

	replay *outcome // the answer of an earlier call
	result outcome
}

// serve takes a request from a peer. It runs on the dispatcher.
func (s *Server) serve(p node.Peer, f *frame) {
	fn := s.functions.lookup(f.fn)
	err := errServerClosed
	switch {
	case s.draining.Load():
	case s.guarded && s.link.Permit(p.Name, node.ActionCall, string(f.fn)) != nil:
		s.count.refused.Add(1)
		err = ErrRefused
	default:
		err = s.admit(fn)
	}
	if err != nil {
		if f.cast {
			s.count.failedCasts.Add(1)
		} else {
			s.refuse(p, f.id, err)
		}
		return
	}
	sv := &serving{s: s, fn: fn, id: f.id, conn: p.Conn, cast: f.cast}
	sv.parent, sv.clock = s.ctx, &s.clock
	sv.req = Request{
		Node: s.self.Name, From: p.ID, Header: f.header, Key: f.key, Streaming: f.stream,
		arg: payload{ct: f.content, data: f.payload},
	}
	if fn != nil {
		sv.req.Func = fn.name
	} else {
		sv.req.Func = string(f.fn)
	}
	if f.budget >= 0 && sv.req.Key == "" {
		sv.deadline = s.clock.at(f.budget)
	}
	if f.stream {
		sv.gate = newCreditGate(f.credit)
	}
	if !f.cast {
		s.serving.add(servingKey{p.Conn, f.id}, sv)
	}
	s.workers.run(sv)
}

// admit counts one more running call, of fn unless it is nil, or says why not. What it admits must be released.
func (s *Server) admit(fn *function) error {
	if s.running.Add(1) > int64(s.set.limit) || s.answering.Load() >= int64(s.set.limit) {
		s.release(nil)
		s.count.overloads.Add(1)
		return ErrOverload
	}
	if fn != nil && fn.limit > 0 && fn.running.Add(1) > fn.limit {
		s.release(fn)
		s.count.overloads.Add(1)
		return ErrOverload
	}
	return nil
}

func (s *Server) release(fn *function) {
	if fn != nil && fn.limit > 0 {
		fn.running.Add(-1)
	}
	if s.running.Add(-1) == 0 {
		s.noteDrained()
	}
}

// run runs the handler and answers. It is called on a worker.
func (sv *serving) run() {
	if sv.req.Key != "" && sv.fn != nil && sv.replay == nil && !sv.beginOnce() {
		return // sv waits for the first call of its key, and is no longer ours
	}
	defer sv.end()
	switch {
	case sv.replay != nil: // begin found the answer, or finish brought it
		sv.result = *sv.replay
	case sv.fn == nil:
		sv.s.count.noFunction.Add(1)
		sv.result.err = ErrNoFunction
	default:
		sv.s.count.served.Add(1)
		v, err := sv.fn.handler.Handle(&sv.callContext, &sv.req)
		sv.take(v, err)
		if sv.result.err != nil {
			describe(sv.result.err) // an error whose own methods panic is a panic of the function, here where one is caught
		}
	}
	sv.returned = true
}

// take makes the result of what the handler returned.
func (sv *serving) take(v any, err error) {
	if err != nil {
		sv.result.err = err
		return
	}
	items, isStream := v.(Items)
	switch {
	case sv.req.Streaming && isStream:
		sv.result.err = sv.stream(items)
	case sv.req.Streaming:
		sv.result.err = sv.stream(func(yield func(any, error) bool) { yield(v, nil) })
	case isStream:
		sv.result.err = Errorf(KindStream, "the function returns a stream")
	case sv.local && sv.req.arg.direct && !sv.executed:
		sv.result.payload = payload{value: v, direct: true}
	default:
		sv.result = sv.encode(v)
	}
}

// encode encodes a result for the wire, in the way in which the argument came.
func (sv *serving) encode(v any) outcome {
	ct, data, err := encodeFor(sv.req.arg.ct, v)
	if err != nil {
		return outcome{err: Errorf(KindBadResult, "the function's result cannot be encoded: %w", err)}
	}
	return outcome{payload: payload{ct: ct, data: data}}
}

// end is deferred by run: it also sees a panic, and a goroutine that is being ended.
func (sv *serving) end() {
	if !sv.returned {
		sv.s.count.panics.Add(1)
		if p := recover(); p != nil {
			e := newPanicError(p)
			sv.result = outcome{err: e}
			sv.s.log.Error().Str("func", sv.req.Func).Str("caller", sv.req.From.Name).Str("panic", e.value).
				Str("stack", e.stack).Msg("a function panicked")
		} else {
			sv.result = outcome{err: errExit}
		}
	}
	if sv.result.err != nil && sv.s.ctx.Err() != nil {
		sv.result.err = errServerEnded // what a function says whose context we ended is not an answer of its own
	}
	if sv.executed {
		sv.finishOnce()
	}
	// Released before the answer leaves: a caller that has its answer may call again within the limit.
	fn := sv.fn
	if sv.unbound {
		fn = nil
	}
	// While it waits for the caller's window it counts apart, so that a caller that takes no answers has a bound, too.
	sv.s.answering.Add(1)
	sv.s.release(fn)
	sv.answer()
	sv.s.answering.Add(-1)
	sv.cancel(context.Canceled)
}

// beginOnce looks for another call with the same key. It reports false if that one still runs: then finishOnce of the
// other will hand sv to a worker again.
func (sv *serving) beginOnce() bool {
	s := sv.s
	s.onceMu.Lock()
	defer s.onceMu.Unlock()
	verdict, answer := s.once.begin(onceKey{sv.req.Func, sv.req.Key}, sv, time.Now())
	switch verdict {
	case onceRun:
		sv.executed = true
	case onceWait:
		if sv.fn.limit > 0 {
			sv.fn.running.Add(-1) // waiting is not running
		}
		sv.unbound = true
	case onceReplay:
		sv.setReplay(answer)
	case onceFull:
		s.count.overloads.Add(1)
		sv.replay = &outcome{err: ErrOverload}
	}
	return verdict != onceWait
}

// setReplay gives sv the answer of an earlier call.
func (sv *serving) setReplay(answer *outcome) {
	sv.s.count.replayed.Add(1)
	out := sv.reencode(answer)
	sv.replay = &out
}

// finishOnce keeps the answer for the repetitions to come, and hands it to those that wait.
func (sv *serving) finishOnce() {
	s, answer := sv.s, sv.result
	s.onceMu.Lock()
	waiters := s.once.finish(onceKey{sv.req.Func, sv.req.Key}, &answer, time.Now())
	s.onceMu.Unlock()
	for _, w := range waiters {
		w.setReplay(&answer)
		s.workers.run(w)
	}
}

// reencode turns the answer of an earlier call into one for sv, which may have asked in JSON where the other did not.
func (sv *serving) reencode(answer *outcome) outcome {
	if answer.err != nil || sv.req.arg.ct != JSON || answer.ct == JSON || answer.ct == None {
		return *answer
	}
	return sv.encode(Raw{answer.ct, answer.data})
}

// answer sends the result to whoever waits for it.
func (sv *serving) answer() {
	s := sv.s
	switch {
	case sv.cast:
		if sv.result.err != nil {
			s.count.failedCasts.Add(1)
			s.log.Debug().Err(sv.result.err).Str("func", sv.req.Func).Str("caller", sv.req.From.Name).Msg("a cast failed")
		}
		return
	case sv.local:
		sv.answerLocal()
		return
	}
	err := sv.send(sv.answerFrame())
	if errors.Is(err, node.ErrTooLarge) {
		f := frame{kind: frameFailure, id: sv.id}
		f.code, f.payload = encodeFailure(Errorf(KindTooLarge, "the function's answer: %w", err))
		err = sv.send(f)
	}
	// Only now: until the answer has left, the caller's cancellation still has something to end.
	s.serving.remove(servingKey{sv.conn, sv.id})
	if err != nil {
		s.count.lostAnswers.Add(1)
	}
}

func (sv *serving) answerFrame() frame {
	f := frame{kind: frameAnswer, id: sv.id, content: sv.result.ct, payload: sv.result.data}
	switch {
	case sv.result.err != nil:
		f.kind = frameFailure
		f.code, f.payload = encodeFailure(sv.result.err)
	case sv.req.Streaming:
		f.kind = frameEnd
	}
	return f
}

// send sends one frame to the caller, waiting for the window for no longer than the caller waits for the frame.
func (sv *serving) send(f frame) error {
	w := sv.s.writes.Get().(*write)
	w.head = f.appendHead(w.head[:0])
	w.parts = [2][]byte{w.head, f.payload}
	err := sv.s.link.Send(&sv.callContext, sv.req.From, node.ProtocolCalls, node.NoConnect, w.parts[:]...)
	w.parts = [2][]byte{}
	sv.s.writes.Put(w)
	return err
}

// write is the memory that sending a frame takes; node copies it.
type write struct {
	head  []byte
	parts [2][]byte
}

// answerLocal completes a call or a stream of this same node.
func (sv *serving) answerLocal() {
	s, out := sv.s, sv.result
	if out.err != nil {
		out.err = localFailure(s.self.Name, sv.req.Func, out.err)
	}
	if sv.req.Streaming {
		if st, ok := s.streams.take(sv.id, s.self.Name); ok {
			st.end(out.err)
		}
		return
	}
	if c, ok := s.pending.take(sv.id, s.self.Name); ok {
		c.finish(out)
	} else {
		s.count.late.Add(1)
	}
}

// localFailure makes of a handler's error what a remote caller would have got.
func localFailure(nodeName, fn string, err error) error {
	code, body := encodeFailure(err)
	return decodeFailure(nodeName, fn, code, body)
}
