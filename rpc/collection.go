package rpc

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
)

// Collection is a set of requests, each with a label, whose answers are taken as they come. Its zero value is empty
// and ready. Any goroutine may use it, and several at once. What is taken out of it is gone from it (ERPC-40).
type Collection[L any] struct {
	mu      sync.Mutex // guards the fields below
	entries map[*Future]L
	order   []*Future // in the order of Add, for Requests
	ready   []*Future // ended and not taken, in the order of completion
	wake    chan struct{}
}

// Response is one answer taken from a Collection. Err is what Call would have returned: a request that fails fails
// alone (ERPC-38).
type Response[L any] struct {
	Label  L
	Future *Future
	Err    error
	Result
}

// Add puts a request in. The same request twice is ErrBadArgument (ERPC-33).
func (c *Collection[L]) Add(f *Future, label L) error {
	c.mu.Lock()
	if _, ok := c.entries[f]; ok {
		c.mu.Unlock()
		return fmt.Errorf("%w: the request is in the collection already", ErrBadArgument)
	}
	if c.entries == nil {
		c.entries = make(map[*Future]L)
	}
	c.entries[f] = label
	c.order = append(c.order, f)
	c.waker()
	c.mu.Unlock()
	f.watch(func() { c.completed(f) })
	return nil
}

// waker returns the channel that tells of news. The lock must be held.
func (c *Collection[L]) waker() chan struct{} {
	if c.wake == nil {
		c.wake = make(chan struct{}, 1)
	}
	return c.wake
}

func (c *Collection[L]) completed(f *Future) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.entries[f]; ok {
		c.ready = append(c.ready, f)
		c.signal()
	}
}

// signal wakes one who waits. The lock must be held.
func (c *Collection[L]) signal() {
	select {
	case c.waker() <- struct{}{}:
	default:
	}
}

// Len is the number of requests whose answers have not been taken.
func (c *Collection[L]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
}

// Requests yields the requests and their labels in the order in which they were added.
func (c *Collection[L]) Requests() iter.Seq2[*Future, L] {
	return func(yield func(*Future, L) bool) {
		c.mu.Lock()
		order := append([]*Future(nil), c.order...)
		c.mu.Unlock()
		for _, f := range order {
			c.mu.Lock()
			label, ok := c.entries[f]
			c.mu.Unlock()
			if ok && !yield(f, label) {
				return
			}
		}
	}
}

// Wait takes the answer that came first, and waits for one if there is none (ERPC-34). When ctx ends first, it returns
// ErrNoResponse and abandons nothing (ERPC-37); an empty collection is ErrNoRequest at once (ERPC-35).
func (c *Collection[L]) Wait(ctx context.Context) (Response[L], error) {
	for {
		r, ok, err := c.Check()
		if ok || err != nil {
			return r, err
		}
		c.mu.Lock()
		wake := c.waker()
		c.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
			return Response[L]{}, fmt.Errorf("%w: %w", ErrNoResponse, ctx.Err())
		}
	}
}

// Receive is Wait that gives up: when ctx ends first, it abandons all requests of the collection, empties it, and
// returns ErrTimeout or context.Canceled. One deadline may serve for many calls of it (ERPC-39).
func (c *Collection[L]) Receive(ctx context.Context) (Response[L], error) {
	r, err := c.Wait(ctx)
	if ctx.Err() == nil || err == nil || c.Len() == 0 {
		return r, err
	}
	c.mu.Lock()
	abandoned := c.order
	c.entries, c.order, c.ready = nil, nil, nil
	c.signal()
	c.mu.Unlock()
	for _, f := range abandoned {
		f.Abandon()
	}
	return Response[L]{}, transportError(ctx.Err())
}

// Check takes the answer that came first, if there is one, and never blocks. An empty collection is ErrNoRequest.
func (c *Collection[L]) Check() (r Response[L], ok bool, err error) {
	c.mu.Lock()
	if len(c.entries) == 0 {
		c.signal() // whoever else waits must learn of it too
		c.mu.Unlock()
		return r, false, ErrNoRequest
	}
	if len(c.ready) == 0 {
		c.mu.Unlock()
		return r, false, nil
	}
	f := c.ready[0]
	c.ready = c.ready[1:]
	label := c.entries[f]
	c.remove(f)
	if len(c.ready) > 0 || len(c.entries) == 0 {
		c.signal()
	}
	c.mu.Unlock()
	out := f.take()
	return Response[L]{Label: label, Future: f, Err: out.err, Result: Result{out, f.rq.node, f.rq.fn}}, true, nil
}

// remove forgets a request. The lock must be held.
func (c *Collection[L]) remove(f *Future) {
	delete(c.entries, f)
	live := 0
	for live < len(c.order) {
		if _, ok := c.entries[c.order[live]]; ok {
			break
		}
		live++
	}
	c.order = c.order[live:]
	if len(c.order) > 2*len(c.entries)+16 { // behind one that waits for long
		c.order = slices.DeleteFunc(c.order, func(f *Future) bool { _, waits := c.entries[f]; return !waits })
	}
}
