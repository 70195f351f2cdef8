package rpc

// startLocal starts a request to this same node on a worker.
func (s *Server) startLocal(rq *outgoing, id uint64) (*serving, error) {
	fn := s.functions.lookupString(rq.fn)
	err := error(ErrNoFunction)
	if fn != nil {
		err = s.admit(fn)
	} else {
		s.count.noFunction.Add(1)
	}
	if err != nil {
		return nil, &CallError{Node: rq.node, Func: rq.fn, Err: err}
	}
	sv := &serving{s: s, fn: fn, id: id, local: true, cast: id == 0}
	sv.parent, sv.clock = s.ctx, &s.clock
	sv.req = Request{
		Node: rq.node, Func: fn.name, From: s.self, Header: rq.opts.header, Key: rq.opts.key, Streaming: rq.stream,
		arg: rq.arg,
	}
	if sv.req.Key == "" {
		sv.deadline = rq.deadline
	}
	if rq.stream {
		sv.gate = newCreditGate(uint64(rq.opts.credit))
	}
	s.workers.run(sv)
	return sv, nil
}
