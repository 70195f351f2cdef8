package quorum

import (
	"errors"
	"fmt"

	"github.com/kith-mesh/kith/node"
)

var (
	// ErrNoQuorum is returned when no majority of the stores answered in time, or the mesh has none. What was asked for
	// may or may not have happened.
	ErrNoQuorum = errors.New("no quorum of store nodes")
	// ErrTaken is returned by Acquire when another holds the key. The error is a *TakenError.
	ErrTaken = errors.New("key is held")
	// ErrLeaseLost is the cause with which a lease's context ends when the lease could not be kept, and what its methods
	// return from then on.
	ErrLeaseLost = errors.New("lease lost")
	// ErrReleased is the cause with which a lease's context ends after Release.
	ErrReleased = errors.New("lease released")
	// ErrFenced is returned by Fence.Check for a token that is older than one it has seen.
	ErrFenced = errors.New("fencing token is out of date")
	// ErrNotHeld is returned by Amend for a key that nobody holds.
	ErrNotHeld = errors.New("key is not held")
	// ErrBadKey is returned for a key that is empty or longer than MaxKey, and for a value over MaxValue.
	ErrBadKey = errors.New("bad key or value")
	// ErrBadRecord is returned for a key whose record in the bucket this program cannot read: something else has written it.
	// The key stays as it is until that is deleted.
	ErrBadRecord = errors.New("record of a key cannot be read")
	// ErrClosed is returned by every call once the store or its node has been closed. It also matches node.ErrClosed.
	ErrClosed = fmt.Errorf("quorum: %w", node.ErrClosed)
)

// TakenError says who holds a key.
type TakenError struct {
	Key    string
	Holder Holder
}

// Error names the key and the holder.
func (e *TakenError) Error() string {
	return fmt.Sprintf("%s: %q by %s, token %d", ErrTaken.Error(), e.Key, e.Holder.Node, e.Holder.Token)
}

// Is makes the error match ErrTaken.
func (e *TakenError) Is(target error) bool { return target == ErrTaken }
