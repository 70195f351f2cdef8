package supervisor

import (
	"errors"
	"fmt"
	"time"

	"github.com/kith-mesh/kith/process"
)

var (
	// ErrBadSpec is returned by Start for a description that makes no sense, such as two children of one id.
	ErrBadSpec = errors.New("bad supervisor")
	// ErrNoChild is returned for an id that no child has.
	ErrNoChild = errors.New("no such child")
	// ErrRunning is returned for a child that runs, where it must not, or whose id is taken by one that runs.
	ErrRunning = errors.New("child is running")
	// ErrPresent is returned by StartChild for an id that a stopped child has: restart it, or delete it first.
	ErrPresent = errors.New("child is present, but does not run")
	// ErrIntensity is the reason of a supervisor that gave up: its children ended more often than its Intensity allows.
	// The reason is an *IntensityError, and also a process.ErrShutdown.
	ErrIntensity = errors.New("too many restarts")
)

// IntensityError is the exit reason of a supervisor that gave up.
type IntensityError struct {
	// Child is the id of the child that ended once too often, and Reason is why.
	Child  string
	Reason error
	// Restarts and Within are the intensity that was exceeded.
	Restarts int
	Within   time.Duration
}

// Error tells the child and the reason.
func (e *IntensityError) Error() string {
	return fmt.Sprintf("%v: more than %d in %v, the last of %q: %v", ErrIntensity, e.Restarts, e.Within, e.Child, e.Reason)
}

// Is makes it an ErrIntensity and a process.ErrShutdown.
func (e *IntensityError) Is(target error) bool {
	return target == ErrIntensity || target == process.ErrShutdown
}

// StartError is returned by Start when a child could not be started. Those started before it have been stopped.
type StartError struct {
	Child string
	Err   error
}

// Error tells the child and the reason.
func (e *StartError) Error() string { return fmt.Sprintf("starting child %q: %v", e.Child, e.Err) }

// Unwrap is the reason.
func (e *StartError) Unwrap() error { return e.Err }
