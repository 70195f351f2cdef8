package rpc

import (
	"sync"
	"sync/atomic"
)

// pendingShards spreads the calls in flight over locks; a power of two.
const pendingShards = 16

// pendingTable holds the calls that wait for an answer, by id. Whoever takes a call out of it, and only he, may
// complete it: so an answer, a timeout and the loss of the session cannot meet. T is what is held.
type pendingTable[T any] struct {
	last   atomic.Uint64
	shards [pendingShards]pendingShard[T]
}

type pendingShard[T any] struct {
	mu sync.Mutex // guards the fields below
	m  map[uint64]pendingEntry[T]
	// closed makes add fail, so that nothing waits for ever in a table that nobody will empty again.
	closed bool
	_      [32]byte // keeps the locks of two shards off one cache line
}

type pendingEntry[T any] struct {
	node     string
	deadline instant // zero: none that takeExpired should see to
	call     T
}

// nextID returns an id that no call of this table had before. It is never 0.
func (t *pendingTable[T]) nextID() uint64 { return t.last.Add(1) }

func (t *pendingTable[T]) shard(id uint64) *pendingShard[T] { return &t.shards[id%pendingShards] }

// add puts in a call to the node. It reports false once the table is closed.
func (t *pendingTable[T]) add(id uint64, node string, deadline instant, call T) bool {
	s := t.shard(id)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return false
	}
	if s.m == nil {
		s.m = make(map[uint64]pendingEntry[T])
	}
	s.m[id] = pendingEntry[T]{node, deadline, call}
	s.mu.Unlock()
	return true
}

// take removes the call of that id, if it is there and was made to that node.
func (t *pendingTable[T]) take(id uint64, node string) (T, bool) {
	s := t.shard(id)
	s.mu.Lock()
	e, ok := s.m[id]
	if !ok || e.node != node {
		s.mu.Unlock()
		var zero T
		return zero, false
	}
	delete(s.m, id)
	s.mu.Unlock()
	return e.call, true
}

// peek returns the call of that id without removing it.
func (t *pendingTable[T]) peek(id uint64, node string) (T, bool) {
	s := t.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.m[id]
	return e.call, ok && e.node == node
}

// takeNode removes and returns all calls to the node.
func (t *pendingTable[T]) takeNode(node string) []T {
	return t.takeIf(func(e pendingEntry[T]) bool { return e.node == node })
}

// takeExpired removes and returns the calls whose deadline has come.
func (t *pendingTable[T]) takeExpired(now instant) []T {
	return t.takeIf(func(e pendingEntry[T]) bool { return e.deadline != 0 && e.deadline <= now })
}

func (t *pendingTable[T]) takeIf(match func(pendingEntry[T]) bool) []T {
	var out []T
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for id, e := range s.m {
			if match(e) {
				out = append(out, e.call)
				delete(s.m, id)
			}
		}
		s.mu.Unlock()
	}
	return out
}

// close removes and returns all calls, and makes every later add fail.
func (t *pendingTable[T]) close() []T {
	var out []T
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for _, e := range s.m {
			out = append(out, e.call)
		}
		s.m, s.closed = nil, true
		s.mu.Unlock()
	}
	return out
}

// len counts the calls.
func (t *pendingTable[T]) len() int {
	n := 0
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		n += len(s.m)
		s.mu.Unlock()
	}
	return n
}
