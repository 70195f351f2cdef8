package chat

import (
	"errors"
	"fmt"

	"github.com/kith-mesh/kith/chat/internal/talk"
)

var (
	// ErrBadName is returned for a nick or a room that is not 1 to 32 printable characters without space, [ and ], or
	// that begins with /.
	ErrBadName = talk.ErrBadName
	// ErrNickTaken is returned when another user of the mesh has the nick. The error is a *NickTakenError.
	ErrNickTaken = errors.New("nick is taken")
	// ErrOutput is returned when what is to be shown cannot be written.
	ErrOutput = errors.New("output is closed")
)

// NickTakenError says who has a nick, and which one is free. It matches ErrNickTaken.
type NickTakenError struct {
	// Nick is the one that is taken.
	Nick string
	// Node is the node of the user who has it.
	Node string
	// Suggestion is a similar nick that nobody is known to have.
	Suggestion string
}

// Error names the nick, its holder and the suggestion.
func (e *NickTakenError) Error() string {
	return fmt.Sprintf("%v: %s is a user on %s; try --nick %s", ErrNickTaken, e.Nick, e.Node, e.Suggestion)
}

// Is makes errors.Is(err, ErrNickTaken) true.
func (e *NickTakenError) Is(target error) bool { return target == ErrNickTaken }
