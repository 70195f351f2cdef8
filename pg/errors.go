package pg

import "errors"

var (
	// ErrClosed is returned by every call that would change or send something once the groups, their scope, or their
	// node have been stopped (PG-25). Calls that only read return nothing then (PG-26).
	ErrClosed = errors.New("groups are closed")
	// ErrBadName is returned for a scope, group or pattern that is empty or longer than MaxName bytes, or a pattern
	// with an empty token or a wildcard in the wrong place.
	ErrBadName = errors.New("bad group name")
	// ErrNotLocal is returned when a process of another node, or the zero PID, is to join or leave. Nothing was
	// changed (PG-08).
	ErrNotLocal = errors.New("process is not on this node")
	// ErrNotJoined is returned by Leave when none of the processes is a member (PG-05, PG-06), and by SetMeta.
	ErrNotJoined = errors.New("not joined")
	// ErrNoMember is returned by PickLocal and PickAny for a group without such members.
	ErrNoMember = errors.New("group has no member")
	// ErrMetaTooLarge is returned for metadata over MaxMeta. Nothing was changed.
	ErrMetaTooLarge = errors.New("member metadata too large")
	// ErrTimeout is what a member that has not answered yields when the time of CallAll is over.
	ErrTimeout = errors.New("no answer in time")
	// ErrAnswered is returned when a member answers a Call a second time, or when it was not asked.
	ErrAnswered = errors.New("not waiting for an answer of this process")
	// ErrBadFrame is returned by the decoders for bytes that are no frame of this protocol. The frame is dropped and
	// counted; the session goes on.
	ErrBadFrame = errors.New("bad group frame")
	// ErrVersion is returned by the decoders for a frame of a version that this node does not speak.
	ErrVersion = errors.New("unknown group protocol version")
)
