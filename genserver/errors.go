package genserver

import (
	"errors"
	"fmt"

	"github.com/kith-mesh/kith/process"
)

var (
	// ErrTimeout is returned when no answer came in time. The server may still be at work on the request; an answer that
	// comes later is dropped (GEN-05, GEN-06). It is also a context.DeadlineExceeded.
	ErrTimeout = errors.New("call timed out")
	// ErrCallingSelf is returned to a server that calls, or stops, itself, which would wait for ever (GEN-10).
	ErrCallingSelf = errors.New("a server cannot call itself")
	// ErrUnknownRequest is returned for a request of a type for which the server has no handler.
	ErrUnknownRequest = errors.New("the server has no handler for this request")
	// ErrBadReply is returned for an answer that is not of the type that the request declares, or that could not be
	// encoded: the two nodes have different versions of a type, or a field cannot be sent.
	ErrBadReply = errors.New("bad reply")
	// ErrAbandoned is returned for a request whose Abandon was called, or whose Receive timed out.
	ErrAbandoned = errors.New("request was abandoned")
	// ErrBadServer is returned by Start for a server without Init, or with two handlers for one type.
	ErrBadServer = errors.New("bad server")
	// ErrBadNode is returned by MultiCall and AbCast for a malformed node name. Nothing was sent (GEN-22).
	ErrBadNode = errors.New("bad node name")
)

// UnknownRequestError is an ErrUnknownRequest.
type UnknownRequestError struct {
	// Type is the type of the request.
	Type string
}

// Error names the type.
func (e *UnknownRequestError) Error() string { return fmt.Sprintf("%v: %s", ErrUnknownRequest, e.Type) }

// Is makes it an ErrUnknownRequest.
func (e *UnknownRequestError) Is(target error) bool { return target == ErrUnknownRequest }

// BadReplyError is an ErrBadReply.
type BadReplyError struct {
	// Detail says what is wrong with the answer.
	Detail string
}

// Error tells the detail.
func (e *BadReplyError) Error() string { return fmt.Sprintf("%v: %s", ErrBadReply, e.Detail) }

// Is makes it an ErrBadReply.
func (e *BadReplyError) Is(target error) bool { return target == ErrBadReply }

// NodeDownError is returned when the server's node cannot be reached, or was lost during the call (GEN-03, GEN-08). The
// server may be alive, and may have done what it was asked. It is a process.ErrNoConnection.
type NodeDownError struct {
	Node string
}

// Error names the node.
func (e *NodeDownError) Error() string { return fmt.Sprintf("node down: %s", e.Node) }

// Is makes it a process.ErrNoConnection.
func (e *NodeDownError) Is(target error) bool { return target == process.ErrNoConnection }

// ServerExitError is returned when the server ended before it answered (GEN-07).
type ServerExitError struct {
	// Server is whom the call went to.
	Server process.Address
	// Reason is the server's exit reason.
	Reason error
}

// Error names the server and the reason.
func (e *ServerExitError) Error() string {
	return fmt.Sprintf("server %v ended during the call: %v", e.Server, e.Reason)
}

// Unwrap is the exit reason.
func (e *ServerExitError) Unwrap() error { return e.Reason }

// AlreadyStartedError is returned by Start when another process has the name (GEN-28). It is a process.ErrNameTaken.
type AlreadyStartedError struct {
	PID process.PID
}

// Error names the process.
func (e *AlreadyStartedError) Error() string { return fmt.Sprintf("already started: %v", e.PID) }

// Is makes it a process.ErrNameTaken.
func (e *AlreadyStartedError) Is(target error) bool { return target == process.ErrNameTaken }
