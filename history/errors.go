package history

import (
	"errors"
	"fmt"

	"github.com/kith-mesh/kith/node"
)

var (
	// ErrNoStores is returned when no store node answers: the mesh has none, or none of them is up.
	ErrNoStores = errors.New("the mesh has no store nodes, or none is up")
	// ErrUnavailable is returned when the stores have not agreed in time. What was asked for may or may not have happened;
	// Append may be called again with the same IDs.
	ErrUnavailable = errors.New("the store nodes did not answer in time")
	// ErrBadArgument is returned for a name, topic, identity, size or count that is not allowed. It says which.
	ErrBadArgument = errors.New("bad argument")
	// ErrClosed is returned by every call once the log or its node has been closed. It also matches node.ErrClosed.
	ErrClosed = fmt.Errorf("history: %w", node.ErrClosed)
)
