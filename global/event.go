package global

import "fmt"

// EventKind says what an Event is about.
type EventKind uint8

// The kinds of events.
const (
	// Registered: a name that nobody had has a process.
	Registered EventKind = iota + 1
	// Unregistered: nobody has the name any more. Reason says why.
	Unregistered
	// Moved: another process has the name now. Previous says which had it.
	Moved
	// Updated: the registration has other metadata.
	Updated
	// Overflow: the monitor's queue is full. No event follows until Resync, which tells what is true by then.
	Overflow
)

// String is the kind in lower case.
func (k EventKind) String() string {
	switch k {
	case Registered:
		return "registered"
	case Unregistered:
		return "unregistered"
	case Moved:
		return "moved"
	case Updated:
		return "updated"
	case Overflow:
		return "overflow"
	}
	return fmt.Sprintf("event-%d", uint8(k))
}

// Reason says why a process does not have its name any more.
type Reason uint8

// The reasons of Unregistered and Moved.
const (
	// ByCall: Unregister, ReRegister, or a Register that was given up.
	ByCall Reason = iota + 1
	// Exited: the process ended.
	Exited
	// NodeDown: there is no session with its node any more.
	NodeDown
	// Clashed: it had the name beside another one, and the resolver has decided.
	Clashed
	// LeaseEnded, in quorum mode: its node has not renewed the lease, since it is gone or cannot reach the stores.
	LeaseEnded
)

// String is the reason in words.
func (r Reason) String() string {
	switch r {
	case ByCall:
		return "by call"
	case Exited:
		return "exited"
	case NodeDown:
		return "node down"
	case Clashed:
		return "conflict"
	case LeaseEnded:
		return "lease ended"
	}
	return fmt.Sprintf("reason-%d", uint8(r))
}

// Event is one change of one name, as this node sees it.
type Event struct {
	Kind EventKind
	// Entry is the registration as it is now; of Unregistered as it was.
	Entry Entry
	// Previous is the registration before, of Moved and Updated.
	Previous Entry
	// Reason is why the name is gone, or not the previous process's any more.
	Reason Reason
}
