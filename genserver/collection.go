package genserver

import (
	"context"
	"iter"
	"sync"

	"github.com/kith-mesh/kith/process"
)

// Collection waits for many requests at once, and yields the answers in the order in which they come. The zero value is
// empty. Its methods are for one goroutine at a time.
type Collection[Resp any] struct {
	mu    sync.Mutex // guards the field below
	ready []*member[Resp]
	wake  chan struct{}

	members map[*member[Resp]]struct{}
}

// member is a request in a collection.
type member[Resp any] struct {
	label   any
	pending *Pending[Resp]
}

// Answer is an answer out of a collection.
type Answer[Resp any] struct {
	// Label is what the request was added under.
	Label any
	// Value is the answer, if Err is nil.
	Value Resp
	// Err is as of Call.
	Err error

	answered bool
}

// Send is SendRequest into the collection, under a label of any kind.
func (c *Collection[Resp]) Send(ctx context.Context, rt *process.Runtime, to process.Address, req Request[Resp], label any) {
	if c.wake == nil {
		c.wake = make(chan struct{}, 1)
		c.members = make(map[*member[Resp]]struct{})
	}
	m := &member[Resp]{label: label, pending: newPending[Resp](rt, to)}
	m.pending.ready = func() { c.push(m) }
	c.members[m] = struct{}{}
	m.pending.start(ctx, req)
	c.push(m) // it may have failed at once
}

// push notes that there may be an answer.
func (c *Collection[Resp]) push(m *member[Resp]) {
	c.mu.Lock()
	c.ready = append(c.ready, m)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *Collection[Resp]) pop() *member[Resp] {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ready) == 0 {
		return nil
	}
	m := c.ready[0]
	c.ready = c.ready[1:]
	return m
}

// Len is how many requests have no answer yet that was taken.
func (c *Collection[Resp]) Len() int { return len(c.members) }

// Next takes the next answer, and waits for one within ctx. ok is false when no requests are left. When ctx ends first,
// the error is ErrTimeout or that of ctx, and the requests stand (GEN-26).
func (c *Collection[Resp]) Next(ctx context.Context) (answer Answer[Resp], ok bool, err error) {
	for len(c.members) > 0 {
		for m := c.pop(); m != nil; m = c.pop() {
			if _, waits := c.members[m]; waits && m.pending.poll() {
				delete(c.members, m)
				return Answer[Resp]{m.label, m.pending.resp, m.pending.err, m.pending.answered}, true, nil
			}
		}
		select {
		case <-c.wake:
		case <-ctx.Done():
			return Answer[Resp]{}, true, timeoutOr(ctx, ctx.Err(), process.Name{Name: "collection"})
		}
	}
	return Answer[Resp]{}, false, nil
}

// All yields the answers as they come, and ends after the last, or with an error when ctx ends first. The requests
// without an answer stand.
func (c *Collection[Resp]) All(ctx context.Context) iter.Seq2[Answer[Resp], error] {
	return func(yield func(Answer[Resp], error) bool) {
		for {
			a, ok, err := c.Next(ctx)
			if !ok || !yield(a, err) || err != nil {
				return
			}
		}
	}
}

// Abandon gives up all requests that are left.
func (c *Collection[Resp]) Abandon() {
	for m := range c.members {
		m.pending.Abandon()
	}
	clear(c.members)
}
