package rpc

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/kith-mesh/kith/internal/codec"
	"github.com/kith-mesh/kith/node"
)

// failureCode says in a failure frame what kind of failure it is: one of the function, or one of the server before the
// function.
type failureCode uint8

const (
	failError      failureCode = 1 // the function returned an error
	failPanic      failureCode = 2 // the function panicked
	failNoFunction failureCode = 3
	failOverload   failureCode = 4
	failClosed     failureCode = 5 // the server is shutting down, and did not run the function
	failBadFrame   failureCode = 6 // the request could not be decoded
	failEnded      failureCode = 7 // the server closed while the function ran
	failRefused    failureCode = 8 // a rule of the node refuses the call
)

// Limits of what a failure carries.
const (
	maxCauses     = 16      // nested calls
	maxMessage    = 8 << 10 // bytes of one message
	maxStackDepth = 64
	maxStackBytes = 16 << 10
)

// failure is the body of a failure frame, and one layer of the errors of nested calls.
type failure struct {
	Kind    string   `cbor:"1,keyasint,omitempty"`
	Message string   `cbor:"2,keyasint,omitempty"`
	Stack   string   `cbor:"3,keyasint,omitempty"`
	Node    string   `cbor:"4,keyasint,omitempty"` // of a cause only: the receiver knows whom it called
	Func    string   `cbor:"5,keyasint,omitempty"` // of a cause only
	Cause   *failure `cbor:"6,keyasint,omitempty"`
}

// Sentinels that stand for a failure of the server while it is still on this node.
var (
	errServerClosed = errors.New("the node is shutting down")
	errServerEnded  = errors.New("the node was closed while the function ran")
	errRefusedFrame = errors.New("the node could not read the request")
)

// encodeFailure turns what a handler, or the server itself, returned into a code and a body.
func encodeFailure(err error) (failureCode, []byte) {
	switch err { //nolint:errorlint // the bare sentinels come from the server; a handler's error that wraps one is its own
	case ErrNoFunction:
		return failNoFunction, nil
	case ErrOverload:
		return failOverload, nil
	case ErrRefused:
		return failRefused, nil
	case errServerClosed:
		return failClosed, nil
	case errServerEnded:
		return failEnded, nil
	case errRefusedFrame:
		return failBadFrame, nil
	}
	code := failError
	if _, ok := err.(*panicError); ok { //nolint:errorlint // only the server makes one, and never wraps it
		code = failPanic
	}
	body, e := codec.Marshal(describe(err))
	if e != nil {
		return code, nil // a struct of strings does not fail to encode; the code alone would still be right
	}
	return code, body
}

// describe makes a failure of what a handler returned.
func describe(err error) *failure {
	if p, ok := err.(*panicError); ok { //nolint:errorlint // see encodeFailure
		return &failure{Message: clip(p.value, maxMessage), Stack: p.stack}
	}
	f := &failure{Kind: clip(ErrorKind(err), maxName), Message: clip(err.Error(), maxMessage)}
	f.Cause = describeCause(remoteCause(err), 1)
	return f
}

// describeCause flattens a RemoteError or RemotePanic, and those that it wraps.
func describeCause(err error, depth int) *failure {
	if depth > maxCauses {
		return nil
	}
	switch e := err.(type) { //nolint:errorlint // each layer is described by itself
	case *RemotePanic:
		return &failure{Kind: KindPanic, Message: e.Value, Stack: e.Stack, Node: e.Node, Func: e.Func}
	case *RemoteError:
		f := &failure{Kind: e.Kind, Message: e.Message, Node: e.Node, Func: e.Func}
		f.Cause = describeCause(e.Cause, depth+1)
		return f
	}
	return nil
}

// remoteCause returns the first RemoteError or RemotePanic in the chain of err.
func remoteCause(err error) error {
	var re *RemoteError
	if errors.As(err, &re) {
		return re
	}
	var rp *RemotePanic
	if errors.As(err, &rp) {
		return rp
	}
	return nil
}

