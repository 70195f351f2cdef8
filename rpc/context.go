package rpc

import (
	"context"
	"sync"
	"time"
)

// callContext is the context of one handler. It costs nothing beyond its own memory until somebody asks for Done: most
// handlers return first, and a timer, a channel and a place in its parent for each call would be a good part of its
// price.
type callContext struct {
	parent   context.Context // the server's: ends when the server closes
	clock    *clock
	deadline instant // zero: none

	mu   sync.Mutex // guards the fields below
	err  error
	more *contextHooks // nil until somebody asks for Done
}

// contextHooks is what a callContext needs once somebody waits for its end.
type contextHooks struct {
	done   chan struct{}
	timer  *time.Timer
	unhook func() bool
	after  map[*func()]struct{}
}

// Deadline returns what is left of the caller's own deadline.
func (c *callContext) Deadline() (time.Time, bool) {
	if c.deadline == 0 {
		return time.Time{}, false
	}
	return c.clock.time(c.deadline), true
}

// Value looks in the server's context: the caller's values do not travel, not even on the same node.
func (c *callContext) Value(key any) any { return c.parent.Value(key) }

// Err returns why the context ended, if it did.
func (c *callContext) Err() error {
	c.mu.Lock()
	err := c.err
	c.mu.Unlock()
	if err != nil {
		return err
	}
	if err = c.parent.Err(); err == nil && c.deadline != 0 && c.clock.now() >= c.deadline {
		err = context.DeadlineExceeded
	}
	if err != nil {
		c.cancel(err)
	}
	return err
}

// Done returns a channel that is closed when the context ends.
func (c *callContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hooks().done
}

// hooks makes what is needed to tell of the end. The lock must be held.
func (c *callContext) hooks() *contextHooks {
	if c.more != nil {
		return c.more
	}
	h := &contextHooks{done: make(chan struct{})}
	c.more = h
	if c.err != nil {
		close(h.done)
		return h
	}
	if c.deadline != 0 {
		h.timer = time.AfterFunc(c.clock.until(c.deadline), func() { c.cancel(context.DeadlineExceeded) })
	}
	h.unhook = context.AfterFunc(c.parent, func() { c.cancel(c.parent.Err()) })
	return h
}

// AfterFunc runs f on a goroutine of its own once the context has ended. The context package calls it, so that a
// context derived from this one needs no goroutine that waits.
func (c *callContext) AfterFunc(f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.hooks()
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	key := &f
	if h.after == nil {
		h.after = make(map[*func()]struct{})
	}
	h.after[key] = struct{}{}
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, ok := h.after[key]
		delete(h.after, key)
		return ok
	}
}

// cancel ends the context; the first err counts.
func (c *callContext) cancel(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	h := c.more
	if h == nil {
		return
	}
	if h.timer != nil {
		h.timer.Stop()
	}
	h.unhook()
	close(h.done)
	for f := range h.after {
		go (*f)()
	}
	h.after = nil
}
