package pg

import "sync"

// lane is the way to one node over a group's topic, from the moment that node has told of its subscription. The node
// may unsubscribe only when nothing is under way to it any more: a broadcast that lists it and does not reach it
// would be a gap and end the session. So those who broadcast enter the lane and leave it, and closing it waits for
// them, without blocking.
type lane struct {
	gen uint64 // of the node's subscription

	mu     sync.Mutex // guards the fields below
	flying int
	closed bool
	then   func()
}

func newLane(gen uint64) *lane { return &lane{gen: gen} }

// enter is called with the scope locked for reading, while the lane is part of the table, and so before close.
func (l *lane) enter() {
	l.mu.Lock()
	l.flying++
	l.mu.Unlock()
}

// leave is called when the broadcast has been handed to the node.
func (l *lane) leave() {
	l.mu.Lock()
	l.flying--
	var then func()
	if l.closed && l.flying == 0 {
		then, l.then = l.then, nil
	}
	l.mu.Unlock()
	if then != nil {
		then()
	}
}

// close calls then once nobody is in the lane: now, or from the last leave. It is called once, with the scope locked.
func (l *lane) close(then func()) {
	l.mu.Lock()
	l.closed = true
	if l.flying > 0 {
		l.then, then = then, nil
	}
	l.mu.Unlock()
	if then != nil {
		then()
	}
}
