package leader

import "errors"

var (
	// ErrResigned is the cause of the end of a term by Resign or Close.
	ErrResigned = errors.New("resigned")
	// ErrDeposed is the cause of the end of a term that was lost: to a conflict, a freeze, or with the node.
	ErrDeposed = errors.New("deposed")
	// ErrOutranked is the cause of the end of a term that was given up for a candidate with a higher priority.
	ErrOutranked = errors.New("a candidate of higher priority takes over")
	// ErrUnsupported is returned for options that the backend cannot keep, such as a priority on Quorum.
	ErrUnsupported = errors.New("not supported by the backend")
	// ErrBadArgument is returned for an election that is no name, and a negative delay.
	ErrBadArgument = errors.New("bad argument")
)
