package rpc

import (
	"context"
	"fmt"
	"iter"
)

// Register makes the node of s serve the function name with f, whose argument and result have Go types. No argument
// leaves Req its zero value; an argument that does not fit fails the call with the kind bad_argument, and f does not
// run. Errors are those of Server.Register.
func Register[Req, Resp any](s *Server, name string, f func(ctx context.Context, req Req) (Resp, error), opts ...RegisterOption) error {
	return s.Register(name, HandlerFunc(func(ctx context.Context, r *Request) (any, error) {
		req, err := as[Req](&r.arg)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadArgument, err)
		}
		resp, err := f(ctx, req)
		if err != nil {
			return nil, err
		}
		return resp, nil
	}), opts...)
}

// Call is Server.Call with types: it calls fn on the node and decodes the answer as a Resp.
func Call[Req, Resp any](ctx context.Context, s *Server, nodeName, fn string, req Req, opts ...CallOption) (Resp, error) {
	var none Resp
	rq, err := s.outgoing(ctx, nodeName, fn, opts)
	if err == nil {
		err = rq.setArg(req)
	}
	if err != nil {
		return none, &CallError{Node: nodeName, Func: fn, Err: err}
	}
	out := s.exchange(ctx, &rq)
	return resultAs[Resp](&out, rq.node, fn)
}

// resultAs is as for a result, with its errors.
func resultAs[T any](out *outcome, nodeName, fn string) (T, error) {
	if out.err != nil {
		var none T
		return none, out.err
	}
	v, err := as[T](&out.payload)
	if err != nil {
		err = &CallError{Node: nodeName, Func: fn, Sent: true, Err: fmt.Errorf("%w: %w", ErrBadResult, err)}
	}
	return v, err
}

// RegisterStream makes the node of s serve the function name with f, which returns a stream; see Items.
func RegisterStream[Req, Item any](s *Server, name string, f func(ctx context.Context, req Req) iter.Seq2[Item, error], opts ...RegisterOption) error {
	return s.Register(name, HandlerFunc(func(ctx context.Context, r *Request) (any, error) {
		req, err := as[Req](&r.arg)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadArgument, err)
		}
		items := f(ctx, req)
		return Items(func(yield func(any, error) bool) {
			for v, err := range items {
				if !yield(v, err) {
					return
				}
			}
		}), nil
	}), opts...)
}

// Stream is Server.Stream with types.
func Stream[Req, Item any](ctx context.Context, s *Server, nodeName, fn string, req Req, opts ...CallOption) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for r, err := range s.Stream(ctx, nodeName, fn, req, opts...) {
			var v Item
			if err == nil {
				v, err = resultAs[Item](&r.out, r.node, r.fn)
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// Await is Future.Wait with a type.
func Await[Resp any](ctx context.Context, f *Future) (Resp, error) {
	if err := f.await(ctx); err != nil {
		var none Resp
		return none, err
	}
	out := f.take()
	return resultAs[Resp](&out, f.rq.node, f.rq.fn)
}
