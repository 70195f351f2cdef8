package global

import (
	"slices"
	"strings"

	"github.com/kith-mesh/kith/internal/feed"
)

// DefaultQueue is how many events a Monitor holds for a reader who is behind, unless Queue says otherwise.
const DefaultQueue = 1 << 16

// Monitor tells the changes of one name, or of all names with a prefix: every change after the snapshot that came with
// it, once, in the order in which this node made them. It ends with Close, or with the registry; then its channel is
// closed. A reader who falls behind by more than the queue holds gets one Overflow as the last of what fitted, and
// continues with Resync: nothing is cut silently.
type Monitor struct {
	r      *Registry
	name   string
	exact  bool
	limit  int
	events *feed.Feed[Event]
}

// MonitorOption changes a monitor.
type MonitorOption func(*Monitor)

// Queue sets how many events wait for a reader who is behind; 0 or less is without limit.
func Queue(events int) MonitorOption { return func(m *Monitor) { m.limit = events } }

// Monitor watches all names that begin with prefix; the empty prefix is all. It returns those there are, by name, and
// the monitor tells all changes after that.
func (r *Registry) Monitor(prefix string, opts ...MonitorOption) (*Monitor, []Entry) {
	return r.monitor(&Monitor{r: r, name: prefix}, opts)
}

// MonitorName watches one name, which need not be registered. ok says whether it is; then e is its registration.
func (r *Registry) MonitorName(name string, opts ...MonitorOption) (m *Monitor, e Entry, ok bool) {
	m, list := r.monitor(&Monitor{r: r, name: name, exact: true}, opts)
	if len(list) == 0 {
		return m, Entry{}, false
	}
	return m, list[0], true
}

func (r *Registry) monitor(m *Monitor, opts []MonitorOption) (*Monitor, []Entry) {
	m.limit = DefaultQueue
	for _, opt := range opts {
		opt(m)
	}
	m.events = feed.New(m.limit, Event{Kind: Overflow})
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		m.events.Close()
		m.events.Run()
		return m, nil
	}
	r.monitors.add(m)
	go m.events.Run()
	return m, m.snapshot()
}

// snapshot lists what the monitor is about. The registry's lock is held.
func (m *Monitor) snapshot() []Entry {
	list := []Entry{}
	if m.exact {
		if e := m.r.shown(m.name); e != nil {
			list = append(list, e.Entry)
		}
		return list
	}
	m.r.view.Range(func(name, e any) bool { // which changes only under the registry's lock
		if strings.HasPrefix(name.(string), m.name) {
			list = append(list, e.(*entry).Entry)
		}
		return true
	})
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Events is where the events come. The channel is closed when the monitor ends.
func (m *Monitor) Events() <-chan Event { return m.events.Events() }

// Dropped is how many events did not fit into the queue so far.
func (m *Monitor) Dropped() uint64 { return m.events.Dropped() }

// Close ends the monitor and discards what was not read. It may be called more than once, and by anybody.
func (m *Monitor) Close() {
	m.r.mu.Lock()
	m.r.monitors.remove(m)
	m.r.mu.Unlock()
	m.events.Close()
}

// Resync starts afresh: it discards what was not read and returns the registrations as they are now; the events that
// follow are the changes after that. It is the way on after Overflow, and allowed at any time. The error is ErrClosed
// when the monitor has ended.
func (m *Monitor) Resync() (list []Entry, err error) {
	if !m.events.Restart(&m.r.mu, func() { list = m.snapshot() }) {
		return nil, ErrClosed
	}
	return list, nil
}

// monitors are those of a registry: by name, and those with a prefix.
type monitors struct {
	byName map[string][]*Monitor
	others []*Monitor
}

func (ms *monitors) add(m *Monitor) {
	if !m.exact {
		ms.others = append(ms.others, m)
		return
	}
	if ms.byName == nil {
		ms.byName = map[string][]*Monitor{}
	}
	ms.byName[m.name] = append(ms.byName[m.name], m)
}

func (ms *monitors) remove(m *Monitor) {
	same := func(o *Monitor) bool { return o == m }
	if !m.exact {
		ms.others = slices.DeleteFunc(ms.others, same)
		return
	}
	if list := slices.DeleteFunc(ms.byName[m.name], same); len(list) > 0 {
		ms.byName[m.name] = list
	} else {
		delete(ms.byName, m.name)
	}
}

func (ms *monitors) tell(ev Event) {
	for _, m := range ms.byName[ev.Entry.Name] {
		m.events.Push(ev)
	}
	for _, m := range ms.others {
		if strings.HasPrefix(ev.Entry.Name, m.name) {
			m.events.Push(ev)
		}
	}
}

func (ms *monitors) all() []*Monitor {
	list := slices.Clone(ms.others)
	for _, l := range ms.byName {
		list = append(list, l...)
	}
	return list
}
