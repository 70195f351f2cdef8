package process

import (
	"errors"
	"fmt"
)

// Reasons for which a process ends, or is reported as ended. They are compared with errors.Is, also when they arrive
// from another node.
var (
	// ErrNormal is the reason of a process that came to its end: its function returned nil, its behaviour returned
	// ErrNormal.
	ErrNormal = errors.New("normal")
	// ErrShutdown is the reason of a process that was asked to stop in good order, by a supervisor or by the runtime.
	ErrShutdown = errors.New("shutdown")
	// ErrKill, passed to Exit, ends a process that cannot refuse (LINK-18). Whoever watches it sees ErrKilled.
	ErrKill = errors.New("kill")
	// ErrKilled is the reason of a process that was ended by ErrKill, or with its runtime.
	ErrKilled = errors.New("killed")
	// ErrNoProcess says that there is no such process or name, or there was none when a monitor or link was set up
	// (Erlang's noproc).
	ErrNoProcess = errors.New("no such process")
	// ErrGoexit is the reason of a process whose function ended its goroutine with runtime.Goexit.
	ErrGoexit = errors.New("goroutine exited")
	// ErrNoConnection says that the node of the process cannot be reached, or the session with it ended. The process
	// itself may well be alive (Erlang's noconnection).
	ErrNoConnection = errors.New("no connection to the node")
)

// Errors of calls.
var (
	// ErrClosed is returned by every call once the runtime, or its node, has been closed.
	ErrClosed = errors.New("process runtime is closed")
	// ErrNameTaken is returned by Register for a name that another process has (SEND-01).
	ErrNameTaken = errors.New("name is taken")
	// ErrHasName is returned by Register for a process that has a name already (SEND-01).
	ErrHasName = errors.New("process already has a name")
	// ErrBadName is returned for a name that is empty, longer than MaxName bytes, or reserved.
	ErrBadName = errors.New("bad process name")
	// ErrBadPID is returned by ParsePID for text that is not a PID.
	ErrBadPID = errors.New("bad PID")
	// ErrNotLocal is returned where only a process of this node will do.
	ErrNotLocal = errors.New("process is not on this node")
	// ErrMailboxFull is returned when a bounded mailbox refuses a message (Refuse). Nothing was delivered.
	ErrMailboxFull = errors.New("mailbox is full")
	// ErrUnregisteredType is returned by Encode, and by Send to another node, for a message whose Go type has no name:
	// see RegisterType. Nothing was sent.
	ErrUnregisteredType = errors.New("message type is not registered")
	// ErrTypeTaken is returned by RegisterType when the name or the type is registered otherwise already.
	ErrTypeTaken = errors.New("message type or name is registered already")
	// ErrNoProcessType is returned by SpawnAt for a process type that the node has not registered.
	ErrNoProcessType = errors.New("no such process type")
	// ErrBadMessage is returned by Encode for a value that CBOR cannot carry and by Decode for bytes that are not an
	// encoded message.
	ErrBadMessage = errors.New("bad message")
)

// NameTakenError is the ErrNameTaken of Register. It says who has the name.
type NameTakenError struct {
	Name   string
	Holder PID
}

// Error names both.
func (e *NameTakenError) Error() string {
	return fmt.Sprintf("%v: %q by %v", ErrNameTaken, e.Name, e.Holder)
}

// Is makes it an ErrNameTaken.
func (e *NameTakenError) Is(target error) bool { return target == ErrNameTaken }

// PanicError is the exit reason of a process whose function or behaviour panicked. The program lives on.
type PanicError struct {
	// Value is what was passed to panic. When it comes from another node it is the text of that value.
	Value any
	// Stack is the stack of the goroutine at the panic, as runtime/debug.Stack prints it.
	Stack []byte
}

// Error names the value, not the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value if it is an error, such as a runtime.Error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
