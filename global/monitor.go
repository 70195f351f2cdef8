package global

import (
	"slices"
	"strings"
	"sync"
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
	events chan Event
	pause  chan chan struct{} // Resync stops the pump through it
	wake   chan struct{}
	done   chan struct{}
	once   sync.Once

	mu       sync.Mutex // guards the fields below
	queue    []Event
	overflow bool
	dropped  uint64
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
	m.limit, m.events, m.pause = DefaultQueue, make(chan Event), make(chan chan struct{})
	m.wake, m.done = make(chan struct{}, 1), make(chan struct{})
	for _, opt := range opts {
		opt(m)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		m.end()
		close(m.events)
		return m, nil
	}
	r.monitors.add(m)
	go m.pump()
	return m, m.snapshot()
}

// snapshot lists what the monitor is about. The registry's lock is held.
func (m *Monitor) snapshot() []Entry {
	list := []Entry{}
	if m.exact {
		if e := m.r.core.shown(m.name); e != nil {
			list = append(list, e.Entry)
		}
		return list
	}
	for name, candidates := range m.r.core.names {
		if strings.HasPrefix(name, m.name) {
			list = append(list, candidates[0].Entry)
		}
	}
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Events is where the events come. The channel is closed when the monitor ends.
func (m *Monitor) Events() <-chan Event { return m.events }

// Dropped is how many events did not fit into the queue so far.
func (m *Monitor) Dropped() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dropped
}

// Close ends the monitor and discards what was not read. It may be called more than once, and by anybody.
func (m *Monitor) Close() {
	m.r.mu.Lock()
	m.r.monitors.remove(m)
	m.r.mu.Unlock()
	m.end()
}

func (m *Monitor) end() { m.once.Do(func() { close(m.done) }) }

// Resync starts afresh: it discards what was not read and returns the registrations as they are now; the events that
// follow are the changes after that. It is the way on after Overflow, and allowed at any time. The error is ErrClosed
// when the monitor has ended.
func (m *Monitor) Resync() ([]Entry, error) {
	resume := make(chan struct{})
	select {
	case m.pause <- resume:
	case <-m.done:
		return nil, ErrClosed
	}
	defer close(resume)
	m.r.mu.Lock()
	defer m.r.mu.Unlock()
	m.mu.Lock()
	m.queue, m.overflow = nil, false
	m.mu.Unlock()
	return m.snapshot(), nil
}

// push adds an event. The registry's lock is held. It never blocks, and drops only behind an Overflow.
func (m *Monitor) push(ev Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.overflow || m.limit > 0 && len(m.queue) >= m.limit {
		if m.dropped++; m.overflow {
			return
		}
		m.overflow = true
		ev = Event{Kind: Overflow}
	}
	m.queue = append(m.queue, ev)
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// take is what waits, one event at a time, so that the queue counts what was not read.
func (m *Monitor) take() (ev Event, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.queue) == 0 {
		return Event{}, false
	}
	ev = m.queue[0]
	m.queue[0] = Event{}
	if m.queue = m.queue[1:]; len(m.queue) == 0 {
		m.queue = nil
	}
	return ev, true
}

// pump hands events to the reader. While Resync has it paused, it holds none.
func (m *Monitor) pump() {
	defer close(m.events)
	for {
		ev, ok := m.take()
		if !ok {
			select {
			case <-m.wake:
			case resume := <-m.pause:
				<-resume
			case <-m.done:
				return
			}
			continue
		}
		select {
		case m.events <- ev:
		case resume := <-m.pause: // ev is from before
			<-resume
		case <-m.done:
			return
		}
	}
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
		m.push(ev)
	}
	for _, m := range ms.others {
		if strings.HasPrefix(ev.Entry.Name, m.name) {
			m.push(ev)
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
