package node

import "errors"

var (
	// ErrClosed is returned by every call once the node has been shut down or closed.
	ErrClosed = errors.New("node is closed")
	// ErrBadName is returned for a node name that is not name@host by the rules of ParseName.
	ErrBadName = errors.New("bad node name")
	// ErrNameInUse is returned by Start when another living node has the name.
	ErrNameInUse = errors.New("node name in use")
	// ErrNoNode is returned when no node of that name can be found, or no longer with that incarnation.
	ErrNoNode = errors.New("no such node")
	// ErrNotConnected is returned when there is no session with the node, or when it ended during the call. Nothing was
	// sent.
	ErrNotConnected = errors.New("not connected")
	// ErrRefused is returned when the peer, or this node's own allow list, refuses a session.
	ErrRefused = errors.New("connection refused by policy")
	// ErrWouldBlock is returned instead of waiting while the peer's window is full. Nothing was sent (SIG-10).
	ErrWouldBlock = errors.New("send would block")
	// ErrTooLarge is returned for a message over the limit of Config.MaxMessage. Nothing was sent.
	ErrTooLarge = errors.New("message too large")
	// ErrNoProtocol is returned when the peer has no handler for the protocol, such as a program without calls.
	ErrNoProtocol = errors.New("the peer does not speak this protocol")
	// ErrBadArgument is returned for a protocol, topic or option that is out of range.
	ErrBadArgument = errors.New("bad argument")
)
