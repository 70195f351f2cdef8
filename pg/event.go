package pg

import (
	"fmt"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// EventKind says what an Event is about.
type EventKind uint8

// The kinds of events.
const (
	// Joined: processes became members, or members once more (PG-03).
	Joined EventKind = iota + 1
	// Left: members left, ended, or were lost with their node.
	Left
	// Updated: a member has other metadata now.
	Updated
	// Missed: broadcasts of another node to the group did not come here, because this node did not take in what was
	// sent to it fast enough. Count is how many.
	Missed
	// Overflow: the monitor's queue is full. No event follows until Resync, which tells what is true by then.
	Overflow
)

// String is the kind in lower case.
func (k EventKind) String() string {
	switch k {
	case Joined:
		return "joined"
	case Left:
		return "left"
	case Updated:
		return "updated"
	case Missed:
		return "missed"
	case Overflow:
		return "overflow"
	}
	return fmt.Sprintf("event-%d", uint8(k))
}

// Event is one change of one group, as a Monitor tells it. Several monitors share its slices and maps: they must not
// be changed.
type Event struct {
	Kind  EventKind
	Group string
	// PIDs are the processes that joined or left, each as often as it did; exactly those that were added or removed
	// (PG-51). They are all of one node.
	PIDs []process.PID
	// Meta is the metadata of those that joined or were updated, where they have any.
	Meta map[process.PID]Meta
	// Node is the node of the processes; of Missed the node whose broadcasts were missed.
	Node node.ID
	// Reason is set when members left because their node was lost.
	Reason node.Reason
	// Count is the number of broadcasts of Missed.
	Count uint64
}

// pid makes the full identity of a process of a node.
func pid(o node.ID, id uint64) process.PID {
	return process.PID{Node: o.Name, Incarnation: o.Incarnation, ID: id}
}

// event makes what monitors are told out of a change.
func (c *change) event(reason node.Reason) Event {
	ev := Event{Kind: c.kind, Group: c.key.name, Node: c.origin.id}
	ev.PIDs = make([]process.PID, len(c.ids))
	for i, id := range c.ids {
		ev.PIDs[i] = pid(c.origin.id, id)
	}
	if len(c.meta) > 0 {
		ev.Meta = make(map[process.PID]Meta, len(c.meta))
		for id, m := range c.meta {
			ev.Meta[pid(c.origin.id, id)] = m
		}
	}
	if c.kind == Left {
		ev.Reason = reason
	}
	return ev
}
