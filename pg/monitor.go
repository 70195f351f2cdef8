package pg

import (
	"strings"
	"sync"

	"github.com/kith-mesh/kith/internal/feed"
	"github.com/kith-mesh/kith/process"
)

// DefaultQueue is how many events a Monitor holds for a reader who is behind, unless Queue says otherwise.
const DefaultQueue = 1 << 16

// Monitor tells the changes of one group, of the groups with a prefix, or of all groups of a scope: every change
// after the snapshot that came with it, once, in the order in which this node made them (PG-42, PG-44). Each monitor
// gets its own events (PG-45). It ends with Close, or with its scope; then its channel is closed.
//
// Nothing is ever cut silently. A reader who falls behind by more than the queue holds gets one Overflow event as the
// last of what fitted, and continues with Resync.
type Monitor struct {
	s      *Scope
	what   filter
	limit  int
	owner  process.PID
	events *feed.Feed[Event]
	once   sync.Once
	disown func() // ends the watch on the owner
}

// filter says which groups a monitor is about.
type filter struct {
	kind filterKind
	name string
}

type filterKind uint8

const (
	oneGroup filterKind = iota
	withPrefix
	allGroups
)

func (f filter) match(group string) bool {
	switch f.kind {
	case oneGroup:
		return f.name == group
	case withPrefix:
		return strings.HasPrefix(group, f.name)
	}
	return true
}

// MonitorOption changes a monitor.
type MonitorOption func(*Monitor)

// Queue sets how many events wait for a reader who is behind; 0 or less is without limit.
func Queue(events int) MonitorOption { return func(m *Monitor) { m.limit = events } }

// OwnedBy closes the monitor when a local process ends (PG-47).
func OwnedBy(pid process.PID) MonitorOption { return func(m *Monitor) { m.owner = pid } }

// Events is where the events come. The channel is closed when the monitor ends.
func (m *Monitor) Events() <-chan Event { return m.events.Events() }

// Dropped is how many events did not fit into the queue so far.
func (m *Monitor) Dropped() uint64 { return m.events.Dropped() }

// Close ends the monitor and discards what was not read. It may be called more than once, and by anybody.
func (m *Monitor) Close() {
	m.s.forget(m)
	m.end()
}

// end closes the monitor without touching its scope.
func (m *Monitor) end() {
	m.once.Do(func() {
		m.events.Close()
		if m.disown != nil {
			m.disown()
		}
	})
}

// Resync starts afresh: it discards what was not read and returns the members as they are now; the events that follow
// are the changes after that. It is the way on after Overflow, and allowed at any time. The error is ErrClosed when
// the monitor has ended.
func (m *Monitor) Resync() (members map[string][]process.PID, err error) {
	if !m.events.Restart(m.s.mu.RLocker(), func() { members = m.s.snapshot(m.what) }) {
		return nil, ErrClosed
	}
	return members, nil
}

// monitors are those of one scope, found by what they are about.
type monitors struct {
	byGroup map[string][]*Monitor
	others  []*Monitor
	size    int
}

func (ms *monitors) add(m *Monitor) {
	ms.size++
	if m.what.kind != oneGroup {
		ms.others = append(ms.others, m)
		return
	}
	if ms.byGroup == nil {
		ms.byGroup = make(map[string][]*Monitor)
	}
	ms.byGroup[m.what.name] = append(ms.byGroup[m.what.name], m)
}

func (ms *monitors) remove(m *Monitor) {
	list := ms.others
	if m.what.kind == oneGroup {
		list = ms.byGroup[m.what.name]
	}
	for i := range list {
		if list[i] != m {
			continue
		}
		rest := append(append([]*Monitor(nil), list[:i]...), list[i+1:]...)
		switch {
		case m.what.kind != oneGroup:
			ms.others = rest
		case len(rest) == 0:
			delete(ms.byGroup, m.what.name)
		default:
			ms.byGroup[m.what.name] = rest
		}
		ms.size--
		return
	}
}

// interested reports whether an event of a group would go to anybody.
func (ms *monitors) interested(group string) bool {
	if ms.size == 0 {
		return false
	}
	if len(ms.byGroup[group]) > 0 {
		return true
	}
	for _, m := range ms.others {
		if m.what.match(group) {
			return true
		}
	}
	return false
}

// tell gives an event to all that are about its group.
func (ms *monitors) tell(ev Event) {
	for _, m := range ms.byGroup[ev.Group] {
		m.events.Push(ev)
	}
	for _, m := range ms.others {
		if m.what.match(ev.Group) {
			m.events.Push(ev)
		}
	}
}

func (ms *monitors) all() []*Monitor {
	list := append([]*Monitor(nil), ms.others...)
	for _, l := range ms.byGroup {
		list = append(list, l...)
	}
	return list
}
