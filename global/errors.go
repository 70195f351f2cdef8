package global

import (
	"errors"
	"fmt"

	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/quorum"
)

var (
	// ErrClosed is returned by every call once the registry, or its node, has been closed.
	ErrClosed = errors.New("name registry is closed")
	// ErrTaken is returned by Register for a name that a process has, also when it is the same process (GLOB-02,
	// GLOB-03). It comes as a *TakenError, which says who holds the name.
	ErrTaken = errors.New("name is taken")
	// ErrHasName is returned by Register for a process that has a global name already, unless the registry was made
	// with SeveralNames (GLOB-04).
	ErrHasName = errors.New("process already has a global name")
	// ErrNoName is returned by Send and SetMeta for a name that nobody has.
	ErrNoName = errors.New("no such global name")
	// ErrNoProcess is returned by Register for a process that does not exist (GLOB-13).
	ErrNoProcess = process.ErrNoProcess
	// ErrNotConnected is returned when the process lives on a node without a session, or whose registry has another name
	// space, or in quorum mode without a registry in that mode, or when the session ended during the call; then it is not known whether the name was registered, and
	// Whereis tells once the node is back.
	ErrNotConnected = errors.New("not connected to the node of the process")
	// ErrBusy is returned by Register and ReRegister in quorum mode for a process of another node which has too many
	// registrations for others under way, 1024. Nothing has happened.
	ErrBusy = errors.New("the node of the process has too many registrations under way")
	// ErrNoQuorum is returned in quorum mode when no majority of the stores answered in time: what was asked for may or may
	// not have happened. It matches quorum.ErrNoQuorum.
	ErrNoQuorum = quorum.ErrNoQuorum
	// ErrBadName is returned for a name that is empty or longer than MaxName bytes.
	ErrBadName = errors.New("bad global name")
	// ErrBadArgument is returned for metadata over MaxMeta, a bad requester, an empty set of nodes, negative retries.
	ErrBadArgument = errors.New("bad argument")
	// ErrConflict is the reason with which a process ends that lost its name when two partitions met (GLOB-36).
	ErrConflict = errors.New("another process has the global name")
	// ErrLocked is returned by Lock when the retries are used up and others hold the lock (GLOB-54).
	ErrLocked = errors.New("resource is locked")
	// ErrLockLost is the cause of the context of a lock that another partition holds too, and keeps (GLOB-64). In quorum
	// mode the cause is quorum.ErrLeaseLost.
	ErrLockLost = errors.New("lock is lost")
	// errBadFrame is a frame of a peer that makes no sense.
	errBadFrame = errors.New("bad frame")
	// errApart is what a node says that is asked about a name space that it does not have.
	errApart = fmt.Errorf("%w: its registry has another name space", ErrNotConnected)
)

// TakenError says who has the name. It is an ErrTaken.
type TakenError struct {
	Name   string
	Holder process.PID
}

// Error names the holder.
func (e *TakenError) Error() string { return fmt.Sprintf("name %q is taken by %v", e.Name, e.Holder) }

// Is makes the error an ErrTaken.
func (e *TakenError) Is(target error) bool { return target == ErrTaken }
