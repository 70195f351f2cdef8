package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"github.com/kith-mesh/kith/node"
)

// Handler serves calls of one function. Handle runs on a goroutine of its own, concurrently with other calls, and may
// block. What it returns is the answer: a value that is encoded as the request was, a Raw that is passed on as it is,
// Items for a stream, or an error. Neither the request's value nor what it returned may be changed afterwards: a
// caller on the same node gets the value itself.
//
// The context ends when the caller's time is over, when the caller gives up, when the server closes, and when Handle
// has returned; it has none of the caller's values. A caller whose node is lost does not end it (ERPC-14), unless
// the call has no deadline or is a stream: nothing else would ever end those. A call with an idempotency key outlives
// its caller's deadline and cancellation, since a retry may still ask for the answer.
//
// A panic reaches the caller as a *RemotePanic, and the node goes on.
type Handler interface {
	Handle(ctx context.Context, r *Request) (any, error)
}

// HandlerFunc is a function that is a Handler.
type HandlerFunc func(ctx context.Context, r *Request) (any, error)

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, r *Request) (any, error) { return f(ctx, r) }

// Middleware wraps a Handler, at either end of a call: see WithMiddleware and WithCallMiddleware.
type Middleware func(Handler) Handler

// Items is the answer of a function that returns a stream: Stream at the caller's end yields what it yields. It runs
// on the handler's goroutine and under its context; a full window of credits makes yield wait, and yield returns false
// once nobody listens. The first error ends the stream.
type Items iter.Seq2[any, error]

// Header is what travels with a request beside its argument: a trace, a credential. At most 64 pairs and 16 KiB.
type Header map[string]string

// Request is one call as a Handler sees it. At the caller's end it is what is about to be sent, and middleware may
// replace its Header.
type Request struct {
	// Node is the name of the node that is called.
	Node string
	// Func is the name of the function.
	Func string
	// From is the node that calls.
	From node.ID
	// Header came with the request; nil when there was none. A Handler must not change it.
	Header Header
	// Key is the idempotency key, or "".
	Key string
	// Streaming says that the caller takes a stream.
	Streaming bool

	arg payload
	out *outgoing // at the caller's end
}

// Decode decodes the argument into what v points to. Without an argument it leaves v alone. An argument that does not
// fit is ErrBadArgument; a handler that returns that error fails its caller with the kind bad_argument.
func (r *Request) Decode(v any) error {
	if err := r.arg.decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrBadArgument, err)
	}
	return nil
}

// ContentType says how the argument is encoded. A call on the same node passes the value itself, which has none.
func (r *Request) ContentType() ContentType { return r.arg.ct }

// Raw returns the encoded argument, which must not be changed.
func (r *Request) Raw() (Raw, error) { return r.arg.raw() }

// payload is a value: encoded (from another node) or as it is (from this one).
type payload struct {
	ct     ContentType
	direct bool // value holds it, rather than ct and data
	data   []byte
	value  any
}

// outcome is a payload or an error.
type outcome struct {
	payload
	err error
}

// argument makes a payload of the argument of a call on this node: what is encoded already stays so.
func argument(v any) (payload, error) {
	switch v.(type) {
	case nil, Raw, json.RawMessage:
		ct, data, err := encode(v)
		return payload{ct: ct, data: data}, err
	}
	return payload{value: v, direct: true}, nil
}

func (o *payload) decode(dst any) error {
	if o.direct {
		return assign(dst, o.value)
	}
	return decode(o.ct, o.data, dst)
}

func (o *payload) raw() (Raw, error) {
	ct, data := o.ct, o.data
	if o.direct {
		var err error
		if ct, data, err = encode(o.value); err != nil {
			return Raw{}, err
		}
	}
	return Raw{ct, data}, nil
}

// asValue returns what a Handler at the caller's end returns for it.
func (o *payload) asValue() any {
	if o.direct {
		return o.value
	}
	return Raw{o.ct, o.data}
}

// into decodes a result, for the one who called fn on nodeName.
func (o *outcome) into(dst any, nodeName, fn string) error {
	if o.err != nil {
		return o.err
	}
	if dst == nil {
		return nil
	}
	if err := o.decode(dst); err != nil {
		return &CallError{Node: nodeName, Func: fn, Sent: true, Err: fmt.Errorf("%w: %w", ErrBadResult, err)}
	}
	return nil
}

// decodeAs is apart from as, so that only what must be decoded is moved to the heap.
func decodeAs[T any](o *payload) (T, error) {
	var v T
	err := o.decode(&v)
	return v, err
}

// as decodes o as a T. A value of that very type from this node is returned as it is.
func as[T any](o *payload) (T, error) {
	var none T
	if _, ok := any(none).([]byte); ok && o.ct == Bytes && !o.direct {
		v, _ := any(append(make([]byte, 0, len(o.data)), o.data...)).(T)
		return v, nil
	}
	if _, untyped := any(&none).(*any); o.direct && !untyped { // as any, a local caller sees the types that a remote one does
		if v, ok := o.value.(T); ok {
			return v, nil
		}
	}
	return decodeAs[T](o)
}
