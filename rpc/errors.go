package rpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/kith-mesh/kith/node"
)

var (
	// ErrNoFunction is returned when the called node serves no function of that name. Nothing ran (ERPC-05).
	ErrNoFunction = errors.New("no such function")
	// ErrNoConnection is returned when the node cannot be reached, or when its session ended during the call. Unless
	// CallError.Sent is false, the function may or may not have run (ERPC-07, ERPC-51).
	ErrNoConnection = errors.New("no connection")
	// ErrTimeout is returned when the deadline of a call passed. It also matches context.DeadlineExceeded. The
	// function may or may not have run (ERPC-08).
	ErrTimeout error = timeoutError{}
	// ErrOverload is returned when the called node, or one function of it, already runs as many calls as it allows.
	// Nothing ran (ERPC-15).
	ErrOverload = errors.New("too many calls at once")
	// ErrRefused is returned when a rule of the called node does not let this one call the function: see node.Config.Rules.
	// Nothing ran.
	ErrRefused = errors.New("refused by a rule of the node")
	// ErrBadArgument is returned for a name, option, list or value that can be refused without asking anybody.
	// Nothing was sent (ERPC-11, ERPC-12).
	ErrBadArgument = errors.New("bad argument")
	// ErrBadResult is returned when the answer arrived but does not fit the result it should be decoded into. The
	// function did run.
	ErrBadResult = errors.New("answer does not fit the result")
	// ErrNotSupported is returned by a call to a node that does not serve calls at all, or not in the form in which
	// this one was made (ERPC-16). Nothing ran.
	ErrNotSupported = errors.New("peer does not serve calls")
	// ErrFunctionExists is returned by Register for a name that is already taken.
	ErrFunctionExists = errors.New("function already registered")
	// ErrTaken is returned when the response of a Future was already taken, or the Future was abandoned (ERPC-27,
	// ERPC-30). It also matches ErrBadArgument.
	ErrTaken = fmt.Errorf("%w: response already taken or abandoned", ErrBadArgument)
	// ErrNoResponse is returned by the Wait methods when their context ends first. The request lives on (ERPC-28).
	ErrNoResponse = errors.New("no response yet")
	// ErrNoRequest is returned when a Collection is empty (ERPC-35).
	ErrNoRequest = errors.New("no request in the collection")
	// ErrClosed is returned by every call once the server or its node has been closed. It also matches node.ErrClosed.
	ErrClosed = fmt.Errorf("rpc: %w", node.ErrClosed)
)

// timeoutError is the type of ErrTimeout, which is also a deadline in the sense of the context package.
type timeoutError struct{}

func (timeoutError) Error() string        { return "call timed out" }
func (timeoutError) Timeout() bool        { return true }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// CallError is a call that got no answer from the function: it wraps one of the sentinels of this package, the
// context's error or one of package node's, and says for which call.
type CallError struct {
	// Node and Func are what was called.
	Node, Func string
	// Sent says that the request may have reached the node: when false, the function certainly did not run on behalf
	// of this call.
	Sent bool
	// Err is the reason.
	Err error
}

// Error names the call and the reason.
func (e *CallError) Error() string { return fmt.Sprintf("call %s on %s: %v", e.Func, e.Node, e.Err) }

// Unwrap returns the reason.
func (e *CallError) Unwrap() error { return e.Err }

// RemoteError is an error that the function itself returned (ERPC-02, ERPC-12). It matches no sentinel of this
// package, so a function cannot be mistaken for the connection it was called over (ERPC-19).
type RemoteError struct {
	// Node and Func are where it happened.
	Node, Func string
	// Kind is a short word for programs: what Error.Kind of the function's error was, else "error".
	Kind string
	// Message is the text of the function's error.
	Message string
	// Cause is the RemoteError or RemotePanic that the function's error wrapped, when it was calling on in turn, else
	// nil (ERPC-17).
	Cause error
}

// Error names the call, the kind and the message.
func (e *RemoteError) Error() string {
	return fmt.Sprintf("%s on %s: %s: %s", e.Func, e.Node, e.Kind, e.Message)
}

// Unwrap returns Cause.
func (e *RemoteError) Unwrap() error { return e.Cause }

// ErrorKind returns Kind.
func (e *RemoteError) ErrorKind() string { return e.Kind }

// RemotePanic is a panic of the function (ERPC-04). The node that it happened on goes on.
type RemotePanic struct {
	// Node and Func are where it happened.
	Node, Func string
	// Value is the printed value of the panic.
	Value string
	// Stack is the remote stack from the panic down to the handler, one "function file:line" a line.
	Stack string
}

// Error names the call and the value of the panic. The stack is not in it.
func (e *RemotePanic) Error() string {
	return fmt.Sprintf("%s on %s: panic: %s", e.Func, e.Node, e.Value)
}

// ErrorKind returns "panic".
func (e *RemotePanic) ErrorKind() string { return KindPanic }

// Error is an error with a kind, for handlers: its kind travels to the caller, who finds it in RemoteError.Kind.
type Error struct {
	// Kind is a short word of the application's choice, such as "not_found".
	Kind string
	// Err is the error itself.
	Err error
}

// Errorf returns an error of that kind, formatted as by fmt.Errorf.
func Errorf(kind, format string, args ...any) error {
	return &Error{Kind: kind, Err: fmt.Errorf(format, args...)}
}

// Error returns the text of Err.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// ErrorKind returns Kind.
func (e *Error) ErrorKind() string { return e.Kind }

// The kinds that this package itself gives to errors; see ErrorKind.
const (
	KindError        = "error"
	KindPanic        = "panic"
	KindExit         = "exit"
	KindStream       = "stream"
	KindNoFunction   = "no_function"
	KindNoConnection = "no_connection"
	KindTimeout      = "timeout"
	KindCancelled    = "cancelled"
	KindOverload     = "overload"
	KindRefused      = "refused"
	KindBadArgument  = "bad_argument"
	KindBadResult    = "bad_result"
	KindNotSupported = "not_supported"
	KindTooLarge     = "too_large"
	KindClosed       = "closed"
)

// ErrorKind returns one word for err, for logs, tables and programs: the kind of the outermost error in its chain
// that has one, or the one of the sentinel it wraps, or "error"; "" for nil.
func ErrorKind(err error) string {
	if err == nil {
		return ""
	}
	var k interface{ ErrorKind() string }
	if errors.As(err, &k) {
		if s := k.ErrorKind(); s != "" {
			return s
		}
	}
	for _, row := range []struct {
		err  error
		kind string
	}{
		{ErrNoFunction, KindNoFunction},
		{ErrNotSupported, KindNotSupported},
		{ErrNoConnection, KindNoConnection},
		{ErrTimeout, KindTimeout},
		{context.DeadlineExceeded, KindTimeout},
		{context.Canceled, KindCancelled},
		{ErrOverload, KindOverload},
		{ErrRefused, KindRefused},
		{ErrBadResult, KindBadResult},
		{ErrBadArgument, KindBadArgument},
		{node.ErrTooLarge, KindTooLarge},
		{node.ErrClosed, KindClosed},
	} {
		if errors.Is(err, row.err) {
			return row.kind
		}
	}
	return KindError
}
