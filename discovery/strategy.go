package discovery

import (
	"context"
	"time"
)

// Candidate is an address at which a node may listen for its peers. It is a comparable value.
type Candidate struct {
	// Addr is HOST:PORT of the cluster listener. HOST may be a name, resolved when it is dialled.
	Addr string
	// Name is the node's full name if the source knows it, else empty.
	Name string
	// Incarnation is the life of the node that the source saw, or zero if it does not know.
	Incarnation uint64
	// Source is the name of the strategy that found it.
	Source string
	// Hidden says that the source knows the node to be hidden: it may be looked up by name, but is not to be dialled
	// unasked.
	Hidden bool
	// Started is when the node was first to be found, on a clock that all candidates of this source share, or zero. A node
	// that finds an older one is found by it too, or dialled it: so of two that start together one begins.
	Started time.Time
}

// Self is what a strategy may know about the node that runs it.
type Self struct {
	// Name is the node's full name and Incarnation its present life.
	Name        string
	Incarnation uint64
	// Addr is the address under which peers reach this node, HOST:PORT.
	Addr string
	// Mesh is the name of the mesh; nodes of other meshes are no candidates.
	Mesh string
	// Hidden says that this node is hidden.
	Hidden bool
	// PID is the process id of this node.
	PID int
	// Cookies, if not nil, returns the secrets of the mesh, which may change while the node runs. Strategies that send
	// something on a network sign it with a key derived from the first, and accept what is signed with any. It does not
	// block, and may be called from any goroutine. What it returns is not to be changed.
	Cookies func() [][]byte
	// Draining, if not nil, is closed when the node is about to leave: a strategy that announces it says so, and then
	// announces it no more.
	Draining <-chan struct{}
}

// Strategy finds candidates from one source.
type Strategy interface {
	// Name is a short word for events and logs, such as "local" or "dns".
	Name() string
	// Run calls found with the full current list whenever it changed, and at least once, also when it is empty. It
	// blocks until ctx ends and then returns nil; it returns an error, which wraps [ErrBadConfig], only when its
	// configuration can never work. Passing troubles go to fail and are retried for ever with jittered backoff. The
	// last good list stays meanwhile; found is not called, except with an empty list if there was none before: within
	// seconds of its start Run has called found, whatever happens.
	//
	// Run calls found and fail from one goroutine at a time; they must not block for long. The list belongs to the
	// callee. A strategy value may be run once at a time.
	Run(ctx context.Context, self Self, found func([]Candidate), fail func(error)) error
}
