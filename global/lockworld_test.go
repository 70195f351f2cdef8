package global

import "testing"

// simLock is one handle in a world.
type simLock struct {
	s     *simNode
	life  uint64
	h     *hold
	got   bool
	err   error
	lost  bool
	given bool
}

// has says whether whoever asked believes to hold the lock.
func (l *simLock) has() bool { return l.got && !l.lost && !l.given && l.life == l.s.id.Incarnation }

// lock asks for a lock of all nodes.
func (s *simNode) lock(resource, requester string, retries int) *simLock {
	l := &simLock{s: s, life: s.id.Incarnation}
	l.h = &hold{
		resource: resource, requester: requester, retries: retries,
		done: func(_ Version, err error) { l.got, l.err = err == nil, err },
		lost: func() { l.lost = true },
	}
	s.do(func() { s.c.lock(l.h) })
	return l
}

func (l *simLock) unlock() {
	l.given = true
	l.s.do(func() { l.s.c.unlock(l.h) })
}

// holders are those who believe to hold a lock.
func holders(list ...*simLock) (n int) {
	for _, l := range list {
		if l.has() {
			n++
		}
	}
	return n
}

// checkLocks demands that nobody waits for, or holds, what is not held.
func (w *world) checkLocks() {
	for _, s := range w.nodes {
		for resource, state := range s.c.locks.table {
			for _, o := range state.holders {
				if !w.holds(o) {
					w.fail("%s: %s is held by %v, who does not know", s.name, resource, o)
				}
			}
			for _, o := range state.waiting {
				if !w.holds(o.holder) {
					w.fail("%s: %s is awaited by %v, who does not know", s.name, resource, o)
				}
			}
		}
	}
}

func (w *world) holds(o holder) bool {
	for _, s := range w.nodes {
		if s.id == o.node {
			return s.c.locks.held[o.id] != nil
		}
	}
	return false
}

// TestStalledLocks (GLOB-64): two nodes that did not hear of each other for a while, though their session goes on, may both
// take a lock; when they do again, one of the two loses it.
func TestStalledLocks(t *testing.T) {
	w := newWorld(t.Fatalf, 2)
	a, b := w.nodes[0].lock("r", "a", waitInLine), w.nodes[1].lock("r", "b", waitInLine)
	w.pass(simTick)
	if holders(a, b) != 2 {
		t.Fatalf("%d have it without each other", holders(a, b))
	}
	w.settle()
	if !a.has() || b.has() || !b.lost {
		t.Fatalf("a %+v, b %+v", a, b)
	}
	a.unlock()
	w.settle()
	w.checkLocks()
	for _, s := range w.nodes {
		if len(s.c.locks.table) != 0 {
			t.Errorf("%s: left over: %+v", s.name, s.c.locks.table)
		}
	}
}
