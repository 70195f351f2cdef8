package leader

import (
	"errors"
	"fmt"
)

var (
	// ErrResigned is the cause of the end of a term by Resign or Close.
	ErrResigned = errors.New("resigned")
	// ErrDeposed is the cause of the end of a term that was lost: to a conflict, a freeze, or with the node. On Quorum the
	// causes are others: see Term.Context.
	ErrDeposed = errors.New("deposed")
	// ErrOutranked is the cause of the end of a term that was given up for a candidate with a higher priority.
	ErrOutranked = errors.New("a candidate of higher priority takes over")
	// ErrUnsupported is returned for options that the backend cannot keep, such as a priority on Quorum.
	ErrUnsupported = errors.New("not supported by the backend")
	// errStopped ends a campaign whose node or store is no more.
	errStopped = fmt.Errorf("%w: the node or its store has stopped", ErrDeposed)
	// ErrBadArgument is returned for an election that is no name, a value that is too long, and a negative delay.
	ErrBadArgument = errors.New("bad argument")
)
