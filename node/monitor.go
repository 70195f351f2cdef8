package node

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kith-mesh/kith/internal/queue"
)

// Event is a nodeup or a nodedown.
type Event struct {
	// Up is true for nodeup.
	Up bool
	// Peer is the session: up and down of one session carry the same connection id (NET-32).
	Peer Peer
	// Reason is why a session ended; empty for nodeup.
	Reason Reason
	// Evidence says in words for people what a nodedown rests on.
	Evidence string
	// Lost is the number of frames that are missing, for ReasonGap.
	Lost uint64
	// At is when this node decided it, on this node's clock.
	At time.Time
}

// Monitor is a subscription to nodeup and nodedown. Events come in the order in which this node decided them, and
// none is lost while the node runs: what is not read yet is kept.
type Monitor struct {
	n      *Node
	hidden func(bool) bool
	name   string
	queue  *queue.Queue[Event]
	events chan Event
	stop   chan struct{}
	ended  chan struct{}
	once   sync.Once

	connect bool
	attempt sync.WaitGroup // to connect
}

// MonitorOption narrows or widens a Monitor.
type MonitorOption func(*Monitor)

// WithHidden has a Monitor tell of hidden nodes too. Without it, only of visible ones (NET-23).
func WithHidden() MonitorOption {
	return func(m *Monitor) { m.hidden = func(bool) bool { return true } }
}

// OnlyHidden has a Monitor tell of hidden nodes only (NET-23).
func OnlyHidden() MonitorOption {
	return func(m *Monitor) { m.hidden = func(h bool) bool { return h } }
}

// OnlyNode has a Monitor tell of the node of one name only, hidden or not.
func OnlyNode(name string) MonitorOption {
	return func(m *Monitor) { m.name, m.hidden = name, func(bool) bool { return true } }
}

// Connecting has a Monitor of one node connect to it, if it is not connected. Where that fails, an event that is not Up,
// with ReasonNoConnection, says so once, with the error as its evidence (NET-37). It means something beside OnlyNode only,
// and nothing for this node itself.
func Connecting() MonitorOption {
	return func(m *Monitor) { m.connect = true }
}

// Monitor subscribes to nodeup and nodedown. Nodes that are connected already are not reported (NET-25): ask Nodes
// after subscribing. One whose session opens at that very moment may be in both. Several subscriptions are independent, each
// gets its own copy (NET-26, NET-27). It does not block.
func (n *Node) Monitor(opts ...MonitorOption) *Monitor {
	m := &Monitor{
		n: n, hidden: func(h bool) bool { return !h }, queue: queue.New[Event](), events: make(chan Event),
		stop: make(chan struct{}), ended: make(chan struct{}),
	}
	for _, o := range opts {
		o(m)
	}
	if !n.watchers.add(m) {
		close(m.events)
		close(m.ended)
		return m
	}
	go m.run()
	if m.connect && m.name != "" && m.name != n.id.Name {
		m.attempt.Go(m.reach)
	}
	return m
}

// reach connects to the one node of the Monitor.
func (m *Monitor) reach() {
	ctx, cancel := context.WithCancel(m.n.ctx)
	m.attempt.Go(func() {
		select {
		case <-m.stop:
			cancel()
		case <-ctx.Done():
		}
	})
	defer cancel()
	if _, err := m.n.Connect(ctx, m.name); err != nil && ctx.Err() == nil {
		m.queue.Push(Event{Peer: Peer{ID: ID{Name: m.name}}, Reason: ReasonNoConnection, Evidence: err.Error(), At: time.Now()})
	}
}

// Events is where the events come. The channel is closed by Close, and when the node has stopped.
func (m *Monitor) Events() <-chan Event { return m.events }

// Close ends the subscription. It may be called again, from any goroutine.
func (m *Monitor) Close() {
	m.n.watchers.remove(m)
	m.finish()
}

func (m *Monitor) run() {
	defer close(m.ended)
	defer close(m.events)
	for {
		select {
		case <-m.queue.Wake():
		case <-m.stop:
			return
		}
		for _, e := range m.queue.Take(nil) {
			select {
			case m.events <- e:
			case <-m.stop:
				return
			}
		}
	}
}

// finish ends the delivery, and waits for its end.
func (m *Monitor) finish() {
	m.once.Do(func() { close(m.stop) })
	<-m.ended
	m.attempt.Wait()
}

func (m *Monitor) wants(e Event) bool {
	return m.hidden(e.Peer.Hidden) && (m.name == "" || m.name == e.Peer.Name)
}

// watchers is the set of monitors.
type watchers struct {
	mu     sync.Mutex // guards the fields below
	list   map[*Monitor]bool
	closed bool
}

func (w *watchers) add(m *Monitor) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	if w.list == nil {
		w.list = map[*Monitor]bool{}
	}
	w.list[m] = true
	return true
}

func (w *watchers) remove(m *Monitor) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.list, m)
}

// close ends all monitors.
func (w *watchers) close() {
	w.mu.Lock()
	w.closed = true
	list := w.list
	w.list = nil
	w.mu.Unlock()
	for m := range list {
		m.finish()
	}
}

// tell sends an event to those who want it. Only the dispatcher calls it, so all see one order.
func (n *Node) tell(e Event) {
	n.watchers.mu.Lock()
	defer n.watchers.mu.Unlock()
	for m := range n.watchers.list {
		if m.wants(e) {
			m.queue.Push(e)
		}
	}
}

// notice lets goroutines wait for a change of something they can look at.
type notice struct {
	ch atomic.Pointer[chan struct{}]
}

func (c *notice) init() {
	ch := make(chan struct{})
	c.ch.Store(&ch)
}

// wait returns a channel that is closed at the next change. Take it before looking.
func (c *notice) wait() <-chan struct{} { return *c.ch.Load() }

func (c *notice) fire() {
	next := make(chan struct{})
	close(*c.ch.Swap(&next))
}

// changed wakes those who wait for a state of the node.
func (n *Node) changed() { n.change.fire() }
