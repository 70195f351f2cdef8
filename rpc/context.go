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
	deadline time.Time       // zero: none

	mu     sync.Mutex // guards the fields below
	err    error
	done   chan struct{}
	timer  *time.Timer
	unhook func() bool
	after  map[*func()]struct{}
}

var closedChan = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Deadline returns what is left of the caller's own deadline.
func (c *callContext) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

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
	if err = c.parent.Err(); err == nil && !c.deadline.IsZero() && !time.Now().Before(c.deadline) {
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
	return c.doneLocked()
}

func (c *callContext) doneLocked() chan struct{} {
	if c.done != nil {
		return c.done
	}
	if c.err != nil {
		c.done = closedChan
		return c.done
	}
	c.done = make(chan struct{})
	if !c.deadline.IsZero() {
		c.timer = time.AfterFunc(time.Until(c.deadline), func() { c.cancel(context.DeadlineExceeded) })
	}
	c.unhook = context.AfterFunc(c.parent, func() { c.cancel(c.parent.Err()) })
	return c.done
}

// AfterFunc runs f on a goroutine of its own once the context has ended. The context package calls it, so that a
// context derived from this one needs no goroutine that waits.
func (c *callContext) AfterFunc(f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.doneLocked()
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	key := &f
	if c.after == nil {
		c.after = make(map[*func()]struct{})
	}
	c.after[key] = struct{}{}
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, ok := c.after[key]
		delete(c.after, key)
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
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.unhook != nil {
		c.unhook()
	}
	if c.done != nil {
		close(c.done)
	}
	for f := range c.after {
		go (*f)()
	}
	c.after = nil
}
