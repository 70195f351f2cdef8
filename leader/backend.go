package leader

import (
	"context"
	"time"
)

// Leader is who leads an election.
type Leader struct {
	// Node is the full name of the leader's node.
	Node string
	// Epoch is the fencing token of its term.
	Epoch uint64
	// Value is what the candidate said of itself: see Value.
	Value string
}

// Backend is what elections rest on: Names or Quorum. All its methods may be called concurrently.
type Backend interface {
	// node is the full name of this node.
	node() string
	// life ends when nobody can be elected here any more.
	life() context.Context
	// ranks says whether candidates know of each other and so of priorities.
	ranks() bool
	// enter makes a candidate known, until leave is called.
	enter(ctx context.Context, election string, priority int) (leave func(), err error)
	// try makes one attempt to lead. A nil mandate without an error says that somebody else leads.
	try(ctx context.Context, election, value string) (*mandate, error)
	// watch follows an election, and calls changed whenever what it shows may have changed.
	watch(election string, changed func()) view
	// patience is how long a candidate lets those of higher priority go first, and waits after an error.
	patience() time.Duration
}

// view is an election as a candidate or an observer sees it.
type view interface {
	// look says who leads, and, if nobody does, whether the leader before was lost with its node.
	look(ctx context.Context) (l Leader, ok, lost bool, err error)
	// outranked says whether there is a candidate with a higher priority.
	outranked(priority int) bool
	// stop ends the view.
	stop()
}

// mandate is the right to lead until ctx ends.
type mandate struct {
	ctx     context.Context
	epoch   uint64
	release func()
}
