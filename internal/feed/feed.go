// Package feed holds a queue of events with a bound and a channel to read them from. Nothing is cut silently: in place of
// what does not fit comes one event that says so, and no other until the reader has started afresh.
package feed

import "sync"

// Feed is a queue of events for one reader. All methods may be called concurrently.
type Feed[E any] struct {
	limit    int
	overflow E
	events   chan E
	pause    chan chan struct{} // Restart stops Run through it
	wake     chan struct{}
	done     chan struct{}
	once     sync.Once

	mu      sync.Mutex // guards the fields below
	queue   []E
	head    int  // of what is still in the queue
	full    bool // overflow has been told
	dropped uint64
}

// New makes a feed that holds up to limit events that were not read, or any number if limit is 0 or less. overflow is what
// the reader gets in place of the first that does not fit.
func New[E any](limit int, overflow E) *Feed[E] {
	return &Feed[E]{
		limit: limit, overflow: overflow, events: make(chan E), pause: make(chan chan struct{}),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// Events is where Run hands out the events.
func (f *Feed[E]) Events() <-chan E { return f.events }

// Dropped is how many events did not fit so far.
func (f *Feed[E]) Dropped() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dropped
}

// Len is how many events wait.
func (f *Feed[E]) Len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.queue) - f.head
}

// Push adds an event. It never blocks, and drops from the overflow on until Restart.
func (f *Feed[E]) Push(ev E) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full || f.limit > 0 && len(f.queue)-f.head >= f.limit {
		if f.dropped++; f.full {
			return
		}
		f.full, ev = true, f.overflow
	}
	if f.head > 64 && f.head > len(f.queue)/2 {
		n := copy(f.queue, f.queue[f.head:])
		clear(f.queue[n:])
		f.queue, f.head = f.queue[:n], 0
	}
	f.queue = append(f.queue, ev)
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Restart discards what was not read, and calls snapshot, both with owner locked, which whoever calls Push has locked too:
// the events that follow are those after the snapshot. It reports whether the feed was still open.
func (f *Feed[E]) Restart(owner sync.Locker, snapshot func()) (open bool) {
	resume := make(chan struct{})
	select {
	case f.pause <- resume:
	case <-f.done:
		return false
	}
	defer close(resume)
	owner.Lock()
	defer owner.Unlock()
	f.mu.Lock()
	f.queue, f.head, f.full = nil, 0, false
	f.mu.Unlock()
	snapshot()
	return true
}

// Close ends the feed and discards what was not read. It may be called more than once.
func (f *Feed[E]) Close() { f.once.Do(func() { close(f.done) }) }

// Run hands the events to the reader until Close, and closes the channel. It is to be called once.
func (f *Feed[E]) Run() {
	defer close(f.events)
	for {
		var out chan<- E
		ev, ok := f.take()
		if ok {
			out = f.events
		}
		select {
		case out <- ev:
		case <-f.idle(ok):
		case resume := <-f.pause: // ev is from before
			<-resume
		case <-f.done:
			return
		}
	}
}

// idle is the wake channel while there is nothing to hand out.
func (f *Feed[E]) idle(busy bool) <-chan struct{} {
	if busy {
		return nil
	}
	return f.wake
}

// take is what waits, one event at a time, so that the queue counts what was not read.
func (f *Feed[E]) take() (ev E, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.head == len(f.queue) {
		f.queue, f.head = f.queue[:0], 0
		return ev, false
	}
	ev = f.queue[f.head]
	clear(f.queue[f.head : f.head+1])
	f.head++
	return ev, true
}