// decodeFailure is the inverse of encodeFailure, on the caller's side.
func decodeFailure(nodeName, fn string, code failureCode, body []byte) error {
	sent := func(err error) error { return &CallError{Node: nodeName, Func: fn, Sent: true, Err: err} }
	switch code {
	case failNoFunction:
		return &CallError{Node: nodeName, Func: fn, Err: ErrNoFunction}
	case failOverload:
		return &CallError{Node: nodeName, Func: fn, Err: ErrOverload}
	case failRefused:
		return &CallError{Node: nodeName, Func: fn, Err: ErrRefused}
	case failClosed:
		return &CallError{Node: nodeName, Func: fn, Err: fmt.Errorf("%w: %w", ErrNoConnection, errServerClosed)}
	case failEnded:
		return sent(fmt.Errorf("%w: %w", ErrNoConnection, errServerEnded))
	case failBadFrame:
		return &CallError{Node: nodeName, Func: fn, Err: fmt.Errorf("%w: %w", ErrNotSupported, errRefusedFrame)}
	}
	var f failure
	if len(body) == 0 {
		// The code alone.
	} else if err := codec.Unmarshal(body, &f); err != nil {
		return sent(fmt.Errorf("%w: %w", ErrBadResult, err))
	}
	if code == failPanic {
		return &RemotePanic{Node: nodeName, Func: fn, Value: f.Message, Stack: f.Stack}
	}
	f.Node, f.Func = nodeName, fn
	return f.err(0)
}

// err turns one layer, and those below it, back into an error.
func (f *failure) err(depth int) error {
	if f.Kind == KindPanic && f.Stack != "" {
		return &RemotePanic{Node: f.Node, Func: f.Func, Value: f.Message, Stack: f.Stack}
	}
	e := &RemoteError{Node: f.Node, Func: f.Func, Kind: f.Kind, Message: f.Message}
	if e.Kind == "" {
		e.Kind = KindError
	}
	if f.Cause != nil && depth < maxCauses {
		e.Cause = f.Cause.err(depth + 1)
	}
	return e
}

// panicError is a panic of a handler on this node, on its way to the caller.
type panicError struct{ value, stack string }

func (e *panicError) Error() string { return "panic: " + e.value }

// newPanicError describes the panic p. It must be called while the panicking stack still exists: from the deferred
// function that recovered.
func newPanicError(p any) *panicError {
	return &panicError{value: printPanic(p), stack: userStack()}
}

// printPanic prints p, whose own String or Error method may panic in turn.
func printPanic(p any) (s string) {
	defer func() {
		if recover() != nil {
			s = fmt.Sprintf("%T, which panics when printed", p)
		}
	}()
	return fmt.Sprint(p)
}

// userStack prints the stack between the panic and the server: the frames of the handler and of its middleware
// (ERPC-04).
func userStack() string {
	pcs := make([]uintptr, maxStackDepth)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	var b strings.Builder
	for panicking := false; ; {
		f, more := frames.Next()
		switch {
		case strings.HasSuffix(f.Function, ".(*serving).run"):
			return clip(b.String(), maxStackBytes)
		case strings.HasPrefix(f.Function, "runtime."):
			panicking = true
		case panicking:
			fmt.Fprintf(&b, "%s %s:%d\n", f.Function, f.File, f.Line)
		}
		if !more {
			return clip(b.String(), maxStackBytes)
		}
	}
}

// clip shortens s to at most limit bytes of valid UTF-8.
func clip(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// errExit is a handler that ended its goroutine instead of returning (ERPC-03).
var errExit = Errorf(KindExit, "the function ended its goroutine")

// transportError turns an error of package node, or of a context, into what a caller sees.
func transportError(err error) error {
	switch {
	case errors.Is(err, node.ErrNotConnected), errors.Is(err, node.ErrNoNode), errors.Is(err, node.ErrRefused):
		return fmt.Errorf("%w: %w", ErrNoConnection, err)
	case errors.Is(err, node.ErrNoProtocol):
		return fmt.Errorf("%w: %w", ErrNotSupported, err)
	case errors.Is(err, node.ErrClosed):
		return ErrClosed
	case errors.Is(err, node.ErrBadName), errors.Is(err, node.ErrBadArgument):
		return fmt.Errorf("%w: %w", ErrBadArgument, err)
	case errors.Is(err, context.DeadlineExceeded):
		return ErrTimeout
	}
	return err
}
