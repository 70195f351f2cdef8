package rpc

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/rs/zerolog"
)

// intercept makes the request through the middleware of this node's own calls.
func (s *Server) intercept(ctx context.Context, rq *outgoing) outcome {
	own := *rq // a copy, so that requests without middleware stay on the stack
	v, err := s.client.Handle(ctx, own.request(s))
	return interceptOutcome(v, err)
}

func interceptOutcome(v any, err error) outcome {
	if err != nil {
		return outcome{err: err}
	}
	if raw, ok := v.(Raw); ok {
		return outcome{payload: payload{ct: raw.Type, data: raw.Data}}
	}
	return outcome{payload: payload{value: v, direct: v != nil}}
}

// request is what middleware sees of rq.
func (rq *outgoing) request(s *Server) *Request {
	return &Request{
		Node: rq.node, Func: rq.fn, From: s.self, Header: maps.Clone(rq.opts.header), Key: rq.opts.key,
		Streaming: rq.stream, arg: rq.arg, out: rq,
	}
}

// handleOwn is the innermost handler of this node's own calls: it makes the request.
func (s *Server) handleOwn(ctx context.Context, r *Request) (any, error) {
	if r.out == nil {
		return nil, fmt.Errorf("%w: middleware must pass on the request that it was given", ErrBadArgument)
	}
	rq := *r.out
	rq.opts.header = r.Header
	if err := checkHeader(r.Header); err != nil {
		return nil, rq.fail(false, err).err
	}
	switch {
	case rq.cast:
		return nil, s.send(ctx, &rq, !rq.hurried)
	case rq.stream:
		return s.items(ctx, &rq), nil
	}
	out := s.roundTrip(ctx, &rq)
	return out.asValue(), out.err
}

// Logging returns middleware, for either end, that logs each request when it has ended: at debug level, or at warn
// level if it failed. For a stream that is when it has been opened.
func Logging(log zerolog.Logger) Middleware {
	return func(next Handler) Handler {
		return HandlerFunc(func(ctx context.Context, r *Request) (any, error) {
			start := time.Now()
			v, err := next.Handle(ctx, r)
			event := log.Debug()
			if err != nil {
				event = log.Warn().Err(err).Str("kind", ErrorKind(err))
			}
			event.Str("func", r.Func).Str("from", r.From.Name).Str("to", r.Node).Dur("took", time.Since(start)).Msg("call")
			return v, err
		})
	}
}

// Authorize returns middleware for WithMiddleware or Wrapped that runs a function only if check returns nil. What
// check returns reaches the caller as a *RemoteError; give it a kind with Errorf. Between members of a mesh this
// guards against mistakes, not against members who lie.
func Authorize(check func(ctx context.Context, r *Request) error) Middleware {
	return func(next Handler) Handler {
		return HandlerFunc(func(ctx context.Context, r *Request) (any, error) {
			if err := check(ctx, r); err != nil {
				return nil, err
			}
			return next.Handle(ctx, r)
		})
	}
}
