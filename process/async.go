package process

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kith-mesh/kith/node"
)

// connectors hold the messages of SendAsync for nodes to which a connection is being made, in order.
type connectors struct {
	active atomic.Int32 // how many there are, so that nobody takes the lock in vain
	mu     sync.Mutex   // guards the field below
	byNode map[string]*connector
}

type connector struct{ queue []waiting }

// waiting is a message that waits for a connection.
type waiting struct {
	dest node.ID
	f    frame
}

// maxWaiting is how many messages wait for a connection to one node. Further ones are lost and counted.
const maxWaiting = 10_000

// SendAsync is SendTo that never waits for a connection: while one is being made, messages wait in line, up to 10,000
// for a node, and are lost and counted if it does not come about. It still waits within ctx while the window of a
// connected node is full. A missing bare name is no error. Errors otherwise as of Send.
func (r *Runtime) SendAsync(ctx context.Context, to Address, msg any) error {
	to, err := Resolve(to)
	if err != nil {
		return r.toNobody(err)
	}
	dest, f := r.remote(to)
	if dest.Name == "" {
		if err = r.SendTo(ctx, to, msg); errors.Is(err, ErrNoProcess) {
			return r.toNobody(err)
		}
		return err
	}
	if r.connectors.active.Load() == 0 {
		err = r.SendTo(ctx, to, msg, node.NoConnect)
		if !errors.Is(err, ErrNoConnection) {
			return err
		}
	}
	if f.body, err = r.Encode(msg); err != nil {
		return err
	}
	if r.waitInLine(waiting{dest, f}, false) {
		return nil
	}
	if err = r.sendFrame(ctx, dest, &f, node.NoConnect); errors.Is(err, node.ErrNotConnected) {
		r.waitInLine(waiting{dest, f}, true)
		return nil
	}
	return r.sendOutcome(err, 0)
}

// waitInLine puts a message behind those that wait for the node. If none do, it starts to connect, if open says so. It
// reports whether the message is taken care of.
func (r *Runtime) waitInLine(w waiting, open bool) bool {
	c, name := &r.connectors, w.dest.Name
	c.mu.Lock()
	defer c.mu.Unlock()
	line := c.byNode[name]
	switch {
	case line == nil && !open:
		return false
	case line == nil:
		if c.byNode == nil {
			c.byNode = make(map[string]*connector)
		}
		line = &connector{}
		c.byNode[name] = line
		c.active.Add(1)
		go r.connectFor(name, line)
	case len(line.queue) >= maxWaiting:
		r.stats.sentToNobody.Add(1)
		return true
	}
	line.queue = append(line.queue, w)
	return true
}

// connectFor sends the messages of one line. The first one connects.
func (r *Runtime) connectFor(name string, line *connector) {
	c := &r.connectors
	for {
		c.mu.Lock()
		batch := line.queue
		line.queue = nil
		if len(batch) == 0 {
			delete(c.byNode, name)
			c.active.Add(-1)
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		flags := node.SendFlags(0)
		for _, w := range batch {
			if r.sendFrame(r.ctx, w.dest, &w.f, flags) != nil {
				r.stats.sentToNobody.Add(1)
			}
			flags = node.NoConnect // the first has connected, or else the rest is lost with it
		}
	}
}

// SendAfter sends msg to the process after d, unless the timer is stopped before. Nothing is sent once the runtime is
// closed.
func (r *Runtime) SendAfter(d time.Duration, to PID, msg any) *time.Timer {
	return time.AfterFunc(d, func() { _ = r.SendAsync(r.ctx, to, msg) }) // there is nobody to tell
}
