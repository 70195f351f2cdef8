// Package queue holds an unbounded queue with a channel to wait on. It is for places where the producer must never
// block and nothing may be dropped; who uses it says what bounds it.
package queue

import "sync"

// Queue is a first-in, first-out queue. The zero value is not ready: use New. All methods may be called concurrently.
type Queue[T any] struct {
	wake chan struct{}

	mu    sync.Mutex // guards the fields below
	items []T
}

// New returns an empty queue.
func New[T any]() *Queue[T] { return &Queue[T]{wake: make(chan struct{}, 1)} }

// Push appends an item and returns the length of the queue. It never blocks.
func (q *Queue[T]) Push(item T) int {
	q.mu.Lock()
	q.items = append(q.items, item)
	n := len(q.items)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return n
}

// Take removes and returns all items. spare, if not nil, is reused for the items to come.
func (q *Queue[T]) Take(spare []T) []T {
	clear(spare)
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.items
	q.items = spare[:0]
	return items
}

// Len is the number of items now.
func (q *Queue[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

// Wake returns a channel that yields after a Push. One value may stand for several items, or for items that are
// already gone.
func (q *Queue[T]) Wake() <-chan struct{} { return q.wake }
